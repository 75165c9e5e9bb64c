//! Cells whose values a person wrote: completed, and locked against every run.
//!
//! Who locks cells holds their column and its run that is not final, before the user's table: so no report of a cell is
//! between a look at its lock and its value.

use paceline_model::{ChangeKind, ColumnId, Filter, RowId, TableId};

use super::db::Db;
use super::edit::Search;
use super::param::params;
use super::rows::Part;
use super::schema::{self, Place};
use super::{changes, columns, lock};
use crate::edit::Touched;
use crate::error::Result;
use crate::rules;

/// Holds the smart columns among those that a call writes to, and their runs. The first locks of a transaction.
pub(super) async fn hold(db: &Db, table: TableId, written: &[ColumnId]) -> Result<()> {
    let written: Vec<i64> = written.iter().map(|column| column.0).collect();
    let sql = "-- paceline: lock_cells\nSELECT id FROM paceline._ht_columns WHERE table_id = $1 \
               AND id = ANY ($2) AND smart_kind IS NOT NULL ORDER BY id";
    let found = db.query(sql, params![table.0, written]).await?;
    let smart = found.iter().map(|row| row.int(0)).collect::<Result<Vec<i64>>>()?;
    if smart.is_empty() {
        return Ok(());
    }
    for column in &smart {
        lock::of_column(db, ColumnId(*column)).await?;
    }
    let sql = "-- paceline: lock_cells\nSELECT 1 FROM paceline._ht_runs WHERE column_id = ANY ($1) \
               AND status IN ('queued', 'running', 'paused') ORDER BY id FOR UPDATE";
    db.query(sql, params![smart]).await?;
    Ok(())
}

/// Locks the cells of rows that were there: whatever was written, emptiness too, is a person's word.
pub(super) async fn updated(db: &Db, places: &[Place], rows: &[i64]) -> Result<()> {
    for place in places {
        let Some(kind) = place.smart else { continue };
        lock_rows(db, place.id, rows.to_vec()).await?;
        if kind.has_notes() {
            forget_notes(db, place.id, rows.to_vec()).await?;
        }
    }
    Ok(())
}

/// Locks the cells of new rows: an empty value is one that nobody wrote.
pub(super) async fn inserted(db: &Db, places: &[Place], part: &Part<'_>) -> Result<()> {
    for (place, values) in places.iter().zip(&part.columns) {
        if place.smart.is_none() {
            continue;
        }
        let written = part.ids.iter().zip(values).filter(|(_, value)| value.is_some());
        lock_rows(db, place.id, written.map(|(id, _)| *id).collect()).await?;
    }
    Ok(())
}

/// Tells of the cells of rows that were there; of more than one change tells, their rows' change tells enough.
pub(super) async fn tell(
    db: &Db,
    table: TableId,
    places: &[Place],
    touched: &Touched,
) -> Result<()> {
    for place in places.iter().filter(|place| place.smart.is_some()) {
        if let Some(rows) = touched.rows() {
            let kind = ChangeKind::Cells { column: place.id, rows: rows.to_vec() };
            changes::write(db, table, &kind).await?;
        }
    }
    Ok(())
}

pub(super) async fn lock_cells(
    db: &Db,
    column: ColumnId,
    filter: &Filter,
    locked: bool,
) -> Result<u64> {
    let found = columns::column_by_id(db, column).await?;
    let found = found.ok_or_else(|| rules::missing_column(column))?;
    rules::check_lockable(&found)?;
    let table = found.table;
    hold(db, table, &[column]).await?;
    let name = schema::hold(db, table, "ROW EXCLUSIVE").await?;
    let places = schema::places(db, table, &[column]).await?;
    let mut search = Search::of(db, table, &name, filter).await?;
    let mut touched = Touched::default();
    while let Some(ids) = search.next(db).await? {
        let ids = of_lock(db, column, ids, !locked).await?;
        if locked {
            updated(db, &places, &ids).await?;
        } else {
            unlock_rows(db, column, ids.clone()).await?;
        }
        ids.iter().for_each(|id| touched.add(RowId(*id)));
    }
    let count = touched.count();
    if let Some(kind) = touched.change(|rows| ChangeKind::Cells { column, rows }) {
        changes::write(db, table, &kind).await?;
    }
    Ok(count)
}

/// Those of the rows whose cells are locked, or those whose are not.
async fn of_lock(db: &Db, column: ColumnId, rows: Vec<i64>, locked: bool) -> Result<Vec<i64>> {
    let sql = "-- paceline: lock_cells\nSELECT u.id FROM unnest($2) AS u (id) \
               LEFT JOIN paceline._ht_cells AS c ON c.column_id = $1 AND c.row_id = u.id \
               WHERE coalesce(c.locked, false) = $3 ORDER BY u.id";
    let found = db.query(sql, params![column.0, rows, locked]).await?;
    found.iter().map(|row| row.int(0)).collect()
}

async fn lock_rows(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    db.execute(
        "-- paceline: lock_cells\nINSERT INTO paceline._ht_cells \
         (column_id, row_id, state, version, run_id, updated_at, locked) \
         SELECT $1, u.id, 'completed', \
         coalesce((SELECT version FROM paceline._ht_columns WHERE id = $1), 1), 0, $2, true \
         FROM unnest($3) AS u (id) ON CONFLICT (column_id, row_id) DO UPDATE SET \
         state = excluded.state, error_code = NULL, error_message = NULL, \
         version = excluded.version, updated_at = excluded.updated_at, fingerprint = NULL, \
         parts = NULL, locked = true",
        params![column.0, db.now, rows],
    )
    .await?;
    Ok(())
}

/// An unlocked cell is said to be made from nothing, so that it is stale.
async fn unlock_rows(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<()> {
    db.execute(
        "-- paceline: lock_cells\nUPDATE paceline._ht_cells SET locked = false, fingerprint = NULL, \
         parts = '', updated_at = $2 WHERE column_id = $1 AND row_id = ANY ($3)",
        params![column.0, db.now, rows],
    )
    .await?;
    Ok(())
}

/// Not while a run is at a cell: it goes by its note.
async fn forget_notes(db: &Db, column: ColumnId, rows: Vec<i64>) -> Result<()> {
    db.execute(
        "-- paceline: lock_cells\nDELETE FROM paceline._ht_notes AS n \
         WHERE n.column_id = $1 AND n.row_id = ANY ($2) AND NOT EXISTS \
         (SELECT 1 FROM paceline._ht_runs AS r JOIN paceline._ht_tasks AS k ON k.run_id = r.id \
         WHERE r.column_id = $1 AND r.status IN ('queued', 'running', 'paused') \
         AND k.row_id = n.row_id)",
        params![column.0, rows],
    )
    .await?;
    Ok(())
}
