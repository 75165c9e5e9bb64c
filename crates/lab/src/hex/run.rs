//! The life of a run as a function of time: PENDING, RUNNING, an end.

use std::str::FromStr;
use std::time::Duration;

use paceline_clock::Tick;
use serde_json::Value;

use crate::ConfigError;

/// The states of a run, as Hex spells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HexStatus {
    /// Waiting for a kernel.
    Pending,
    /// At work.
    Running,
    /// Ended by an error of the project.
    Errored,
    /// Ended well: the only success.
    Completed,
    /// Ended by somebody's cancellation.
    Killed,
    /// Ended because no kernel was to be had.
    UnableToAllocateKernel,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trigger {
    Api,
    Scheduled,
    /// Somebody looking at the app; only ever asked for here.
    AppRefresh,
}

/// One run. Moments are ticks since the lab started.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) id: String,
    /// The place of its project in the configuration.
    pub(super) project: usize,
    pub(super) trigger: Trigger,
    /// Started by somebody else: it takes none of the user's kernels and is no start of theirs.
    pub(super) is_foreign: bool,
    /// The inputs; none if they were too long to keep.
    pub(super) params: Option<Value>,
    pub(super) notifications: Vec<Value>,
    pub(super) created_at: Tick,
    /// When it appears in listings.
    pub(super) listed_from: Tick,
    pub(super) plan: Plan,
    /// Whether a cancellation finds it just completed.
    pub(super) completes_on_cancel: bool,
    pub(super) is_cancelled: bool,
    /// Whether an answer has told how it ended.
    pub(super) is_end_told: bool,
}

/// When a run does what, unless it is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// When it gets its kernel; never if it ends before.
    pub(super) starts_at: Tick,
    /// When it ends; never if it is stuck.
    pub(super) ends_at: Tick,
    pub(super) end: HexStatus,
}

impl HexStatus {
    /// Every status.
    pub const ALL: [HexStatus; 6] = [
        Self::Pending,
        Self::Running,
        Self::Errored,
        Self::Completed,
        Self::Killed,
        Self::UnableToAllocateKernel,
    ];

    /// As Hex spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Errored => "ERRORED",
            Self::Completed => "COMPLETED",
            Self::Killed => "KILLED",
            Self::UnableToAllocateKernel => "UNABLE_TO_ALLOCATE_KERNEL",
        }
    }

    /// Whether a run stays so for ever.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl FromStr for HexStatus {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let status = Self::ALL.into_iter().find(|status| status.name() == text);
        status.ok_or_else(|| ConfigError::Word {
            what: "status",
            text: text.to_owned(),
            accepted: "PENDING, RUNNING, ERRORED, COMPLETED, KILLED, UNABLE_TO_ALLOCATE_KERNEL",
        })
    }
}

impl Trigger {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::Scheduled => "SCHEDULED",
            Self::AppRefresh => "APP_REFRESH",
        }
    }
}

impl Plan {
    /// The plan of a run that begins at `from`.
    pub(super) fn new(from: Tick, pending: Duration, running: Duration, end: HexStatus) -> Self {
        let (starts_at, ends_at) = match end {
            HexStatus::Pending => (Tick::NEVER, Tick::NEVER),
            HexStatus::Running => (from + pending, Tick::NEVER),
            // It never got a kernel, so it never began.
            HexStatus::UnableToAllocateKernel => (Tick::NEVER, from + pending),
            _ => (from + pending, from + pending + running),
        };
        Self { starts_at, ends_at, end }
    }
}

impl Run {
    /// Where it stands at `now`.
    pub(super) fn status(&self, now: Tick) -> HexStatus {
        if self.plan.ends_at <= now {
            self.plan.end
        } else if self.plan.starts_at <= now {
            HexStatus::Running
        } else {
            HexStatus::Pending
        }
    }

    /// When it began to work, if it has.
    pub(super) fn started_at(&self, now: Tick) -> Option<Tick> {
        let has_begun = self.plan.starts_at <= now && self.plan.starts_at < self.plan.ends_at;
        has_begun.then_some(self.plan.starts_at)
    }

