//! One vendor: limits, delays, faults and the count of what it saw, in virtual time or behind HTTP.

mod call;
mod config;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use paceline_clock::{Clock, Random, Tick};

pub(crate) use call::Visitor;
pub use call::{Answer, Call, Reply};
pub use config::VendorConfig;

use crate::hints::{Headers, fault_headers};
use crate::stats::{Busiest, Counters, KEYS_MAX, Keys, Stats};
use crate::{
    ConfigError, Enforcer, Fault, FaultKind, FaultLaw, Law, RateHeaders, Refusal, Standing, Verdict,
};

/// A simulated vendor. The HTTP server puts one behind a socket; tests call it in virtual time.
///
/// ```
/// use std::time::Duration;
/// use paceline_clock::SimClock;
/// use paceline_lab::{Call, Vendor, VendorConfig};
///
/// let config = VendorConfig {
///     limits: vec!["1/h".parse()?],
///     net: "20".parse()?,
///     service: "100".parse()?,
///     ..VendorConfig::default()
/// };
/// let stats = SimClock::new().run(|clock| async move {
///     let vendor = Vendor::new(config, clock.clone())?;
///     assert_eq!(vendor.call(Call::new()).await.status(), Some(200));
///     assert_eq!(vendor.call(Call::new()).await.header("retry-after"), Some("3600"));
///     // Out, work and back; then out and back.
///     assert_eq!(clock.now().as_millis(), 140 + 40);
///     Ok::<_, paceline_lab::ConfigError>(vendor.stats())
/// })?;
/// assert_eq!((stats.accepted, stats.refused), (1, 1));
/// # Ok::<(), paceline_lab::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Vendor {
    config: VendorConfig,
    clock: Clock,
    started: Tick,
    gate: Mutex<Gate>,
    faults: RwLock<FaultLaw>,
    /// Whether `faults` can strike, so that most calls need not look.
    faulty: AtomicBool,
    counters: Counters,
    keys: Keys,
    chance: Chance,
}

/// What needs one order of all arrivals.
#[derive(Debug)]
struct Gate {
    enforcer: Enforcer,
    busiest: Vec<Busiest>,
}

/// A stream for each purpose, so that one more fault does not change every delay after it.
#[derive(Debug)]
struct Chance {
    net: Random,
    service: Random,
    faults: Random,
}

/// What the gate said, and when.
struct Passage {
    at: Tick,
    verdict: Verdict,
    standings: Vec<Standing>,
}

impl Vendor {
    /// A vendor that has seen nothing yet. Its windows begin now.
    ///
    /// # Errors
    /// If the limits and the policy do not fit together; see [`Enforcer::new`].
    pub fn new(config: VendorConfig, clock: Clock) -> Result<Self, ConfigError> {
        let enforcer = Enforcer::new(&config.limits, &config.policy)?;
        let busiest = config.limits.iter().copied().map(Busiest::new).collect();
        let stream = |purpose: u64| Random::seeded(config.seed.rotate_left(2) ^ purpose);
        Ok(Self {
            started: clock.now(),
            clock,
            gate: Mutex::new(Gate { enforcer, busiest }),
            faulty: AtomicBool::new(!config.faults.is_none()),
            faults: RwLock::new(config.faults.clone()),
            counters: Counters::default(),
            keys: Keys::new(KEYS_MAX),
            chance: Chance { net: stream(0), service: stream(1), faults: stream(2) },
            config,
        })
    }

    /// Makes a call and waits for what comes back, for ever if the vendor hangs.
    ///
    /// Dropping the future stops the call wherever it is on its way, as if it had never been sent or never been done.
    /// A caller that gives up on a real network stops nothing; to see that, spawn the call and drop only the wait.
    pub async fn call(&self, call: Call) -> Answer {
        let answer = self.process(call).await;
        if answer.reply == Reply::Fault(FaultKind::Hang) {
            std::future::pending::<()>().await;
        }
        answer
    }

    /// As [`Vendor::call`], but a hang is an answer, at the moment from which on nothing happens any more.
    pub(crate) async fn process(&self, mut call: Call) -> Answer {
        self.receive(&mut call).await
    }

    /// As [`Vendor::process`], for a call that is looked at when it has arrived, if anything is to be done for it.
    pub(crate) async fn receive(&self, visitor: &mut (impl Visitor + Send)) -> Answer {
        self.wait(self.config.net, &self.chance.net).await;
        let answer = {
            let _in_flight = self.counters.enter();
            let answer = self.arrive();
            let call = answer.has_effect().then(|| visitor.arrives());
            if answer.takes_service_time() {
                self.wait(self.config.service, &self.chance.service).await;
            }
            if let Some(call) = call {
                self.serve(call, visitor);
            }
            answer
        };
        self.wait(self.config.net, &self.chance.net).await;
        answer
    }

