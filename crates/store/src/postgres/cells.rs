//! The records of cells: read, and written a batch at a time.

use std::collections::HashSet;

use paceline_model::{Cell, CellState, ChangeKind, ColumnId, Counts, RowId, Run, Value, limits};

use super::db::Db;
use super::param::params;
use super::records::Target;
use super::rows::Parts;
use super::schema::{check_still, places, table_name, table_ref};
use super::value::{decode, encode};
use super::{changes, columns, runs};
use crate::codec::{encode_error, signed, unsigned};
use crate::end::End;
use crate::error::Result;
use crate::{fingerprint, rules};

pub(super) async fn cells(
    db: &Db,
    column: ColumnId,
    first: RowId,
    last: RowId,
) -> Result<Vec<Cell>> {
    // One more than allowed, so that what is cut off is an error instead of a hole.
    let limit = signed(limits::PAGE_ROWS_MAX + 1);
    let found = db
        .query(
            "-- paceline: cells\nSELECT row_id, state, version, updated_at, error_code, error_message, \
             fingerprint, parts, locked FROM paceline._ht_cells WHERE column_id = $1 AND row_id BETWEEN $2 AND $3 \
             ORDER BY row_id LIMIT $4",
            params![column.0, first.0, last.0, limit],
        )
        .await?;
    rules::check_cells(found.len(), first, last)?;
    let mut cells = Vec::with_capacity(found.len());
    for row in found {
        cells.push(Cell {
            row: RowId(row.int(0)?),
            state: rules::parse_cell_state(&row.text(1)?)?,
            version: row.int(2)?,
            updated_at: row.time(3)?,
            error: row.error(4)?,
            fingerprint: fingerprint::from_columns(row.opt_bytes(6)?, row.opt_bytes(7)?)?,
            locked: row.bool(8)?,
        });
    }
    Ok(cells)
}

/// How many cells of a column are in each state: one pass over the column's records.
pub(super) async fn count_cells(db: &Db, column: ColumnId) -> Result<Vec<(CellState, u64)>> {
    let sql = "-- paceline: count_cells\n\
               SELECT state, count(*) FROM paceline._ht_cells WHERE column_id = $1 GROUP BY state";
    let found = db.query(sql, params![column.0]).await?;
    let read = |row: super::param::Found| {
        Ok((rules::parse_cell_state(&row.text(0)?)?, unsigned(row.int(1)?)))
    };
    found.into_iter().map(read).collect()
}

/// Cells of one column that came to their ends together: their values, records and counts, and one change.
#[derive(Debug, Default)]
pub(super) struct Ended<'r> {
    pub(super) counts: Counts,
    rows: Vec<i64>,
    states: Vec<&'static str>,
    codes: Vec<Option<&'r str>>,
    messages: Vec<Option<&'r str>>,
    keys: Vec<Option<Vec<u8>>>,
    parts: Vec<Option<Vec<u8>>>,
    values: Vec<(i64, &'r Value)>,
    /// Cells that a person has locked meanwhile.
    locked: HashSet<i64>,
}

impl<'r> Ended<'r> {
    /// Reads which of these cells are locked. With the run's row held it stays so: see [`super::locks`].
    pub(super) async fn begin(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<Self> {
        let sql = "-- paceline: record\nSELECT row_id FROM paceline._ht_cells \
                   WHERE column_id = $1 AND row_id = ANY ($2) AND locked";
        let found = db.query(sql, params![column.0, rows]).await?;
        let locked = found.iter().map(|row| row.int(0)).collect::<Result<_>>()?;
        Ok(Self { locked, ..Self::default() })
    }

    /// Whether a person has locked a cell meanwhile.
    pub(super) fn is_locked(&self, row: RowId) -> bool {
        self.locked.contains(&row.0)
    }

    /// Takes on the counts and the rows of cells that are written, to be told together with others.
    pub(super) fn add_written(&mut self, written: &Ended<'_>) {
        self.rows.extend_from_slice(&written.rows);
        self.counts.completed += written.counts.completed;
        self.counts.failed += written.counts.failed;
        self.counts.skipped += written.counts.skipped;
        self.counts.unknown += written.counts.unknown;
    }

    /// Adds a cell; each at most once. A locked one stays as it is and is counted as skipped.
    pub(super) fn add(&mut self, end: &End<'r>) {
        let row = end.row.0;
        if self.locked.contains(&row) {
            rules::count_end(&mut self.counts, CellState::Skipped);
            return;
        }
        let (code, message) = encode_error(end.error);
        let (key, parts) = fingerprint::to_columns(end.fingerprint);
        self.rows.push(row);
        self.states.push(end.state.as_str());
        self.codes.push(code);
        self.messages.push(message);
        self.keys.push(key.map(<[u8]>::to_vec));
        self.parts.push(parts);
        self.values.extend(end.value.map(|value| (row, value)));
        rules::count_end(&mut self.counts, end.state);
    }

    /// Writes values and records.
    pub(super) async fn write(&self, db: &Db, target: &Target) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        tokio::try_join!(
            biased;
            self.write_values(db, target),
            self.write_records(db, target),
            check_still(db, target.table, &target.table_name),
        )?;
        Ok(())
    }

