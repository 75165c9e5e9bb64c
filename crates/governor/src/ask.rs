//! What a caller asks for: how urgently, in whose turn, and how many tokens.

/// Which of those who wait are served first (spec G4).
///
/// A lower priority is never starved: passed over eight times in a row, it gets the next turn. Under a flood of
/// higher ones that is at least every tenth turn for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Priority {
    /// Somebody watches: one cell that a person asked for.
    High,
    /// Everything else.
    #[default]
    Normal,
    /// What may wait: a backfill, a nightly refresh.
    Low,
}

impl Priority {
    /// Every priority, the first to be served first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The name in text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

/// What a caller asks a budget for. The default is [`Priority::Normal`], turn key 0 with a share of 1, no tokens: with
/// nothing else in use that is first come, first served.
///
/// ```
/// use paceline_governor::{Ask, Priority};
/// let (column, share) = (17, 2);
/// let ask = Ask::new().priority(Priority::High).turn(column, share).tokens(1_200);
/// assert_eq!((ask.get_turn(), ask.get_share(), ask.get_tokens()), (17, 2, 1_200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an ask does nothing by itself"]
pub struct Ask {
    priority: Priority,
    turn: u64,
    share: u32,
    tokens: u64,
    two_gates: bool,
}

impl Ask {
    /// The largest share there is, in turns a round.
    pub const SHARE_MAX: u32 = 1_000;

    /// The default ask.
    pub const fn new() -> Self {
        Self { priority: Priority::Normal, turn: 0, share: 1, tokens: 0, two_gates: false }
    }

    /// How urgent it is.
    pub const fn priority(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Whose turn it uses: callers with one key (a column, a tenant) stand in one line, and the lines of one priority
    /// take turns. In one round a line gets `share` turns, one after the other; a share out of `1..=1000`
    /// ([`SHARE_MAX`](Self::SHARE_MAX)) is brought into it. Where callers of one key differ in their share, the share
    /// of the one that opens its line's turns counts.
    ///
    /// At [`Gates`](crate::Gates) shares do nothing yet: only the first caller of a column stands in the shared line, so
    /// columns take equal turns there.
    pub const fn turn(self, key: u64, share: u32) -> Self {
        let share = match share {
            0 => 1,
            1..=Self::SHARE_MAX => share,
            _ => Self::SHARE_MAX,
        };
        Self { turn: key, share, ..self }
    }

    /// How many tokens the call is expected to cost, for limits that count tokens.
    pub const fn tokens(self, tokens: u64) -> Self {
        Self { tokens, ..self }
    }

    /// Its caller takes two permits at once and looks for itself when it is first.
    pub(crate) const fn waits_at_two_gates(self) -> Self {
        Self { two_gates: true, ..self }
    }

    pub(crate) const fn at_two_gates(&self) -> bool {
        self.two_gates
    }

    /// How urgent it is.
    #[must_use]
    pub const fn get_priority(&self) -> Priority {
        self.priority
    }

    /// The key of the line it stands in.
    #[must_use]
    pub const fn get_turn(&self) -> u64 {
        self.turn
    }

    /// The turns of that line a round, 1 to 1,000.
    #[must_use]
    pub const fn get_share(&self) -> u32 {
        self.share
    }

    /// The tokens it is expected to cost.
    #[must_use]
    pub const fn get_tokens(&self) -> u64 {
        self.tokens
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_brought_into_its_range() {
        let share = |share| Ask::new().turn(7, share).get_share();
        assert_eq!([0, 1, 2, 1_000, 1_001, u32::MAX].map(share), [1, 1, 2, 1_000, 1_000, 1_000]);
    }

    #[test]
    fn each_word_changes_its_own_part_only() {
        let ask = Ask::default().priority(Priority::Low).turn(7, 3).tokens(9);
        assert_eq!(
            ask,
            Ask { priority: Priority::Low, turn: 7, share: 3, tokens: 9, two_gates: false }
        );
        assert_eq!(ask.turn(0, 1).tokens(0).priority(Priority::Normal), Ask::default());
    }
}
