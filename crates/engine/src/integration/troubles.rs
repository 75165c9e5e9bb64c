//! What goes wrong with jobs that are tried again, and whether that is the job's fault or the vendor's.

use std::collections::HashMap;

use paceline_clock::Tick;
use paceline_governor::OutcomeClass;
use paceline_hex::EndKind;
use paceline_model::RowId;

/// What goes wrong, and whether it is the job or the vendor.
#[derive(Default)]
pub(super) struct Troubles {
    /// How often in a row each row was refused for the rate.
    throttles: HashMap<RowId, u32>,
    /// Since when each row's tries fail.
    failing_since: HashMap<RowId, Tick>,
    /// When a job last came to an end of its own.
    ended_at: Option<Tick>,
}

impl Troubles {
    /// Takes over how a try of a row ended.
    pub(super) fn tried(&mut self, row: RowId, end: &EndKind, now: Tick) {
        let again = match end {
            EndKind::Again { outcome, counts_as_error, .. } => {
                Some((outcome.class == OutcomeClass::Throttled, *counts_as_error))
            }
            _ => None,
        };
        if again.is_some_and(|(throttled, _)| throttled) {
            *self.throttles.entry(row).or_default() += 1;
        } else {
            self.throttles.remove(&row);
        }
        if again.is_some_and(|(_, error)| error) {
            self.failing_since.entry(row).or_insert(now);
        } else if again.is_none() {
            self.failing_since.remove(&row);
        }
        if !matches!(end, EndKind::Again { .. } | EndKind::NoCredentials { .. } | EndKind::Stopped)
        {
            self.ended_at = Some(now);
        }
    }

    /// How often in a row this row was refused for the rate.
    pub(super) fn throttles(&self, row: RowId) -> u32 {
        self.throttles.get(&row).copied().unwrap_or_default()
    }

    /// Since when nothing has worked for anybody, if this row is not the only one in trouble.
    pub(super) fn outage_since(&self, row: RowId) -> Option<Tick> {
        let since = *self.failing_since.get(&row)?;
        self.ended_at.is_none_or(|ended_at| ended_at < since).then_some(since)
    }
}

#[cfg(test)]
mod tests {
    use paceline_governor::Outcome;

    use super::*;

    fn fails(class: OutcomeClass) -> EndKind {
        let (outcome, message) = (Outcome::of(class), String::new());
        EndKind::Again { outcome, counts_as_error: true, code: "X", message }
    }

    #[test]
    fn while_others_come_to_an_end_it_is_the_job() {
        let mut troubles = Troubles::default();
        let (poor, other) = (RowId(1), RowId(2));
        let at = Tick::from_millis;
        assert_eq!(troubles.outage_since(poor), None);
        troubles.tried(poor, &fails(OutcomeClass::Transient), at(10));
        troubles.tried(poor, &fails(OutcomeClass::Transient), at(20));
        assert_eq!(troubles.outage_since(poor), Some(at(10)));
        troubles.tried(other, &EndKind::Stopped, at(30));
        assert_eq!(troubles.outage_since(poor), Some(at(10)), "that says nothing");
        let unpublished = EndKind::Failed { code: "X", message: String::new(), run: None };
        troubles.tried(other, &unpublished, at(30));
        assert_eq!(troubles.outage_since(poor), None);
    }

    #[test]
    fn refusals_in_a_row_are_counted_and_forgotten_with_the_row() {
        let mut troubles = Troubles::default();
        let row = RowId(1);
        for count in 1..4 {
            troubles.tried(row, &fails(OutcomeClass::Throttled), Tick::ZERO);
            assert_eq!(troubles.throttles(row), count);
        }
        troubles.tried(row, &fails(OutcomeClass::Transient), Tick::ZERO);
        assert_eq!(troubles.throttles(row), 0);
        troubles.tried(row, &EndKind::Stopped, Tick::ZERO);
        assert!(troubles.failing_since.is_empty() && troubles.throttles.is_empty());
    }
}
