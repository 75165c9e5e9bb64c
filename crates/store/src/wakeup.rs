//! The number that says that something has changed. It knows no runtime: whoever waits is woken in its own.

use std::sync::Arc;

use tokio::sync::watch;

/// Grows after every commit of a change, never before: who is answered a number, and then reads, has read what it stands
/// for. Who waits with the number that it was answered last misses nothing that came in between.
#[derive(Clone, Debug)]
pub(crate) struct Wakeup(Arc<watch::Sender<u64>>);

impl Wakeup {
    pub(crate) fn new() -> Self {
        // Not 0: who knows nothing yet is answered at once.
        Self(Arc::new(watch::Sender::new(1)))
    }

    /// Wakes everybody who waits.
    pub(crate) fn ring(&self) {
        self.0.send_modify(|number| *number = number.wrapping_add(1).max(1));
    }

    /// Whether anybody waits.
    pub(crate) fn awaited(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Waits for another number than `seen`.
    pub(crate) async fn after(&self, seen: u64) -> u64 {
        let mut receiver = self.0.subscribe();
        match receiver.wait_for(|number| *number != seen).await.map(|number| *number) {
            Ok(number) => number,
            // Cannot be while `self` is there, which sends.
            Err(_) => std::future::pending().await,
        }
    }
}