    async fn write_records(&self, db: &Db, target: &Target) -> Result<()> {
        db.execute(
            "-- paceline: record\nINSERT INTO paceline._ht_cells (column_id, row_id, state, error_code, \
             error_message, version, run_id, updated_at, fingerprint, parts) \
             SELECT $1, u.row_id, u.state, u.code, u.message, $2, $3, $4, u.key, u.parts \
             FROM unnest($5, $6, $7, $8, $9, $10) AS u (row_id, state, code, message, key, parts) \
             ON CONFLICT (column_id, row_id) DO UPDATE SET state = excluded.state, \
             error_code = excluded.error_code, error_message = excluded.error_message, \
             version = excluded.version, run_id = excluded.run_id, updated_at = excluded.updated_at, \
             fingerprint = excluded.fingerprint, parts = excluded.parts",
            params![
                target.column.0,
                target.version,
                target.run.0,
                db.now,
                self.rows.clone(),
                self.states.clone(),
                self.codes.clone(),
                self.messages.clone(),
                self.keys.clone(),
                self.parts.clone(),
            ],
        )
        .await?;
        Ok(())
    }

    async fn write_values(&self, db: &Db, target: &Target) -> Result<()> {
        let sql = format!(
            "-- paceline: record\nUPDATE {} AS t SET {} = u.value::{}, _ht_updated_at = $1 \
             FROM unnest($2, $3) AS u (row_id, value) WHERE t._ht_id = u.row_id",
            table_ref(&target.table_name),
            target.place.quoted(),
            target.place.cast()
        );
        let mut parts = Parts::default();
        for (row, value) in &self.values {
            let encoded = encode(target.place.kind, value).map_err(|error| {
                let name = &target.place.name;
                paceline_model::Error::invalid(format!("row {row}, column {name:?}: {error}"))
            })?;
            parts.add(*row, [encoded]);
        }
        for part in parts.all {
            let mut values = part.columns.into_iter();
            let values = values.next().unwrap_or_default();
            db.execute(&sql, params![db.now, part.ids, values]).await?;
        }
        Ok(())
    }

    /// Writes the counts and the change; answers the run as it stands then.
    pub(super) async fn finish(self, db: &Db, target: &Target) -> Result<Run> {
        let (counts, rows) = (self.counts, self.rows);
        let count = async {
            if counts == Counts::default() {
                return Ok(());
            }
            runs::add_counts(db, target.run, &counts).await
        };
        let tell = async {
            if rows.is_empty() {
                return Ok(());
            }
            let rows = rows.into_iter().map(RowId).collect();
            let kind = ChangeKind::Cells { column: target.column, rows };
            changes::write(db, target.table, &kind).await
        };
        // In this order: the change takes the last lock, and the run is read once its counts are there.
        let ((), run, ()) = tokio::try_join!(biased; count, runs::existing(db, target.run), tell)?;
        Ok(run)
    }
}

/// For each key the value of a completed cell of the column that was made from it.
pub(super) async fn reusable_values(
    db: &Db,
    column: ColumnId,
    keys: &[[u8; 16]],
) -> Result<Vec<Option<Value>>> {
    let found = columns::column_by_id(db, column).await?;
    let table = found.ok_or_else(|| rules::missing_column(column))?.table;
    let name = table_name(db, table).await?;
    let place = places(db, table, &[column]).await?.pop();
    let place = place.ok_or_else(|| rules::missing_column(column))?;
    let sql = format!(
        "-- paceline: reusable_values\nSELECT u.place, v.value FROM unnest($2) WITH ORDINALITY \
         AS u (key, place) CROSS JOIN LATERAL (SELECT t.{}::text AS value \
         FROM paceline._ht_cells AS c JOIN {} AS t ON t._ht_id = c.row_id \
         WHERE c.column_id = $1 AND c.fingerprint = u.key AND c.fingerprint IS NOT NULL \
         AND c.state = 'completed' LIMIT 1) AS v",
        place.quoted(),
        table_ref(&name)
    );
    let sought: Vec<_> = keys.iter().map(|key| Some(key.to_vec())).collect();
    let mut values = vec![None; keys.len()];
    for row in db.query(&sql, params![column.0, sought]).await? {
        // Counted from one.
        let at: usize = row.small(0)?;
        if let Some(value) = at.checked_sub(1).and_then(|at| values.get_mut(at)) {
            *value = Some(decode(place.kind, row.opt_text(1)?)?);
        }
    }
    Ok(values)
}
