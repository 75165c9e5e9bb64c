//! A part of a run that goes on by itself, and ends with the run's own future.

use std::future::Future;

use paceline_model::{Error, Result};
use tokio::task::JoinHandle;
use tracing::Instrument;

/// A task that is stopped when nobody waits for its end any more.
pub(super) struct Stage<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Stage<T> {
    pub(super) fn start(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(tokio::spawn(work.in_current_span()))
    }

    /// What it came to.
    pub(super) async fn end(mut self) -> Result<T> {
        match (&mut self.0).await {
            Ok(result) => result,
            Err(error) => Err(Error::Conflict(format!("a part of the run broke off: {error}"))),
        }
    }
}

impl<T> Drop for Stage<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
