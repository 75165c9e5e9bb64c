//! Time and randomness as values.
//!
//! Every decision in Paceline takes its time from a [`Clock`] and its chance from a [`Random`], so that the same code
//! runs against the operating system and, by the thousand hours, in virtual time. [`Tick`] is monotonic and is what
//! limits are kept with; [`Timestamp`] is wall time and is only ever recorded, never waited for.
//!
//! ```
//! use std::time::Duration;
//! use paceline_clock::SimClock;
//!
//! // An hour passes at once: the simulated clock jumps whenever nothing is left to do.
//! let elapsed = SimClock::new().run(|clock| async move {
//!     let start = clock.now();
//!     clock.sleep(Duration::from_secs(3600)).await;
//!     clock.now() - start
//! });
//! assert_eq!(elapsed, Duration::from_secs(3600));
//! ```
#![warn(missing_docs)]

mod instant;
mod random;
mod sim;
mod system;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use instant::{Tick, Timestamp};
pub use random::Random;
pub use sim::SimClock;

/// A future that ends at a set time of its clock.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time comes from. Implemented by the operating system's clock and by [`SimClock`].
trait Source: Send + Sync {
    fn now(&self) -> Tick;
    fn wall(&self) -> Timestamp;
    fn sleep_until(&self, deadline: Tick) -> Sleep;
    /// Counts work that goes on outside the runtime; virtual time stands still meanwhile.
    fn add_busy(&self, _delta: isize) {}
}

/// A cheap handle to one source of time. Clones share it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Source>);

impl Clock {
    /// The operating system's clock. It stands at [`Tick::SYSTEM_START`] now.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(system::SystemClock::start()))
    }

    /// Monotonic time.
    #[must_use]
    pub fn now(&self) -> Tick {
        self.0.now()
    }

    /// Wall time, for records and for the headers of other machines. It may jump; nothing waits for it.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.0.wall()
    }

    /// Ends at `deadline`, at once if that has passed. [`Tick::NEVER`] never ends.
    #[must_use]
    pub fn sleep_until(&self, deadline: Tick) -> Sleep {
        self.0.sleep_until(deadline)
    }

    /// Ends after `duration`.
    #[must_use]
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Marks work that goes on outside the runtime (a database thread, say) until the guard is dropped.
    ///
    /// The system clock does not care; the simulated one stands still meanwhile, because what looks idle to the
    /// runtime is not.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.0.add_busy(1);
        Busy(self.clone())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// Holds virtual time still until dropped; see [`Clock::busy`].
#[derive(Debug)]
pub struct Busy(Clock);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.add_busy(-1);
    }
}
