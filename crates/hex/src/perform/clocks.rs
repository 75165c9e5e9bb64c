//! When a watch has to do something by itself: pure, the time is an argument.

use paceline_clock::Tick;

use crate::Options;

/// What it is time for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// The run waits for a kernel, or runs, for too long.
    Stuck,
    /// It was cancelled and goes on all the same.
    NotCancelled,
    /// Hex has not shown it for too long.
    Gone,
    /// Nothing was heard of it for too long.
    Unseen,
}

/// The clocks of one run: one for waiting for a kernel, one for running, and those of the watch itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vigil {
    pending_since: Tick,
    running_since: Option<Tick>,
    cancelled_at: Option<Tick>,
    heard_at: Tick,
    /// Whether anything was heard since the watch began. Only then is a run stuck: it may have ended while nobody looked.
    heard: bool,
    gone_since: Option<Tick>,
}

impl Vigil {
    /// Of a run that was started at this time, watched from `now` on.
    pub(super) fn new(started_at: Tick, now: Tick) -> Self {
        Self {
            pending_since: started_at,
            running_since: None,
            cancelled_at: None,
            heard_at: now,
            heard: false,
            gone_since: None,
        }
    }

    /// It was seen, running or not; `began` is when it began to run, if Hex says so. The first word of it counts.
    pub(super) fn seen(&mut self, now: Tick, running: bool, began: Option<Tick>) {
        self.heard_at = now;
        self.heard = true;
        self.gone_since = None;
        if running {
            let began = began.unwrap_or(now).clamp(self.pending_since.min(now), now);
            self.running_since.get_or_insert(began);
        }
    }

    /// Hex does not show it.
    pub(super) fn gone(&mut self, now: Tick) {
        self.gone_since.get_or_insert(now);
    }

    pub(super) fn cancelled(&mut self, now: Tick) {
        self.cancelled_at = Some(now);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled_at.is_some()
    }

    /// What it will be time for next, and when.
    pub(super) fn next(&self, options: &Options) -> (Tick, Alarm) {
        let stuck = match (self.cancelled_at, self.running_since) {
            (Some(at), _) => {
                // It goes on only if it was seen to: it may have ended while nobody could look.
                let until = at + options.cancel_wait_max;
                let at = if self.heard_at < until { Tick::NEVER } else { until };
                (at, Alarm::NotCancelled)
            }
            _ if !self.heard => (Tick::NEVER, Alarm::Stuck),
            (None, Some(since)) => (since + options.running_max, Alarm::Stuck),
            (None, None) => (self.pending_since + options.pending_max, Alarm::Stuck),
        };
        let gone = self.gone_since.map(|since| (since + options.gone_max, Alarm::Gone));
        let unseen = (self.heard_at + options.unseen_max, Alarm::Unseen);
        gone.into_iter().fold(stuck.min(unseen), Ord::min)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    fn options() -> Options {
        Options {
            pending_max: Duration::from_secs(100),
            running_max: Duration::from_secs(50),
            cancel_wait_max: Duration::from_secs(10),
            gone_max: Duration::from_secs(20),
            unseen_max: Duration::from_secs(1_000),
            ..Options::default()
        }
    }

    #[test]
    fn waiting_for_a_kernel_does_not_count_as_running() {
        let mut vigil = Vigil::new(at(10), at(10));
        vigil.seen(at(11), false, None);
        assert_eq!(vigil.next(&options()), (at(110), Alarm::Stuck));
        let cases = [
            (None, 140),
            (Some(at(80)), 130),
            // Hex's clock is ahead, or behind by more than the run is old.
            (Some(at(95)), 140),
            (Some(at(1)), 60),
        ];
        for (began, wanted) in cases {
            let mut vigil = vigil;
            vigil.seen(at(90), true, began);
            vigil.seen(at(99), true, None);
            assert_eq!(vigil.next(&options()), (at(wanted), Alarm::Stuck), "{began:?}");
        }
    }

    #[test]
    fn a_run_that_nobody_looked_at_yet_is_not_cancelled() {
        let mut vigil = Vigil::new(at(0), at(5_000));
        assert_eq!(vigil.next(&options()), (at(6_000), Alarm::Unseen));
        vigil.seen(at(5_001), true, Some(at(1)));
        assert_eq!(vigil.next(&options()), (at(51), Alarm::Stuck));
        vigil.cancelled(at(5_002));
        assert_eq!(vigil.next(&options()), (at(6_001), Alarm::Unseen));
        vigil.seen(at(5_013), true, None);
        assert_eq!(vigil.next(&options()), (at(5_012), Alarm::NotCancelled));
    }

    #[test]
    fn a_run_that_hex_does_not_show_is_given_up_unless_it_comes_back() {
        let mut vigil = Vigil::new(at(0), at(0));
        vigil.gone(at(5));
        vigil.gone(at(9));
        assert_eq!(vigil.next(&options()), (at(25), Alarm::Gone));
        vigil.seen(at(10), false, None);
        assert_eq!(vigil.next(&options()), (at(100), Alarm::Stuck));
    }
}
