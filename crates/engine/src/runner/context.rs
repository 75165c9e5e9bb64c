//! What the parts of a run share, and why it stops.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paceline_clock::Clock;
use paceline_governor::Trip;
use paceline_model::{CellError, Column, Lease, RunId, Store, limits};
use tokio::sync::{Semaphore, watch};

use super::queue::TaskQueue;
use super::storm::Storm;
use super::{Flights, Reported};
use crate::CapReached;
use crate::gate::GateSwitch;
use crate::kind::Tools;
use crate::ledger::Ledger;
use crate::progress::ProgressState;
use crate::tally::Tally;
use crate::task::Work;
use crate::triage::Triage;

/// Tasks claimed at once at the least: a claim costs a transaction.
const CLAIM_TASKS_MIN: usize = 256;

/// Why a run stops before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A person paused it.
    Pause,
    /// A person cancelled it.
    Cancel,
    /// The process is going down; the run stays `running` on record and goes on at the next start.
    Shutdown,
    /// The breaker tripped.
    Breaker(Trip),
    /// The vendor refuses the credential, and this is what it says.
    Credentials(String),
    /// No row can work until a person has done something at the vendor or to the column, and this is what the vendor says.
    Configuration(String),
    /// No job could be started, or found not to be startable, for [`limits::OUTAGE_MAX`].
    Outage,
    /// The vendor has refused every call for its rate, for so long.
    Throttled {
        /// Since the first refusal after the last success.
        waited: Duration,
    },
    /// A cap allows no further call.
    Cap(CapReached),
    /// The store failed for good.
    Store(String),
    /// A part of the run ended in a panic.
    Broken,
}

/// Everything the parts of a run share.
pub(crate) struct RunContext {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Clock,
    pub(crate) run: RunId,
    pub(crate) column: Column,
    /// Runs that a row must be done with first.
    pub(crate) after: Vec<RunId>,
    /// Says whether anything is done for a task.
    pub(crate) triage: Triage,
    /// What is done for a task.
    pub(crate) work: Work,
    /// What filling cells without a call may use.
    pub(crate) tools: Tools,
    pub(crate) flights: Flights,
    /// Tells the other runs of the table that this one has come further.
    pub(crate) reported: Reported,
    /// What its calls pass.
    pub(crate) gate: Arc<GateSwitch>,
    /// What its calls are charged to.
    pub(crate) ledger: Ledger,
    /// How long the vendor may refuse every call for its rate before the run pauses.
    pub(crate) throttle_deadline: Duration,
    /// Whether the rate names that deadline: then no wait that the vendor asks for is longer.
    pub(crate) deadline_is_set: bool,
    pub(crate) lease: Lease,
    pub(crate) concurrent_max: usize,
    pub(crate) progress: Arc<ProgressState>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) control: Control,
}

/// What the runner keeps of a run beside its parts.
pub(crate) struct Control {
    /// One per call that may be sent and not be on disk; the reporter gives back what it has written.
    pub(super) unrecorded: Semaphore,
    stop: watch::Sender<Option<Stop>>,
    last_error: Mutex<Option<CellError>>,
    pub(super) queue: TaskQueue,
    pub(super) storm: Storm,
}

impl Control {
    /// Of a run with so many calls at once.
    pub(crate) fn new(concurrent_max: usize) -> Self {
        Self {
            unrecorded: Semaphore::new(concurrent_max),
            stop: watch::Sender::new(None),
            last_error: Mutex::new(None),
            queue: TaskQueue::default(),
            storm: Storm::default(),
        }
    }
}

impl RunContext {
    /// Stops the run: nothing new starts, what is in flight ends and is recorded. The first reason stands.
    pub(crate) fn stop(&self, stop: Stop) {
        self.control.stop.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(stop);
            first
        });
        self.control.queue.wake_feeder();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.control.stop.borrow().is_some()
    }

    pub(super) fn stop_reason(&self) -> Option<Stop> {
        self.control.stop.borrow().clone()
    }

    pub(crate) async fn stopped(&self) {
        let mut stop = self.control.stop.subscribe();
        // The sender lives as long as `self`.
        let _ = stop.wait_for(Option::is_some).await;
    }

    pub(crate) fn note_error(&self, error: &CellError) {
        *self.control.last_error.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(error.clone());
    }

    fn last_error(&self) -> Option<CellError> {
        self.control.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn claim_max(&self) -> usize {
        (2 * self.concurrent_max).clamp(CLAIM_TASKS_MIN, limits::CLAIM_TASKS_MAX)
    }

    /// Tasks held at the most: what the workers hold, what is claimed ahead, and what waits to be tried again.
    pub(crate) fn open_max(&self) -> usize {
        4 * self.concurrent_max + 2 * self.claim_max()
    }

    /// Why the run stopped, in words that say what to do.
    pub(super) fn reason(&self, stop: &Stop) -> Option<String> {
        let last = self
            .last_error()
            .map_or_else(String::new, |error| format!("; last: {}", error.message));
        match stop {
            Stop::Pause => Some("paused by a person; resume it to go on".to_owned()),
            Stop::Cancel => Some("cancelled by a person".to_owned()),
            Stop::Shutdown => None,
            Stop::Breaker(trip) => Some(format!(
                "breaker: {trip}{last}. Mend the cause, then resume with the failed cells (retry failed)"
            )),
            Stop::Credentials(error) => Some(format!(
                "credentials: {error}. No cell has failed for it; renew the token, then resume"
            )),
            Stop::Configuration(error) => Some(format!(
                "configuration: {error}. No cell has failed for it; mend the cause, then resume"
            )),
            Stop::Outage => Some(format!(
                "outage: for {} min no job got as far as being started{last}. No cell has failed for it; resume when the \
                 vendor answers again",
                limits::OUTAGE_MAX.as_secs() / 60
            )),
            Stop::Throttled { waited } => Some(format!(
                "throttled: the vendor has refused every call for its rate for {} s{last}. No cell has failed for it; lower the \
                 rate or wait, then resume",
                waited.as_secs()
            )),
            Stop::Cap(reached) => Some(format!("cap: {reached}")),
            Stop::Broken => Some(
                "fault: a part of the run broke down, which is a fault of Paceline; its log says where. Nothing finished is \
                 lost. Resume to go on; report it if it comes again"
                    .to_owned(),
            ),
            Stop::Store(error) => Some(format!("store: {error}. Mend the cause, then resume")),
        }
    }
}