    /// Whether calls take no time at all, so that nobody can give up on one half way.
    pub(crate) fn is_instant(&self) -> bool {
        self.config.net.is_zero() && self.config.service.is_zero()
    }

    /// What the vendor has seen so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            keys: self.keys.len(),
            limits: self.gate().busiest.iter().map(Busiest::stats).collect(),
            ..self.counters.stats()
        }
    }

    /// Forgets every call: counts, keys and what the limits remember. Calls under way are counted when they arrive.
    pub fn reset(&self) {
        let mut gate = self.gate();
        gate.enforcer.reset();
        gate.busiest = self.config.limits.iter().copied().map(Busiest::new).collect();
        self.counters.reset();
        self.keys.reset();
    }

    /// The fault law in force.
    #[must_use]
    pub fn faults(&self) -> FaultLaw {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what goes wrong, for calls that arrive from now on.
    pub fn set_faults(&self, law: FaultLaw) {
        self.faulty.store(!law.is_none(), Relaxed);
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = law;
    }

    /// The time by the vendor's clock, in ms since it started; every moment in its statistics is told by it.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from((self.clock.now() - self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// What the vendor was built from; the fault law may have [changed](Vendor::set_faults) since.
    #[must_use]
    pub fn config(&self) -> &VendorConfig {
        &self.config
    }

    async fn wait(&self, law: Law, random: &Random) {
        if !law.is_zero() {
            self.clock.sleep(law.draw(random)).await;
        }
    }

    /// The moment of counting: one place in the order of all calls.
    fn arrive(&self) -> Answer {
        let Passage { at, verdict, standings } = self.pass();
        let since_first_call = at - self.counters.arrived(at);
        let wall = || self.clock.wall();
        let mut headers = match self.config.rate_headers {
            RateHeaders::None => Headers::new(),
            hints => hints.headers(&self.config.limits, &standings, (at, wall())),
        };
        let reply = match verdict {
            Verdict::Refused(refusal) => {
                self.counters.refused.fetch_add(1, Relaxed);
                add(&mut headers, self.config.retry_after.headers(refusal.until - at, wall()));
                let until = refusal.until + (self.started - Tick::ZERO);
                Reply::Refused(Refusal { until, ..refusal })
            }
            Verdict::Accepted => {
                self.counters.accepted.fetch_add(1, Relaxed);
                match self.strike(since_first_call) {
                    None => Reply::Accepted,
                    Some(fault) => {
                        add(&mut headers, fault_headers(fault, wall()));
                        Reply::Fault(fault.kind)
                    }
                }
            }
        };
        Answer { reply, counted_at: at + (self.started - Tick::ZERO), headers }
    }

    fn pass(&self) -> Passage {
        let since_start = || Tick::ZERO + (self.clock.now() - self.started);
        if self.config.limits.is_empty() {
            return Passage {
                at: since_start(),
                verdict: Verdict::Accepted,
                standings: Vec::new(),
            };
        }
        let mut gate = self.gate();
        // Read inside the lock, so that arrivals are in order.
        let at = since_start();
        let verdict = gate.enforcer.decide(at);
        if verdict == Verdict::Accepted {
            gate.busiest.iter_mut().for_each(|busiest| busiest.accepted(at));
        }
        let standings = match self.config.rate_headers {
            RateHeaders::None => Vec::new(),
            _ => gate.enforcer.standing(at).collect(),
        };
        Passage { at, verdict, standings }
    }

    fn strike(&self, since_first_call: std::time::Duration) -> Option<Fault> {
        if !self.faulty.load(Relaxed) {
            return None;
        }
        let law = self.faults.read().unwrap_or_else(PoisonError::into_inner);
        let fault = law.draw(since_first_call, &self.chance.faults)?;
        self.counters.struck(fault.kind);
        Some(fault)
    }

    /// The effect of a call.
    fn serve(&self, call: Call, visitor: &mut impl Visitor) {
        if call.invalid {
            self.counters.invalid.fetch_add(1, Relaxed);
            return;
        }
        self.counters.served.fetch_add(1, Relaxed);
        let sighting = call.key.map(|key| self.keys.served(key));
        if let Some(sighting) = sighting {
            self.counters.sighted(sighting);
        }
        visitor.served(sighting);
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds headers, but none a second time.
fn add(headers: &mut Headers, more: Headers) {
    for (name, value) in more {
        if headers.iter().all(|(known, _)| *known != name) {
            headers.push((name, value));
        }
    }
}
