//! Our own budget on the course. It frees its slots by the answers, so it has to be driven with them: the same latency
//! out, and one back, drawn from the same law.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_governor::{Budget, BudgetConfig, Guard, Outcome, OutcomeClass, Permit, Shape};
use paceline_lab::{Enforcer, Verdict};
use tokio::task::JoinSet;

use crate::Failure;
use crate::delays::Delays;
use crate::judge::Verdicts;
use crate::sets::Set;

/// One way to set up a budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    pub(crate) shape: Shape,
    pub(crate) guard: Guard,
}

pub(crate) const ALL: [(&str, Ours); 3] = [
    ("shape burst, guard strict", Ours { shape: Shape::Burst, guard: Guard::Strict }),
    ("shape auto, guard auto", Ours { shape: Shape::Auto, guard: Guard::Auto }),
    ("shape counter_safe, guard strict", Ours { shape: Shape::CounterSafe, guard: Guard::Strict }),
];

/// The server's end of the network.
struct Server {
    enforcer: Enforcer,
    phase: Duration,
    verdicts: Verdicts,
}

/// Pushes the calls through a budget as fast as it lets them, nothing retried.
pub(crate) fn drive(
    ours: Ours,
    set: &Set,
    delays: &Delays,
    enforcer: Enforcer,
) -> Result<Verdicts, Failure> {
    let limits = set.governed()?;
    let config = BudgetConfig { shape: ours.shape, guard: ours.guard, ..BudgetConfig::new(limits) };
    let verdicts = Verdicts::default();
    let server = Arc::new(Mutex::new(Server { enforcer, phase: delays.phase, verdicts }));
    SimClock::new().run(|clock| push(config, delays, Arc::clone(&server), clock))?;
    let server = server.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(server.verdicts)
}

async fn push(
    config: BudgetConfig,
    delays: &Delays,
    server: Arc<Mutex<Server>>,
    clock: Clock,
) -> Result<(), Failure> {
    let budget = Budget::new(config, clock.clone())?;
    // As the platform's HTTP client reports them.
    delays.connect.iter().for_each(|took| budget.saw_network(*took));
    let mut calls = JoinSet::new();
    for (out, back) in delays.out.iter().zip(&delays.back) {
        let mut permit = budget.acquire().await?;
        permit.sent();
        calls.spawn(call(permit, Arc::clone(&server), clock.clone(), (*out, *back)));
    }
    calls.join_all().await;
    Ok(())
}

async fn call(
    mut permit: Permit,
    server: Arc<Mutex<Server>>,
    clock: Clock,
    (out, back): (Duration, Duration),
) {
    clock.sleep(out).await;
    let outcome = server.lock().unwrap_or_else(PoisonError::into_inner).answer(clock.now());
    clock.sleep(back).await;
    permit.seen();
    permit.finish(&outcome);
}

impl Server {
    fn answer(&mut self, now: Tick) -> Outcome {
        self.verdicts.last_arrival = now - Tick::ZERO;
        let at = now + self.phase;
        match self.enforcer.decide(at) {
            Verdict::Accepted => Outcome::of(OutcomeClass::Success),
            Verdict::Refused(refusal) => {
                self.verdicts.refused += 1;
                // `Retry-After` has whole seconds, rounded up.
                let wait = Duration::from_secs(
                    (refusal.until - at).as_nanos().div_ceil(1_000_000_000) as u64,
                );
                Outcome { retry_after: Some(wait), ..Outcome::of(OutcomeClass::Throttled) }
            }
        }
    }
}
