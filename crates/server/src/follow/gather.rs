//! The rows that changes name, as many as can be looked at in one go: those of one chunk.

use std::collections::BTreeMap;

use paceline_model::{Change, ChangeKind};

use super::{Watch, marks};

/// What there is to look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The chunk that all of the rows are of.
    pub(super) chunk: Option<i64>,
    /// The rows, and whether anything but their insertion names them.
    pub(super) rows: BTreeMap<i64, bool>,
    /// What is dealt with once they are: changes up to here,
    pub(super) sequence: i64,
    /// and of the one after it rows up to here.
    pub(super) within: i64,
    /// More rows changed than were told.
    pub(super) reload: bool,
}

/// Gathers from the changes that come after `sequence`, of whose first one rows up to `within` are dealt with.
pub(super) fn gather(changes: &[Change], watch: &Watch, sequence: i64, within: i64) -> Piece {
    let mut piece = Piece { chunk: None, rows: BTreeMap::new(), sequence, within, reload: false };
    for change in changes {
        let done = piece.within;
        for row in rows_of(&change.kind, watch).filter(|row| *row > done) {
            let chunk = *piece.chunk.get_or_insert(marks::chunk_of(row));
            if chunk != marks::chunk_of(row) {
                return piece;
            }
            let inserted = matches!(change.kind, ChangeKind::RowsInserted { .. });
            *piece.rows.entry(row).or_default() |= !inserted;
            piece.within = row;
        }
        (piece.sequence, piece.within) = (change.sequence, 0);
        if change.kind == ChangeKind::Reload {
            piece.reload = true;
            return piece;
        }
    }
    piece
}

/// The rows of a change that may be news, ascending.
fn rows_of<'c>(kind: &'c ChangeKind, watch: &Watch) -> Box<dyn Iterator<Item = i64> + 'c> {
    match (kind, watch) {
        (ChangeKind::RowsInserted { first, last }, _) => Box::new(first.0..=last.0),
        (ChangeKind::RowsUpdated { rows }, _) => Box::new(rows.iter().map(|row| row.0)),
        (ChangeKind::Cells { column, .. }, Watch::Field(watched)) if column != watched => {
            Box::new(std::iter::empty())
        }
        (ChangeKind::Cells { rows, .. }, _) => Box::new(rows.iter().map(|row| row.0)),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use paceline_clock::Timestamp;
    use paceline_model::{ColumnId, RowId, TableId};

    use super::*;

    const CHUNK: i64 = marks::CHUNK_ROWS as i64;

    fn change(sequence: i64, kind: ChangeKind) -> Change {
        Change { sequence, table: TableId(1), at: Timestamp::default(), kind }
    }

    fn inserted(first: i64, last: i64) -> ChangeKind {
        ChangeKind::RowsInserted { first: RowId(first), last: RowId(last) }
    }

    fn updated(rows: &[i64]) -> ChangeKind {
        ChangeKind::RowsUpdated { rows: rows.iter().map(|row| RowId(*row)).collect() }
    }

    #[test]
    fn every_row_is_gathered_once_and_never_more_than_a_chunk_at_a_time() {
        let cells = |column, rows: &[i64]| ChangeKind::Cells {
            column: ColumnId(column),
            rows: rows.iter().map(|row| RowId(*row)).collect(),
        };
        let changes = [
            change(11, inserted(1, 2 * CHUNK + 5)),
            change(13, ChangeKind::Schema),
            change(14, updated(&[3, CHUNK + 1])),
            change(17, cells(1, &[4])),
            change(18, cells(2, &[5])),
        ];
        let watch = Watch::Field(ColumnId(2));
        let (mut sequence, mut within, mut found) = (10, 0, Vec::new());
        for _ in 0..20 {
            let left: Vec<Change> =
                changes.iter().filter(|change| change.sequence > sequence).cloned().collect();
            let piece = gather(&left, &watch, sequence, within);
            assert!(piece.rows.keys().all(|row| Some(marks::chunk_of(*row)) == piece.chunk));
            (sequence, within) = (piece.sequence, piece.within);
            found.extend(piece.rows);
        }
        assert_eq!((sequence, within), (18, 0));
        let touched: Vec<i64> = found.iter().filter(|(_, t)| *t).map(|(row, _)| *row).collect();
        assert_eq!(touched, [3, CHUNK + 1, 5]);
        let rows = found.iter().filter(|(_, touched)| !*touched).count();
        assert_eq!(rows as i64, 2 * CHUNK + 5);
    }

    #[test]
    fn a_reload_ends_a_piece() {
        let changes =
            [change(1, updated(&[1])), change(2, ChangeKind::Reload), change(3, updated(&[2]))];
        let piece = gather(&changes, &Watch::Field(ColumnId(1)), 0, 0);
        assert!(piece.reload);
        assert_eq!((piece.sequence, piece.rows), (2, BTreeMap::from([(1, true)])));
    }
}
