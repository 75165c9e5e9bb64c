//! What calls come to, by the day.

use std::collections::BTreeMap;

use paceline_clock::Timestamp;
use paceline_model::{Attempt, Spent};

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// The UTC day of a moment, in days since 1970.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(DAY_MICROS)
}

/// What the calls of a batch came to, by the day on which their outcome was seen. Ascending, so that two writers take
/// the days in one order.
#[derive(Debug, Default)]
pub(crate) struct SpentByDay(BTreeMap<i64, Spent>);

impl SpentByDay {
    /// Adds an attempt; one that did not leave cost nothing.
    pub(crate) fn add(&mut self, attempt: &Attempt) {
        if attempt.sent_at.is_some() {
            let spent = self.0.entry(day_of(attempt.seen_at)).or_default();
            spent.calls += 1;
            spent.cost_micros = spent.cost_micros.saturating_add(attempt.cost_micros);
        }
    }

    pub(crate) fn days(&self) -> impl Iterator<Item = (i64, Spent)> {
        self.0.iter().map(|(day, spent)| (*day, *spent))
    }
}
