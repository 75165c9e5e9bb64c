//! Asks the Rust peers to push calls through both windows as fast as they let them, in virtual time.
//!
//! One call is pushed after the other, the long window's gate first and the short one's nearest the wire: the
//! favourable order. governor takes a clock of its own; the others sleep on tokio's, which stands paused.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, FakeRelativeClock};
use governor::{Quota, RateLimiter as Governor};
use leaky_bucket::RateLimiter as LeakyBucket;
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

use crate::Failure;
use crate::sets::{self, Set, Window};
use crate::trace::Trace;

/// Longer than any run, so that nobody gives up waiting.
const PATIENCE: Duration = Duration::from_secs(100 * 24 * 3600);
const LOCK: &str = include_str!("../Cargo.lock");

pub(crate) fn print_traces() -> Result<(), Failure> {
    for (number, set) in sets::all()?.iter().enumerate() {
        for (peer, package, how, push) in PEERS {
            let trace = Trace {
                set: number,
                peer: peer.to_owned(),
                version: version(package).to_owned(),
                how: how.to_owned(),
                sent_ns: push(set)?,
            };
            println!("{}", serde_json::to_string(&trace)?);
        }
    }
    Ok(())
}

type Peer = (&'static str, &'static str, &'static str, fn(&Set) -> Result<Vec<u64>, Failure>);

const RESILIENCE: &str = "tower-resilience-ratelimiter";

const PEERS: [Peer; 9] = [
    (
        "governor",
        "governor",
        "one Quota per window, burst at its default (the limit)",
        governor_full,
    ),
    ("governor burst 1", "governor", "allow_burst(1) on both windows", governor_burst_1),
    (
        "leaky-bucket",
        "leaky-bucket",
        "max = initial = limit, 1 token per window/limit",
        leaky_smooth,
    ),
    (
        "leaky-bucket lump",
        "leaky-bucket",
        "max = initial = refill = limit, once per window",
        leaky_lump,
    ),
    ("tower limit", "tower", "rate_limit(limit, window), two layers", tower_limit),
    ("tower-resilience", RESILIENCE, "two layers, window type fixed (default)", resilience_fixed),
    ("tower-resilience log", RESILIENCE, "two layers, WindowType::SlidingLog", resilience_log),
    (
        "tower-resilience counter",
        RESILIENCE,
        "two layers, WindowType::SlidingCounter",
        resilience_counter,
    ),
    (
        "tower-resilience bucket",
        RESILIENCE,
        "two layers, burst_size(0): a token bucket",
        resilience_bucket,
    ),
];

/// The version of a package in our own lock file.
pub(crate) fn version(package: &str) -> &'static str {
    let mut lines = LOCK.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.map_or("?", |version| version.trim_matches('"'))
}

fn governor_full(set: &Set) -> Result<Vec<u64>, Failure> {
    push_governor(set, |quota| quota)
}

fn governor_burst_1(set: &Set) -> Result<Vec<u64>, Failure> {
    push_governor(set, |quota| quota.allow_burst(NonZeroU32::MIN))
}

/// What `until_ready` does, on a clock that can be moved: ask, sleep as long as the refusal says, ask again.
fn push_governor(set: &Set, shape: fn(Quota) -> Quota) -> Result<Vec<u64>, Failure> {
    let clock = FakeRelativeClock::default();
    let gate = |window: Window| {
        let count = NonZeroU32::new(window.count).ok_or("a limit of 0")?;
        let quota = Quota::with_period(window.interval()).ok_or("no interval")?.allow_burst(count);
        Ok::<_, Failure>(Governor::direct_with_clock(shape(quota), clock.clone()))
    };
    let gates = [gate(set.long())?, gate(set.short())?];
    let sent = (0..set.calls).map(|_| {
        for gate in &gates {
            while let Err(refusal) = gate.check() {
                clock.advance(refusal.wait_time_from(clock.now()));
            }
        }
        clock.now().as_u64()
    });
    Ok(sent.collect())
}

