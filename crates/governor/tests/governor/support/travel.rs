//! One call in virtual time, with everything that may happen to it on its way.

use std::sync::Mutex;
use std::time::Duration;

use paceline_clock::{Clock, Random, Tick};
use paceline_governor::{Ask, Budget, Outcome, OutcomeClass};

use super::{Ride, chance, draw};

/// A failed call is taken to be counted up to this long after its failure.
const FAILURE_GRACE: Duration = Duration::from_secs(1);

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    /// Answered with a refusal for its rate.
    Throttled,
    /// No answer: reset or timed out. The vendor may count it before or after that.
    Failed,
    /// The permit was dropped after the sending, or before it (the call may have been made all the same).
    Dropped,
    DroppedUnsent,
    /// Nothing left this machine.
    NotSent,
}

impl Fate {
    /// An answer in most cases.
    pub(crate) fn any(random: &Random) -> Self {
        match random.next_u64() % 16 {
            0 => Self::Throttled,
            1 => Self::Failed,
            2 => Self::Dropped,
            3 => Self::DroppedUnsent,
            4 => Self::NotSent,
            _ => Self::Answered,
        }
    }
}

/// What lies before one caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Journey {
    pub(crate) starts: Duration,
    /// It goes away if it waited so long.
    pub(crate) patience: Option<Duration>,
    /// From the permit to the sending.
    pub(crate) dawdles: Duration,
    /// It makes a connection first, which takes so long.
    pub(crate) connects: Option<Duration>,
    /// From the sending to the vendor's counting.
    pub(crate) there: Duration,
    /// From there to the response's head; for a failed call, from the sending to its failure.
    pub(crate) back: Duration,
    /// From the head to the end.
    pub(crate) body: Duration,
    pub(crate) fate: Fate,
    pub(crate) estimate: u32,
    /// What it takes in truth, told between head and end.
    pub(crate) tokens: u32,
}

impl Journey {
    /// Answered in no time.
    pub(crate) const DIRECT: Self = Self {
        starts: Duration::ZERO,
        patience: None,
        dawdles: Duration::ZERO,
        connects: None,
        there: Duration::ZERO,
        back: Duration::ZERO,
        body: Duration::ZERO,
        fate: Fate::Answered,
        estimate: 0,
        tokens: 0,
    };

    /// Anything, over a network whose every leg takes up to `delay`; so calls overtake one another.
    pub(crate) fn any(random: &Random, starts: Duration, delay: Duration) -> Self {
        let sometimes = |share| chance(random, share).then(|| draw(random, delay * 4));
        Self {
            starts: if chance(random, 0.5) { Duration::ZERO } else { draw(random, starts) },
            patience: sometimes(0.2),
            dawdles: sometimes(0.2).unwrap_or_default(),
            connects: sometimes(0.2),
            there: draw(random, delay),
            back: draw(random, delay),
            body: sometimes(0.3).unwrap_or_default(),
            fate: Fate::any(random),
            ..Self::DIRECT
        }
    }
}

/// Makes the call. Answers what became of it, if it was granted; whatever reaches the vendor is noted when it leaves, for
/// it arrives even if its caller is gone by then.
pub(crate) async fn travel(
    budget: &Budget,
    clock: &Clock,
    journey: Journey,
    vendor: &Mutex<Vec<(Tick, u32)>>,
) -> Option<Ride> {
    clock.sleep(journey.starts).await;
    let joined = clock.now();
    let acquire = budget.acquire_with(Ask::new().tokens(u64::from(journey.estimate)));
    let mut permit = match journey.patience {
        None => acquire.await.unwrap(),
        Some(patience) => tokio::select! {
            permit = acquire => permit.unwrap(),
            () = clock.sleep(patience) => return None,
        },
    };
    let granted = clock.now();
    let arrives = || vendor.lock().unwrap().push((clock.now() + journey.there, journey.tokens));
    let ride = |hi| Ride {
        joined,
        granted,
        hi,
        over: clock.now(),
        estimate: journey.estimate,
        settled: None,
    };
    clock.sleep(journey.dawdles).await;
    match journey.fate {
        Fate::NotSent => {
            permit.not_sent(None);
            return Some(ride(None));
        }
        Fate::DroppedUnsent => {
            arrives();
            return Some(ride(Some(clock.now() + FAILURE_GRACE)));
        }
        _ => permit.sent(),
    }
    if let Some(took) = journey.connects {
        let connect = permit.on_connect();
        connect(false);
        clock.sleep(took).await;
        connect(true);
    }
    arrives();
    match journey.fate {
        Fate::Dropped | Fate::Failed => {
            clock.sleep(journey.back).await;
            if journey.fate == Fate::Failed {
                permit.finish(&Outcome::of(OutcomeClass::Transient));
            }
            Some(ride(Some(clock.now() + FAILURE_GRACE)))
        }
        _ => {
            clock.sleep(journey.there).await;
            clock.sleep(journey.back).await;
            permit.seen();
            let seen = clock.now();
            clock.sleep(journey.body).await;
            let settled =
                (journey.tokens != journey.estimate).then_some((clock.now(), journey.tokens));
            if settled.is_some() {
                permit.settle(u64::from(journey.tokens));
            }
            let class = match journey.fate {
                Fate::Throttled => OutcomeClass::Throttled,
                _ => OutcomeClass::Success,
            };
            permit.finish(&Outcome::of(class));
            Some(Ride { settled, ..ride(Some(seen)) })
        }
    }
}
