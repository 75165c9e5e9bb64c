//! The ends of cells, written one after the other by prepared statements. In the order of their rows: that decides their
//! cost far more than their number.

use paceline_model::{CellState, ChangeKind, Counts, Error, RowId};
use rusqlite::{CachedStatement, params};

use super::connection::Db;
use super::records::Target;
use super::schema::quote;
use super::{changes, runs};
use crate::codec::{encode, encode_error};
use crate::end::End;
use crate::error::Result;
use crate::{fingerprint, rules};

/// What became of the end of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Ended,
    /// A person has locked it: it stays as it is.
    Locked,
    /// It had a value, and there is no row for it. Its record was written.
    NoRow,
}

/// Finishes cells of one column: value, record, count, and at the end one change.
pub(super) struct CellWriter<'c> {
    value: CachedStatement<'c>,
    record: CachedStatement<'c>,
    row: CachedStatement<'c>,
    forget: CachedStatement<'c>,
    pub(super) counts: Counts,
    rows: Vec<RowId>,
}

impl<'c> CellWriter<'c> {
    pub(super) fn begin(db: &Db<'c>, target: &Target) -> Result<Self> {
        let value = db.conn.prepare_cached(&format!(
            "-- paceline: record\nUPDATE {} SET {} = ?2, _ht_updated_at = ?3 WHERE _ht_id = ?1",
            quote(&target.table_name),
            quote(&target.place.name)
        ))?;
        let record = db.conn.prepare_cached(
            "-- paceline: record\nINSERT INTO _ht_cells (column_id, row_id, state, error_code, \
             error_message, version, run_id, updated_at, fingerprint, parts) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (column_id, row_id) DO UPDATE SET state = excluded.state, \
             error_code = excluded.error_code, error_message = excluded.error_message, \
             version = excluded.version, run_id = excluded.run_id, updated_at = excluded.updated_at, \
             fingerprint = excluded.fingerprint, parts = excluded.parts WHERE locked = 0",
        )?;
        let row = db.conn.prepare_cached(&format!(
            "-- paceline: record\nSELECT 1 FROM {} WHERE _ht_id = ?1",
            quote(&target.table_name)
        ))?;
        let forget = db.conn.prepare_cached(
            "-- paceline: record\nDELETE FROM _ht_cells WHERE column_id = ?1 AND row_id = ?2",
        )?;
        let counts = Counts::default();
        Ok(Self { value, record, row, forget, counts, rows: Vec::new() })
    }

    /// Writes the end of a cell whose row is there, or counts it as skipped if a person has locked it meanwhile.
    pub(super) fn finish_cell(
        &mut self,
        db: &Db<'_>,
        target: &Target,
        end: &End<'_>,
    ) -> Result<()> {
        match self.write(db, target, end)? {
            Written::Ended => {}
            Written::Locked => rules::count_end(&mut self.counts, CellState::Skipped),
            // An SQL shell has taken the row away, and nobody else has: its tasks go with it.
            Written::NoRow => self.count(end),
        }
        Ok(())
    }

    /// Writes the end of a cell and counts it, if it can be.
    pub(super) fn write(&mut self, db: &Db<'_>, target: &Target, end: &End<'_>) -> Result<Written> {
        let row = end.row;
        let encoded = end.value.map(|value| encode(target.place.kind, value)).transpose();
        let encoded = encoded.map_err(|error| {
            Error::invalid(format!("row {row}, column {:?}: {error}", target.place.name))
        })?;
        if !self.write_record(db, target, end)? {
            return Ok(Written::Locked);
        }
        if let Some(encoded) = encoded
            && self.value.execute(params![row.0, encoded, db.now.as_micros()])? == 0
        {
            return Ok(Written::NoRow);
        }
        self.count(end);
        Ok(Written::Ended)
    }

    fn count(&mut self, end: &End<'_>) {
        rules::count_end(&mut self.counts, end.state);
        self.rows.push(end.row);
    }

    /// Whether a row is there.
    pub(super) fn is_row(&mut self, row: RowId) -> Result<bool> {
        Ok(self.row.exists([row.0])?)
    }

    /// Takes back the record of a cell that has no row.
    pub(super) fn forget(&mut self, target: &Target, row: RowId) -> Result<()> {
        self.forget.execute(params![target.column.0, row.0])?;
        Ok(())
    }

    /// False if the cell is locked: then it stays as it is.
    fn write_record(&mut self, db: &Db<'_>, target: &Target, end: &End<'_>) -> Result<bool> {
        let (code, message) = encode_error(end.error);
        let (key, parts) = fingerprint::to_columns(end.fingerprint);
        let written = self.record.execute(params![
            target.column.0,
            end.row.0,
            end.state.as_str(),
            code,
            message,
            target.version,
            target.run.0,
            db.now.as_micros(),
            key,
            parts,
        ])?;
        Ok(written == 1)
    }

    /// Writes the counts and the change.
    pub(super) fn finish(self, db: &Db<'_>, target: &Target) -> Result<()> {
        if self.counts != Counts::default() {
            runs::add_counts(db, target.run, &self.counts)?;
        }
        if !self.rows.is_empty() {
            let kind = ChangeKind::Cells { column: target.column, rows: self.rows };
            changes::write(db, target.table, &kind)?;
        }
        Ok(())
    }
}
