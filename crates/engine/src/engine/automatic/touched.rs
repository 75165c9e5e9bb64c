//! What changes of a table mean for one column that runs by itself: which rows it is to run over, and in what scope.

use std::collections::BTreeSet;

use paceline_model::{
    Change, ChangeKind, ColumnId, Filter, Operator, RowId, Scope, Subject, Test, Value, limits,
};

use crate::common::AutoRun;

/// Ranges of rows in the filter of one run; further ones get a run of their own.
const RANGES_MAX: usize = 100;

/// Rows that came, and rows that changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Touched {
    pub(super) inserted: Vec<(RowId, RowId)>,
    pub(super) changed: BTreeSet<RowId>,
    /// More changed than was told.
    pub(super) any: bool,
}

impl Touched {
    /// Of changes of a table, for a column that needs these others.
    pub(super) fn of(changes: &[Change], auto_run: AutoRun, needs: &[ColumnId]) -> Self {
        let mut touched = Self::default();
        for change in changes {
            match &change.kind {
                ChangeKind::RowsInserted { first, last } => touched.inserted.push((*first, *last)),
                _ if auto_run != AutoRun::OnChange => {}
                ChangeKind::RowsUpdated { rows } => touched.changed.extend(rows),
                ChangeKind::Reload => touched.any = true,
                ChangeKind::Cells { column, rows } if needs.contains(column) => {
                    touched.changed.extend(rows);
                }
                _ => {}
            }
        }
        touched
    }

    pub(super) fn is_empty(&self) -> bool {
        self.inserted.is_empty() && self.changed.is_empty() && !self.any
    }

    /// The scopes and the rows to run, each of a size that a filter may have.
    pub(super) fn asks(&self) -> Vec<(Scope, Filter)> {
        let mut asks = Vec::new();
        for ranges in joined(&self.inserted).chunks(RANGES_MAX) {
            asks.push((Scope::Empty, within(ranges)));
        }
        let changed: Vec<RowId> = self.changed.iter().copied().collect();
        for rows in changed.chunks(limits::FILTER_VALUES_MAX) {
            let rows = of_rows(rows);
            asks.push((Scope::Empty, rows.clone()));
            if !self.any {
                asks.push((Scope::Stale, rows));
            }
        }
        if self.any {
            asks.push((Scope::Stale, Filter::All(Vec::new())));
        }
        asks
    }
}

/// Rows one by one; as ranges where that is short: a run keeps its filter for good.
fn of_rows(rows: &[RowId]) -> Filter {
    let single: Vec<(RowId, RowId)> = rows.iter().map(|row| (*row, *row)).collect();
    let ranges = joined(&single);
    if ranges.len() <= RANGES_MAX {
        return within(&ranges);
    }
    of_ids(Operator::In(rows.iter().map(|row| Value::Int(row.0)).collect()))
}

fn within(ranges: &[(RowId, RowId)]) -> Filter {
    let tests = ranges
        .iter()
        .map(|(first, last)| of_ids(Operator::Between(Value::Int(first.0), Value::Int(last.0))));
    Filter::Any(tests.collect())
}

fn of_ids(operator: Operator) -> Filter {
    Filter::Test(Test { subject: Subject::Id, path: Vec::new(), operator })
}

/// Ranges that follow one another as one.
fn joined(ranges: &[(RowId, RowId)]) -> Vec<(RowId, RowId)> {
    let mut all: Vec<(RowId, RowId)> = Vec::new();
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    for (first, last) in sorted {
        match all.last_mut() {
            Some((_, end)) if first.0 <= end.0.saturating_add(1) => *end = (*end).max(last),
            _ => all.push((first, last)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: i64, last: i64) -> (RowId, RowId) {
        (RowId(first), RowId(last))
    }

    #[test]
    fn inserts_that_follow_one_another_are_one_range() {
        let given = [range(5, 6), range(1, 4), range(9, 9), range(6, 7)];
        assert_eq!(joined(&given), [range(1, 7), range(9, 9)]);
    }

    #[test]
    fn what_came_is_asked_for_beside_a_change_of_everything() {
        let touched =
            Touched { inserted: vec![range(1, 3)], changed: BTreeSet::from([RowId(8)]), any: true };
        let everything = Filter::All(Vec::new());
        assert_eq!(
            touched.asks(),
            [
                (Scope::Empty, within(&[range(1, 3)])),
                (Scope::Empty, within(&[range(8, 8)])),
                (Scope::Stale, everything),
            ]
        );
    }

    #[test]
    fn rows_are_told_as_ranges_where_that_is_short() {
        let rows = |step: i64| -> Vec<RowId> { (1..=5_000).map(|n| RowId(n * step)).collect() };
        assert_eq!(of_rows(&rows(1)), within(&[range(1, 5_000)]));
        assert!(matches!(of_rows(&rows(2)), Filter::Test(_)));
    }
}
