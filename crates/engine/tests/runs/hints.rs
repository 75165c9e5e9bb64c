//! Spec G8 through the whole engine: what vendors say of their limits is heeded, wherever they say it.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{Call, RateHeaders, RetryAfter, VendorConfig};
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;

use crate::support::{Act, COLUMN, Scripted, VendorProvider, engine, get, rate, table};

/// Calls of somebody else who uses the same key: half of 20 a minute, at the beginning of each of the vendor's minutes
/// or spread over it.
#[derive(Clone, Copy)]
enum Other {
    First,
    Spread,
}

async fn somebody_else(clock: Clock, provider: Arc<VendorProvider>, other: Other) {
    let (calls, every_s) = match other {
        Other::First => (10, 60),
        Other::Spread => (1, 6),
    };
    loop {
        for _ in 0..calls {
            let provider = Arc::clone(&provider);
            tokio::spawn(async move { provider.vendor.call(Call::new()).await });
        }
        clock.sleep(Duration::from_secs(every_s)).await;
    }
}

/// How often the vendor refused us, and how long 55 calls took in seconds.
fn beside(other: Other, rate_headers: RateHeaders) -> (u64, f64) {
    let config = VendorConfig {
        limits: vec!["20/min".parse().unwrap()],
        service: "100".parse().unwrap(),
        // Headers that tell only what is left, and not when to come back after a refusal.
        retry_after: RetryAfter::None,
        rate_headers,
        ..VendorConfig::default()
    };
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let provider = VendorProvider::new(config, &clock);
        let engine = engine(&store, &clock, provider.clone());
        let table = table(&engine, 55, get(), rate(&["20/min"], 4)).await;
        tokio::spawn(somebody_else(clock.clone(), provider, other));
        // They come first.
        clock.sleep(Duration::from_millis(10)).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let progress = engine.follow(run.id).unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 55));
        let elapsed_s = progress().elapsed_ms / 1e3;
        (run.counts.throttled, elapsed_s)
    })
}

const FAMILIES: [RateHeaders; 3] = [RateHeaders::Draft, RateHeaders::Draft03, RateHeaders::X];

#[test]
fn headers_that_tell_in_time_of_somebody_else_save_every_refusal() {
    assert!(beside(Other::First, RateHeaders::None).0 > 0, "without them there are some");
    for headers in FAMILIES {
        let (refused, elapsed_s) = beside(Other::First, headers);
        assert_eq!(refused, 0, "{headers}");
        // Ten a minute are left: of 55 calls the last five begin with the sixth minute.
        assert!((300.0..305.0).contains(&elapsed_s), "{headers}: {elapsed_s} s");
    }
}

#[test]
fn headers_that_tell_late_of_somebody_else_save_most_refusals() {
    let (blind, _) = beside(Other::Spread, RateHeaders::None);
    for headers in FAMILIES {
        let (refused, _) = beside(Other::Spread, headers);
        assert!(refused < blind, "{headers}: {refused}, without headers {blind}");
    }
}

/// How long a run of two calls takes whose first is refused like this.
fn after(refusal: Act) -> Duration {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let script = move |n, _: &_| if n == 0 { refusal } else { Act::Answer(200, 0) };
        let provider = Scripted::new(&clock, script);
        let engine = engine(&store, &clock, provider.clone());
        let table = table(&engine, 2, get(), rate(&[], 1)).await;
        let began = clock.now();
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.calls), (RunStatus::Completed, 3), "{refusal:?}");
        assert_eq!((run.counts.throttled, run.counts.failed), (1, 0), "{refusal:?}");
        clock.now() - began
    })
}

#[test]
fn a_wait_is_found_wherever_a_vendor_says_it() {
    const NOTHING: (&str, &str) = ("server", "vendor");
    const BODY: &str = r#"{"error": {"message": "Rate limit reached. Please try again in 7s."}}"#;
    let cases = [
        (Act::Say(429, ("retry-after", "7"), ""), 7),
        (Act::Say(429, ("retry-after-ms", "7000"), ""), 7),
        (Act::Say(429, ("ratelimit", "\"hour\";r=0;t=7"), ""), 7),
        (Act::Say(429, NOTHING, BODY), 7),
        (Act::Say(503, NOTHING, BODY), 7),
        // The headers say it, so nobody looks into the body.
        (Act::Say(429, ("retry-after", "9"), BODY), 9),
        // What the head says holds, whatever becomes of the body.
        (Act::Cut(429, ("retry-after", "7")), 7),
        // Nobody says anything: the policy's own wait.
        (Act::Say(429, NOTHING, "not now"), 1),
    ];
    for (refusal, wanted_s) in cases {
        assert_eq!(after(refusal), Duration::from_secs(wanted_s), "{refusal:?}");
    }
}
