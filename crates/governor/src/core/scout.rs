//! While a vendor refuses call after call, one call goes alone, and the others wait for what it comes back with: a storm of
//! refusals costs one call for each pause, not as many as may be under way.

use std::time::Duration;

use paceline_clock::Tick;

use super::flights::Slot;

/// Refusals in a row, round trips counted once, after which calls go alone.
const ROW_MIN: u32 = 2;

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Scout {
    /// Nobody has to go alone.
    #[default]
    None,
    /// The next call goes alone.
    Wanted,
    /// It went, at that moment.
    Out(Slot, Tick),
}

impl Scout {
    /// So many calls in a row were refused.
    pub(super) fn refused(&mut self, row: u32) {
        if row >= ROW_MIN {
            *self = Self::Wanted;
        }
    }

    /// Until when a call is held back, if it is. A refusal is back after `silence`, whatever the vendor thinks about.
    pub(super) fn refuses(&self, silence: Duration, now: Tick) -> Option<Tick> {
        match self {
            Self::Out(_, left) => Some(*left + silence).filter(|until| *until > now),
            _ => None,
        }
    }

    /// A call goes: the one that was wanted, or one after it, which nobody holds back any more.
    pub(super) fn take(&mut self, slot: Slot, now: Tick) {
        *self = match self {
            Self::Wanted => Self::Out(slot, now),
            _ => Self::None,
        };
    }

    /// Whether this call went alone.
    pub(super) fn is(&self, slot: Slot) -> bool {
        matches!(self, Self::Out(scout, _) if *scout == slot)
    }

    /// A call was accepted.
    pub(super) fn good(&mut self) {
        *self = Self::None;
    }

    /// A call ended and says nothing of the rate: if it was the scout, another one is wanted.
    pub(super) fn dropped(&mut self, slot: Slot) {
        if self.is(slot) {
            *self = Self::Wanted;
        }
    }
}
