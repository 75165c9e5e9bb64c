//! When a run looks again for rows that other runs may have come to their end with: as soon as one of them reports, but
//! not for each of its reports.

use std::time::Duration;

use paceline_clock::{Clock, Tick};
use tokio::sync::watch;

/// Reports of other runs that come within this time are looked at together.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// How long nobody looks if nobody reports. Nothing is known that needs it; a run that waits for nothing would stand
/// still for ever.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Told whenever a run of a table has come further. One for all runs of the table.
pub(crate) type Reported = watch::Sender<()>;

/// When a run looks for rows again.
pub(crate) struct Upstream {
    reported: watch::Receiver<()>,
    looked_at: Tick,
    pause: Duration,
    look_at: Tick,
}

impl Upstream {
    pub(crate) fn new(reported: &Reported, now: Tick) -> Self {
        Self { reported: reported.subscribe(), looked_at: now, pause: Duration::ZERO, look_at: now }
    }

    /// Whether it is time to look. What is reported from here on is news.
    pub(crate) fn may_look(&mut self, now: Tick) -> bool {
        let may = now >= self.look_at;
        if may {
            self.reported.mark_unchanged();
        }
        may
    }

    /// It has looked; `in_vain` if other runs, or this one, have to come further first.
    pub(crate) fn looked(&mut self, now: Tick, in_vain: bool) {
        self.looked_at = now;
        self.pause = match in_vain {
            true => (2 * self.pause).clamp(PAUSE_MIN, PAUSE_MAX),
            false => Duration::ZERO,
        };
        self.look_at = now + self.pause;
    }

    /// Waits until it is time to look again; for ever if it was time all along, because then something else is in the
    /// way. May be dropped and asked again.
    pub(crate) async fn woken(&mut self, clock: &Clock) {
        if self.pause.is_zero() {
            return std::future::pending().await;
        }
        tokio::select! {
            () = clock.sleep_until(self.look_at) => return,
            // An error means that the engine is gone, and then nobody waits.
            _ = self.reported.changed() => {}
        }
        self.pause = PAUSE_MIN;
        self.look_at = self.looked_at + PAUSE_MIN;
        clock.sleep_until(self.look_at).await;
    }
}