    /// When it ended, if it has.
    pub(super) fn ended_at(&self, now: Tick) -> Option<Tick> {
        (self.plan.ends_at <= now).then_some(self.plan.ends_at)
    }

    /// Ends it `after` from now, unless its own end comes first; false if it has ended already.
    pub(super) fn cancel(&mut self, now: Tick, after: Duration) -> bool {
        if self.plan.ends_at <= now {
            return false;
        }
        self.is_cancelled = true;
        let (ends_at, end) = match self.completes_on_cancel {
            true => (now, HexStatus::Completed),
            false => (now + after, HexStatus::Killed),
        };
        if ends_at < self.plan.ends_at {
            self.plan = Plan { ends_at, end, ..self.plan };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const AT: fn(u64) -> Tick = |s| Tick::from_millis(s * 1000);

    fn run(end: HexStatus) -> Run {
        Run {
            id: "r".to_owned(),
            project: 0,
            trigger: Trigger::Api,
            is_foreign: false,
            params: None,
            notifications: Vec::new(),
            created_at: AT(10),
            listed_from: AT(10),
            plan: Plan::new(AT(10), S(2), S(5), end),
            completes_on_cancel: false,
            is_cancelled: false,
            is_end_told: false,
        }
    }

    #[test]
    fn a_run_passes_through_its_states_on_time() {
        use HexStatus::*;
        let cases = [
            (Completed, [Pending, Pending, Running, Running, Completed, Completed]),
            (Errored, [Pending, Pending, Running, Running, Errored, Errored]),
            (Running, [Pending, Pending, Running, Running, Running, Running]),
            (Pending, [Pending; 6]),
            (
                UnableToAllocateKernel,
                [
                    Pending,
                    Pending,
                    UnableToAllocateKernel,
                    UnableToAllocateKernel,
                    UnableToAllocateKernel,
                    UnableToAllocateKernel,
                ],
            ),
        ];
        for (end, expected) in cases {
            let run = run(end);
            let seen = [10, 11, 12, 16, 17, 9999].map(|s| run.status(AT(s)));
            assert_eq!(seen, expected, "{end:?}");
        }
    }

    #[test]
    fn what_never_began_has_no_start_and_what_goes_on_has_no_end() {
        let late = AT(9999);
        assert_eq!(run(HexStatus::UnableToAllocateKernel).started_at(late), None);
        assert_eq!(run(HexStatus::UnableToAllocateKernel).ended_at(late), Some(AT(12)));
        assert_eq!(run(HexStatus::Running).started_at(late), Some(AT(12)));
        assert_eq!(run(HexStatus::Running).ended_at(late), None);
        assert_eq!(run(HexStatus::Completed).started_at(AT(11)), None);
    }

    #[test]
    fn a_cancellation_ends_what_has_not_ended() {
        for (end, at, killed) in [
            (HexStatus::Completed, 11, true),
            (HexStatus::Completed, 15, true),
            (HexStatus::Completed, 17, false),
            (HexStatus::Running, 9999, true),
            (HexStatus::Pending, 9999, true),
        ] {
            let mut run = run(end);
            assert_eq!(run.cancel(AT(at), S(0)), killed, "{end:?} at {at}");
            let expected = if killed { HexStatus::Killed } else { end };
            assert_eq!(run.status(AT(at)), expected);
        }
    }

    #[test]
    fn a_run_may_complete_before_its_cancellation_takes_hold() {
        let mut slow = run(HexStatus::Completed);
        assert!(slow.cancel(AT(15), S(3)));
        assert_eq!(slow.status(AT(17)), HexStatus::Completed);
        let mut lucky = run(HexStatus::Running);
        lucky.completes_on_cancel = true;
        assert!(lucky.cancel(AT(15), S(3)));
        assert_eq!(lucky.status(AT(15)), HexStatus::Completed);
    }
}
