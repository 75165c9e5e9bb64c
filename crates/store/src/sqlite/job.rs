//! A piece of work for a database thread, and where its answer goes.

use paceline_model::{Error, Result};
use tokio::sync::oneshot;

use super::connection::Db;
use crate::error;

/// A piece of work that does not say what it answers, so that all kinds fit in one queue.
pub(super) trait Job: Send {
    /// Does the work; false if it failed and what it wrote must be undone.
    fn run(&mut self, db: &Db<'_>) -> bool;

    /// Gives the answer, once the transaction has ended; `failed` if it could not be committed.
    fn answer(self: Box<Self>, failed: Option<&Failure>);

    /// Whether the commit must reach the disk before the answer, against a power cut.
    fn durable(&self) -> bool;
}

/// Why a whole transaction came to nothing. Everyone in it gets a copy.
#[derive(Debug)]
pub(super) struct Failure {
    message: String,
    retryable: bool,
}

impl Failure {
    pub(super) fn new(error: &Error) -> Self {
        let message = match error {
            Error::Database { message, .. } => message.clone(),
            other => other.to_string(),
        };
        Self { message, retryable: error.retryable() }
    }

    pub(super) fn to_error(&self) -> Error {
        Error::Database { message: self.message.clone(), retryable: self.retryable }
    }
}

struct Work<F, T> {
    work: Option<F>,
    result: Option<Result<T>>,
    answer: oneshot::Sender<Result<T>>,
    durable: bool,
}

/// Makes a job of a closure; the receiver gets what it answers.
pub(super) fn job<T, F>(durable: bool, work: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>)
where
    T: Send + 'static,
    F: FnOnce(&Db<'_>) -> error::Result<T> + Send + 'static,
{
    let (answer, receiver) = oneshot::channel();
    (Box::new(Work { work: Some(work), result: None, answer, durable }), receiver)
}

impl<T, F> Job for Work<F, T>
where
    T: Send + 'static,
    F: FnOnce(&Db<'_>) -> error::Result<T> + Send + 'static,
{
    fn run(&mut self, db: &Db<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let result = work(db).map_err(|fault| fault.0);
        let well = result.is_ok();
        self.result = Some(result);
        well
    }

    fn answer(self: Box<Self>, failed: Option<&Failure>) {
        let result = match (failed, self.result) {
            // What failed by itself says why; the transaction's end adds nothing to that.
            (_, Some(Err(error))) => Err(error),
            (Some(failure), _) => Err(failure.to_error()),
            (None, Some(result)) => result,
            (None, None) => Err(super::stopped()),
        };
        // Nobody waits any more if the caller was dropped; the work stands all the same.
        let _ = self.answer.send(result);
    }

    fn durable(&self) -> bool {
        self.durable
    }
}
