//! The store as the memory of a job (spec H10): a note is durable before the call that it is about, and a call is on record
//! as soon as it is over, however long the job goes on.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use paceline_clock::Tick;
use paceline_governor::OutcomeClass;
use paceline_hex::{Host, HostError, Note, PostRecord};
use paceline_model::{Attempt, AttemptClass, CellError, NotedCall, RowId, Task};

use crate::runner::{RunContext, Stop, until_recovered};
use crate::task::wall_at;

/// Keeps the notes of one task.
pub(super) struct StoreHost<'a> {
    ctx: &'a RunContext,
    row: RowId,
    /// Of the task, those on record.
    attempts: AtomicU32,
    started: Mutex<Option<Tick>>,
    /// The next call that is told of was made by an earlier process, or before a pause, and is on record since.
    recorded: AtomicBool,
    /// Somebody else has the task.
    lost: AtomicBool,
    /// A trigger is reserved in the run's ledger, and not known yet to have left.
    reserved: AtomicBool,
}

impl<'a> StoreHost<'a> {
    pub(super) fn new(ctx: &'a RunContext, task: &Task, note: Option<&Note>) -> Self {
        Self {
            ctx,
            row: task.row,
            attempts: AtomicU32::new(task.attempts),
            started: Mutex::default(),
            recorded: AtomicBool::new(matches!(note, Some(Note::Sending { .. }))),
            lost: AtomicBool::new(false),
            reserved: AtomicBool::new(false),
        }
    }

    /// Attempts of the task that are on record.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts.load(Ordering::Relaxed)
    }

    /// Whether the next call that is told of is on record already.
    pub(super) fn takes_recorded(&self) -> bool {
        self.recorded.swap(false, Ordering::Relaxed)
    }

    /// Whether somebody else has the task by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// When the job's run was started, if that was done here.
    pub(super) fn started_at(&self) -> Option<Tick> {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trigger that was reserved, if one was, came to this: what never left is not charged.
    pub(super) fn settle(&self, post: Option<&PostRecord>) {
        let is_reserved = self.reserved.swap(false, Ordering::Relaxed);
        if is_reserved && post.is_none_or(|post| post.sent_at.is_none()) {
            self.ctx.ledger.release();
        }
    }

    async fn save(&self, note: &Note, call: NotedCall) -> Result<(), HostError> {
        let ctx = self.ctx;
        let text = serde_json::to_string(note).map_err(|error| HostError(error.to_string()))?;
        let saved = until_recovered(&ctx.clock, || {
            ctx.store.save_note(ctx.run, ctx.lease.token, self.row, &text, call.clone())
        });
        match saved.await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.lost.store(true, Ordering::Relaxed);
                Err(HostError("somebody else works on this row".to_owned()))
            }
            Err(error) => {
                ctx.stop(Stop::Store(error.to_string()));
                Err(HostError(error.to_string()))
            }
        }
    }
}

#[async_trait]
impl Host for StoreHost<'_> {
    async fn sending(&self, note: &Note) -> Result<(), HostError> {
        if let Err(reached) = self.ctx.ledger.reserve() {
            let error = HostError(reached.to_string());
            self.ctx.stop(Stop::Cap(reached));
            return Err(error);
        }
        self.reserved.store(true, Ordering::Relaxed);
        self.save(note, NotedCall::Intended).await
    }

    async fn started(&self, note: &Note, post: &PostRecord) -> Result<(), HostError> {
        let call = if self.takes_recorded() {
            NotedCall::None
        } else {
            self.settle(Some(post));
            let number = self.attempts.fetch_add(1, Ordering::Relaxed) + 1;
            NotedCall::Made(attempt(self.ctx, number, post, None))
        };
        if matches!(note, Note::Started { .. }) {
            let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            started.get_or_insert(self.ctx.clock.now());
            self.ctx.came_through();
        }
        self.save(note, call).await
    }

    async fn stopped(&self) {
        self.ctx.stopped().await;
    }
}

/// A trigger as it is kept on record.
pub(super) fn attempt(
    ctx: &RunContext,
    number: u32,
    post: &PostRecord,
    error: Option<CellError>,
) -> Attempt {
    let class = if post.ambiguous { AttemptClass::Unknown } else { class_of(post.outcome.class) };
    Attempt {
        sent_at: post.sent_at.map(|sent| wall_at(&ctx.clock, sent)),
        status: post.status,
        error,
        cost_micros: post.sent_at.map_or(0, |_| ctx.ledger.price_micros()),
        ..Attempt::new(number, class, wall_at(&ctx.clock, post.seen_at))
    }
}

pub(super) fn class_of(class: OutcomeClass) -> AttemptClass {
    match class {
        OutcomeClass::Success => AttemptClass::Success,
        OutcomeClass::Throttled => AttemptClass::Throttled,
        OutcomeClass::Transient => AttemptClass::Transient,
        OutcomeClass::RowCaused => AttemptClass::RowCaused,
        OutcomeClass::ConfigurationCaused => AttemptClass::ConfigurationCaused,
    }
}