fn leaky_smooth(set: &Set) -> Result<Vec<u64>, Failure> {
    push_leaky(set, |window| (1, window.interval()))
}

fn leaky_lump(set: &Set) -> Result<Vec<u64>, Failure> {
    push_leaky(set, |window| (window.count as usize, window.length()))
}

fn push_leaky(set: &Set, refill: fn(Window) -> (usize, Duration)) -> Result<Vec<u64>, Failure> {
    paused(async || {
        let gate = |window: Window| {
            let (tokens, interval) = refill(window);
            let count = window.count as usize;
            LeakyBucket::builder()
                .max(count)
                .initial(count)
                .refill(tokens)
                .interval(interval)
                .build()
        };
        let gates = [gate(set.long()), gate(set.short())];
        let wire = Wire::new();
        for _ in 0..set.calls {
            for gate in &gates {
                gate.acquire_one().await;
            }
            wire.send().await?;
        }
        Ok(wire.sent())
    })
}

fn tower_limit(set: &Set) -> Result<Vec<u64>, Failure> {
    paused(async || {
        let wire = Wire::new();
        let service = ServiceBuilder::new()
            .rate_limit(set.long().count.into(), set.long().length())
            .rate_limit(set.short().count.into(), set.short().length())
            .service(service_fn(|()| wire.send()));
        push_service(service, set.calls).await?;
        Ok(wire.sent())
    })
}

fn resilience_fixed(set: &Set) -> Result<Vec<u64>, Failure> {
    push_resilience(set, Some(WindowType::Fixed))
}

fn resilience_log(set: &Set) -> Result<Vec<u64>, Failure> {
    push_resilience(set, Some(WindowType::SlidingLog))
}

fn resilience_counter(set: &Set) -> Result<Vec<u64>, Failure> {
    push_resilience(set, Some(WindowType::SlidingCounter))
}

fn resilience_bucket(set: &Set) -> Result<Vec<u64>, Failure> {
    push_resilience(set, None)
}

fn push_resilience(set: &Set, kind: Option<WindowType>) -> Result<Vec<u64>, Failure> {
    let layer = |window: Window| {
        let builder = RateLimiterLayer::builder()
            .limit_for_period(window.count as usize)
            .refresh_period(window.length())
            .timeout_duration(PATIENCE);
        match kind {
            Some(kind) => builder.window_type(kind).build(),
            None => builder.burst_size(0).build(),
        }
    };
    paused(async || {
        let wire = Arc::new(Wire::new());
        let sending = Arc::clone(&wire);
        let wired = service_fn(move |()| {
            let wire = Arc::clone(&sending);
            async move { wire.send().await }
        });
        let service = ServiceBuilder::new()
            .layer(layer(set.long())?)
            .layer(layer(set.short())?)
            .service(wired);
        push_service(service, set.calls).await?;
        Ok(wire.sent())
    })
}

async fn push_service<S>(mut service: S, calls: usize) -> Result<(), Failure>
where
    S: Service<()>,
    S::Error: std::fmt::Debug,
{
    for _ in 0..calls {
        let ready = service.ready().await.map_err(|error| format!("{error:?}"))?;
        ready.call(()).await.map_err(|error| format!("{error:?}"))?;
    }
    Ok(())
}

/// Where a call leaves the machine, and when.
struct Wire {
    start: Instant,
    sent: Mutex<Vec<u64>>,
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "the peers sleep on tokio's paused clock")]
    fn new() -> Self {
        Self { start: Instant::now(), sent: Mutex::default() }
    }

    async fn send(&self) -> Result<(), std::io::Error> {
        let at = self.start.elapsed().as_nanos() as u64;
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(at);
        Ok(())
    }

    fn sent(&self) -> Vec<u64> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs `scenario` on tokio's paused clock, which jumps to the next timer whenever nothing else is left to do.
fn paused(scenario: impl AsyncFnOnce() -> Result<Vec<u64>, Failure>) -> Result<Vec<u64>, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(scenario())
}
