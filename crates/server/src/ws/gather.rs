//! What a read brings of changes, as few messages as tell it: bursts become one.

use std::collections::{BTreeMap, BTreeSet};

use paceline_model::{Change, ChangeKind, ColumnId, RowId, RunId, limits};

/// Changes that one message tells, in the order they came.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// The number of the last of them.
    pub(super) sequence: i64,
    pub(super) kind: GroupKind,
}

#[derive(Debug, PartialEq)]
pub(super) enum GroupKind {
    Schema,
    Inserted { first: RowId, last: RowId },
    Updated(Vec<RowId>),
    Deleted(Vec<RowId>),
    Reload,
    Cells(BTreeMap<ColumnId, BTreeSet<i64>>),
    Run(RunId),
}

/// Joins neighbours of one kind, up to as many rows as one change may tell.
pub(super) fn gather(changes: Vec<Change>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for change in changes {
        let sequence = change.sequence;
        let kind = match groups.last_mut() {
            Some(last) => match join(&mut last.kind, change.kind) {
                None => {
                    last.sequence = sequence;
                    continue;
                }
                Some(kind) => kind,
            },
            None => change.kind,
        };
        groups.push(Group { sequence, kind: GroupKind::of(kind) });
    }
    only_the_last_of_each_run(groups)
}

/// How a run stands is read when it is told, so telling it once is enough.
fn only_the_last_of_each_run(mut groups: Vec<Group>) -> Vec<Group> {
    let mut told = BTreeSet::new();
    groups.reverse();
    groups.retain(|group| match group.kind {
        GroupKind::Run(run) => told.insert(run),
        _ => true,
    });
    groups.reverse();
    groups
}

/// Adds a change to a group; hands it back if it does not fit.
fn join(group: &mut GroupKind, change: ChangeKind) -> Option<ChangeKind> {
    match (group, change) {
        (GroupKind::Schema, ChangeKind::Schema) | (GroupKind::Reload, ChangeKind::Reload) => None,
        (GroupKind::Inserted { last, .. }, ChangeKind::RowsInserted { first, last: to })
            if last.0.checked_add(1) == Some(first.0) =>
        {
            *last = to;
            None
        }
        (GroupKind::Updated(all), ChangeKind::RowsUpdated { rows })
        | (GroupKind::Deleted(all), ChangeKind::RowsDeleted { rows })
            if all.len() + rows.len() <= limits::CHANGE_ROWS_MAX =>
        {
            all.extend(rows);
            all.sort_unstable();
            all.dedup();
            None
        }
        (GroupKind::Cells(all), ChangeKind::Cells { column, rows })
            if all.values().map(BTreeSet::len).sum::<usize>() + rows.len()
                <= limits::CHANGE_ROWS_MAX =>
        {
            all.entry(column).or_default().extend(rows.into_iter().map(|row| row.0));
            None
        }
        (_, change) => Some(change),
    }
}

impl GroupKind {
    fn of(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::Schema => Self::Schema,
            ChangeKind::RowsInserted { first, last } => Self::Inserted { first, last },
            ChangeKind::RowsUpdated { rows } => Self::Updated(rows),
            ChangeKind::RowsDeleted { rows } => Self::Deleted(rows),
            ChangeKind::Reload => Self::Reload,
            ChangeKind::Cells { column, rows } => {
                let rows = rows.into_iter().map(|row| row.0).collect();
                Self::Cells(BTreeMap::from([(column, rows)]))
            }
            ChangeKind::Run { run } => Self::Run(run),
        }
    }
}

#[cfg(test)]
mod tests {
    use paceline_clock::Timestamp;
    use paceline_model::TableId;

    use super::*;

    fn gathered(kinds: impl IntoIterator<Item = ChangeKind>) -> Vec<Group> {
        let numbered = kinds.into_iter().zip(1..).map(|(kind, sequence)| Change {
            sequence,
            table: TableId(1),
            at: Timestamp::default(),
            kind,
        });
        gather(numbered.collect())
    }

    fn ids(rows: &[i64]) -> Vec<RowId> {
        rows.iter().copied().map(RowId).collect()
    }

    fn cells(column: i64, rows: &[i64]) -> ChangeKind {
        ChangeKind::Cells { column: ColumnId(column), rows: ids(rows) }
    }

    fn inserted(first: i64, last: i64) -> ChangeKind {
        ChangeKind::RowsInserted { first: RowId(first), last: RowId(last) }
    }

    #[test]
    fn neighbours_of_one_kind_become_one_and_the_order_stays() {
        let groups = gathered([
            inserted(1, 10),
            inserted(11, 20),
            inserted(30, 31),
            ChangeKind::RowsUpdated { rows: ids(&[3, 9]) },
            ChangeKind::RowsUpdated { rows: ids(&[1, 9]) },
            ChangeKind::RowsDeleted { rows: ids(&[2]) },
            cells(1, &[1, 2]),
            cells(2, &[1]),
            cells(1, &[2, 3]),
            ChangeKind::Schema,
            ChangeKind::Schema,
        ]);
        let wanted = [
            (2, GroupKind::Inserted { first: RowId(1), last: RowId(20) }),
            (3, GroupKind::Inserted { first: RowId(30), last: RowId(31) }),
            (5, GroupKind::Updated(ids(&[1, 3, 9]))),
            (6, GroupKind::Deleted(ids(&[2]))),
            (
                9,
                GroupKind::Cells(BTreeMap::from([
                    (ColumnId(1), BTreeSet::from([1, 2, 3])),
                    (ColumnId(2), BTreeSet::from([1])),
                ])),
            ),
            (11, GroupKind::Schema),
        ];
        let wanted: Vec<Group> =
            wanted.into_iter().map(|(sequence, kind)| Group { sequence, kind }).collect();
        assert_eq!(groups, wanted);
    }

    #[test]
    fn a_group_never_tells_more_rows_than_one_change_may() {
        let all: Vec<i64> = (1..=limits::CHANGE_ROWS_MAX as i64).collect();
        assert_eq!(gathered([cells(1, &all), cells(1, &[7])]).len(), 2);
        let deleted = |rows| ChangeKind::RowsDeleted { rows };
        assert_eq!(gathered([deleted(ids(&all)), deleted(ids(&[7]))]).len(), 2);
    }

    #[test]
    fn of_each_run_only_its_last_change_is_told() {
        let run = |run| ChangeKind::Run { run: RunId(run) };
        let groups = gathered([run(1), run(2), cells(1, &[1]), run(1)]);
        let sequences: Vec<i64> = groups.iter().map(|group| group.sequence).collect();
        assert_eq!(sequences, [2, 3, 4]);
    }
}
