//! What a server knows of itself: what it has counted, since when it works, and whether it is stopping.

use std::sync::atomic::{AtomicBool, Ordering};

use paceline_clock::Tick;

use crate::metrics::Metrics;

/// See above. One per [`crate::App`].
#[derive(Debug)]
pub(crate) struct Vitals {
    pub(crate) metrics: Metrics,
    pub(crate) began: Tick,
    stopping: AtomicBool,
}

impl Vitals {
    /// Of a server that begins now.
    pub(crate) fn new(now: Tick) -> Self {
        Self { metrics: Metrics::new(), began: now, stopping: AtomicBool::new(false) }
    }

    /// From here on it takes no new work.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
