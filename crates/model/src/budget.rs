//! What a budget learnt, as it is kept over a restart.

use paceline_clock::Timestamp;

/// The memory of one budget; see [`Store::save_budget`](crate::Store::save_budget).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedBudget {
    /// What was learnt, as whoever saved it writes it.
    pub snapshot: String,
    /// When it was taken: times in it are ages at this moment.
    pub saved_at: Timestamp,
}
