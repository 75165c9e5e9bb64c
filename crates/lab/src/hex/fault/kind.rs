//! The ways in which the simulated Hex can go wrong, and at which point of a call each one may strike.

use HexFaultKind as Kind;

use crate::ConfigError;
use crate::fault::{self, Syntax};

/// The largest value of a kind: a day in ms.
const VALUE_MAX: u64 = 86_400_000;

/// One way for the simulated Hex to go wrong; [`HEX_FAULT_GRAMMAR`](crate::HEX_FAULT_GRAMMAR) tells them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::hex) enum HexFaultKind {
    Unauthorized,
    Rotate,
    DropBeforeStart,
    HangBeforeStart,
    TooManyOnStart,
    InternalBeforeStart,
    BadGatewayBeforeStart,
    KernelsBusy,
    UnavailableBeforeStart,
    DropAfterStart,
    HangAfterStart,
    InternalAfterStart,
    BadGatewayAfterStart,
    TimeoutAfterStart,
    GarbledAfterStart,
    DropOnRead,
    HangOnRead,
    TooManyOnRead,
    InternalOnRead,
    BadGatewayOnRead,
    GarbledOnRead,
    DropOnCancel,
    TooManyOnCancel,
    InternalOnCancel,
    StuckPending,
    StuckRunning,
    Errored,
    Killed,
    NoKernel,
    CompletesOnCancel,
    LateInList,
    ConflictOnOverlap,
    Foreign,
    ForeignScheduled,
}

/// A point of a call at which at most one fault strikes. Each counts its own calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hex) enum Stage {
    /// Every call with a good token.
    Call,
    /// Every RunProject that would start a run.
    Start,
    /// Every GET that passed the limits.
    Read,
    /// Every CancelRun of a run that there is.
    Cancel,
    /// Every run that was started: how it ends.
    End,
    /// Every run that was started: what a cancellation finds.
    CancelEnd,
    /// Every run that was started: when it is listed.
    Listing,
    /// Every RunProject of a project that has a run going on.
    Overlap,
    /// Every run that was started: whether another one follows it.
    Foreign,
}

/// How many stages there are.
pub(in crate::hex) const STAGES: usize = Stage::Foreign as usize + 1;

/// Each kind with its word, its point, and the value it takes where it takes one.
const TABLE: [(Kind, &str, Stage, Option<u64>); 34] = [
    (Kind::Unauthorized, "401", Stage::Call, None),
    (Kind::Rotate, "rotate", Stage::Call, None),
    (Kind::DropBeforeStart, "drop-before-start", Stage::Start, None),
    (Kind::HangBeforeStart, "hang-before-start", Stage::Start, None),
    (Kind::TooManyOnStart, "429-on-start", Stage::Start, Some(1)),
    (Kind::InternalBeforeStart, "500-before-start", Stage::Start, None),
    (Kind::BadGatewayBeforeStart, "502-before-start", Stage::Start, None),
    (Kind::KernelsBusy, "503-kernels", Stage::Start, None),
    (Kind::UnavailableBeforeStart, "503-before-start", Stage::Start, None),
    (Kind::DropAfterStart, "drop-after-start", Stage::Start, None),
    (Kind::HangAfterStart, "hang-after-start", Stage::Start, None),
    (Kind::InternalAfterStart, "500-after-start", Stage::Start, None),
    (Kind::BadGatewayAfterStart, "502-after-start", Stage::Start, None),
    (Kind::TimeoutAfterStart, "504-after-start", Stage::Start, None),
    (Kind::GarbledAfterStart, "garbled-after-start", Stage::Start, None),
    (Kind::DropOnRead, "drop-on-read", Stage::Read, None),
    (Kind::HangOnRead, "hang-on-read", Stage::Read, None),
    (Kind::TooManyOnRead, "429-on-read", Stage::Read, Some(1)),
    (Kind::InternalOnRead, "500-on-read", Stage::Read, None),
    (Kind::BadGatewayOnRead, "502-on-read", Stage::Read, None),
    (Kind::GarbledOnRead, "garbled-on-read", Stage::Read, None),
    (Kind::DropOnCancel, "drop-on-cancel", Stage::Cancel, None),
    (Kind::TooManyOnCancel, "429-on-cancel", Stage::Cancel, Some(1)),
    (Kind::InternalOnCancel, "500-on-cancel", Stage::Cancel, None),
    (Kind::StuckPending, "stuck-pending", Stage::End, None),
    (Kind::StuckRunning, "stuck-running", Stage::End, None),
    (Kind::Errored, "errored", Stage::End, None),
    (Kind::Killed, "killed", Stage::End, None),
    (Kind::NoKernel, "no-kernel", Stage::End, None),
    (Kind::CompletesOnCancel, "completes-on-cancel", Stage::CancelEnd, None),
    (Kind::LateInList, "late-in-list", Stage::Listing, Some(30_000)),
    (Kind::ConflictOnOverlap, "409-on-overlap", Stage::Overlap, None),
    (Kind::Foreign, "foreign", Stage::Foreign, None),
    (Kind::ForeignScheduled, "foreign-scheduled", Stage::Foreign, None),
];

impl HexFaultKind {
    /// Every kind, in the order of the grammar.
    pub(super) const ALL: [HexFaultKind; TABLE.len()] = {
        let mut all = [Kind::Unauthorized; TABLE.len()];
        let mut place = 0;
        while place < TABLE.len() {
            all[place] = TABLE[place].0;
            place += 1;
        }
        all
    };

    pub(in crate::hex) fn stage(self) -> Stage {
        TABLE[self.place()].2
    }

    /// Its place in the table, which has the order of the enum.
    pub(super) fn place(self) -> usize {
        self as usize
    }
}

impl fault::Kind for HexFaultKind {
    const KINDS: &'static [Self] = &Self::ALL;
    const SYNTAX: Syntax = Syntax {
        owner: "a Hex",
        value: "value",
        value_max: VALUE_MAX,
        value_wrong: "the value is not a whole number up to 86400000",
        numbered: true,
        refuse: |text, reason| ConfigError::HexFault { text, reason },
    };

    fn name(self) -> &'static str {
        TABLE[self.place()].1
    }

    fn value_default(self) -> Option<u64> {
        TABLE[self.place()].3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind as _;

    #[test]
    fn the_table_has_the_order_of_the_enum_and_no_word_twice() {
        for (place, kind) in HexFaultKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            let named: Vec<_> =
                HexFaultKind::ALL.into_iter().filter(|other| other.name() == kind.name()).collect();
            assert_eq!(named, [kind]);
        }
    }
}
