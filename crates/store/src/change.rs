//! A change as the columns that every backend keeps it in.

use paceline_model::{ChangeKind, ColumnId, Error, RowId, RunId};

use crate::error::{Result, unreadable};
use crate::packed::{pack_rows, unpack_rows};

/// The columns of one change beside its number, its table and its time.
#[derive(Debug, Default)]
pub(crate) struct KeptChange {
    pub(crate) kind: String,
    /// The column of `cells`, the run of `run`.
    pub(crate) subject: Option<i64>,
    /// The range of `rows_inserted`.
    pub(crate) first: Option<i64>,
    pub(crate) last: Option<i64>,
    /// The rows of `cells`, packed.
    pub(crate) rows: Option<Vec<u8>>,
}

impl KeptChange {
    pub(crate) fn of(kind: &ChangeKind) -> Self {
        let named = |name: &str| Self { kind: name.to_owned(), ..Self::default() };
        match kind {
            ChangeKind::Schema => named("schema"),
            ChangeKind::RowsInserted { first, last } => {
                Self { first: Some(first.0), last: Some(last.0), ..named("rows_inserted") }
            }
            ChangeKind::RowsUpdated { rows } => {
                Self { rows: Some(pack_rows(rows)), ..named("rows_updated") }
            }
            ChangeKind::RowsDeleted { rows } => {
                Self { rows: Some(pack_rows(rows)), ..named("rows_deleted") }
            }
            ChangeKind::Reload => named("reload"),
            ChangeKind::Cells { column, rows } => {
                Self { subject: Some(column.0), rows: Some(pack_rows(rows)), ..named("cells") }
            }
            ChangeKind::Run { run } => Self { subject: Some(run.0), ..named("run") },
        }
    }

    /// Fails with `Corrupt` if it is of a kind that is not known, or if what belongs to its kind is missing.
    pub(crate) fn kind(self) -> Result<ChangeKind> {
        let there = |number: Option<i64>| {
            number.ok_or_else(|| Error::Corrupt(format!("a change {:?} lacks a part", self.kind)))
        };
        Ok(match self.kind.as_str() {
            "schema" => ChangeKind::Schema,
            "rows_inserted" => ChangeKind::RowsInserted {
                first: RowId(there(self.first)?),
                last: RowId(there(self.last)?),
            },
            "rows_updated" => ChangeKind::RowsUpdated {
                rows: unpack_rows(self.rows.as_deref().unwrap_or_default())?,
            },
            "rows_deleted" => ChangeKind::RowsDeleted {
                rows: unpack_rows(self.rows.as_deref().unwrap_or_default())?,
            },
            "reload" => ChangeKind::Reload,
            "cells" => ChangeKind::Cells {
                column: ColumnId(there(self.subject)?),
                rows: unpack_rows(self.rows.as_deref().unwrap_or_default())?,
            },
            "run" => ChangeKind::Run { run: RunId(there(self.subject)?) },
            other => return Err(unreadable("kind of a change", other)),
        })
    }
}
