//! Rows changed and deleted, as many as a filter finds: looked for and written in stretches of ids, so that memory does
//! not grow with them. Whoever writes rows of one table goes through them in the order of their ids.

use paceline_model::{ChangeKind, ColumnId, Filter, RowId, TableId, Value};

use super::db::Db;
use super::param::{Param, params};
use super::rows::{check_distinct, encode_row};
use super::schema::{self, Place, places, table_ref};
use super::{changes, filter, lock, locks};
use crate::codec::signed;
use crate::edit::Touched;
use crate::error::Result;
use crate::key::check_columns;

/// Rows looked for at once.
const STRETCH_ROWS: usize = 10_000;

pub(super) async fn update_rows(
    db: &Db,
    table: TableId,
    filter: &Filter,
    columns: &[ColumnId],
    values: &[Value],
) -> Result<u64> {
    locks::hold(db, table, columns).await?;
    let name = schema::hold(db, table, "ROW EXCLUSIVE").await?;
    let places = places(db, table, columns).await?;
    check_distinct(&places)?;
    check_columns(places.len())?;
    let values = encode_row(&places, values)?;
    let mut search = Search::of(db, table, &name, filter).await?;
    let sql = update_sql(&name, &places);
    let mut touched = Touched::default();
    while let Some(ids) = search.next(db).await? {
        ids.iter().for_each(|id| touched.add(RowId(*id)));
        let mut parameters = vec![Param::from(db.now), Param::from(ids.clone())];
        parameters.extend(values.iter().map(|value| Param::from(value.as_deref())));
        db.execute(&sql, &parameters).await?;
        locks::updated(db, &places, &ids).await?;
    }
    locks::tell(db, table, &places, &touched).await?;
    tell(db, table, touched, |rows| ChangeKind::RowsUpdated { rows }).await
}

pub(super) async fn delete_rows(db: &Db, table: TableId, filter: &Filter) -> Result<u64> {
    let records = Records::hold(db, table).await?;
    let name = schema::hold(db, table, "ROW EXCLUSIVE").await?;
    let mut search = Search::of(db, table, &name, filter).await?;
    let sql = format!(
        "-- paceline: delete_rows\nDELETE FROM {} WHERE _ht_id = ANY ($1)",
        table_ref(&name)
    );
    let mut touched = Touched::default();
    while let Some(ids) = search.next(db).await? {
        ids.iter().for_each(|id| touched.add(RowId(*id)));
        db.execute(&sql, params![ids.clone()]).await?;
        records.delete(db, &ids).await?;
    }
    tell(db, table, touched, |rows| ChangeKind::RowsDeleted { rows }).await
}

async fn tell(
    db: &Db,
    table: TableId,
    touched: Touched,
    kind: fn(Vec<RowId>) -> ChangeKind,
) -> Result<u64> {
    let count = touched.count();
    if let Some(kind) = touched.change(kind) {
        changes::write(db, table, &kind).await?;
    }
    Ok(count)
}

/// Rows that pass a filter, a stretch at a time, held until the end of the transaction. What is done to them must not
/// let a row behind them pass or fail.
pub(super) struct Search {
    sql: String,
    parameters: Vec<Param<'static>>,
    ended: bool,
}

impl Search {
    pub(super) async fn of(db: &Db, table: TableId, name: &str, filter: &Filter) -> Result<Self> {
        let mut writer = filter::writer(db, table, Some(filter), &[]).await?;
        let cursor = writer.dialect.push(0);
        let sql = format!(
            "-- paceline: each_row\nSELECT t._ht_id FROM {} AS t WHERE t._ht_id > {cursor} AND {} \
             ORDER BY t._ht_id LIMIT {} FOR UPDATE OF t",
            table_ref(name),
            writer.condition(filter)?,
            writer.dialect.push(signed(STRETCH_ROWS)),
        );
        Ok(Self { sql, parameters: writer.dialect.parameters, ended: false })
    }

    /// The next rows, ascending; `None` when there are no more.
    pub(super) async fn next(&mut self, db: &Db) -> Result<Option<Vec<i64>>> {
        if self.ended {
            return Ok(None);
        }
        let found = db.query(&self.sql, &self.parameters).await?;
        let ids = found.iter().map(|row| row.int(0)).collect::<Result<Vec<i64>>>()?;
        // A row that somebody else moved away meanwhile may leave a stretch shorter than it could be, so only an empty
        // one is the end.
        match ids.last() {
            Some(last) => self.parameters[0] = Param::from(*last),
            None => self.ended = true,
        }
        Ok((!ids.is_empty()).then_some(ids))
    }
}

/// Parameters: the time, the rows, the values.
pub(super) fn update_sql(table: &str, places: &[Place]) -> String {
    let set = places
        .iter()
        .enumerate()
        .map(|(index, place)| format!(", {} = ${}::{}", place.quoted(), index + 3, place.cast()));
    format!(
        "-- paceline: update_rows\nUPDATE {} SET _ht_updated_at = $1{} WHERE _ht_id = ANY ($2)",
        table_ref(table),
        set.collect::<String>()
    )
}

/// What is kept of the cells of a table's rows.
struct Records {
    columns: Vec<i64>,
    runs: Vec<i64>,
}

impl Records {
    /// Holds the smart columns of a table, so that no run of them begins, and the runs that are not final, so that
    /// nobody claims or reports a task before the rows are gone.
    async fn hold(db: &Db, table: TableId) -> Result<Self> {
        let columns = ids(
            db,
            "-- paceline: delete_rows\nSELECT id FROM paceline._ht_columns \
             WHERE table_id = $1 AND smart_kind IS NOT NULL ORDER BY id",
            table,
        )
        .await?;
        for column in &columns {
            lock::of_column(db, ColumnId(*column)).await?;
        }
        let runs = ids(
            db,
            "-- paceline: delete_rows\nSELECT id FROM paceline._ht_runs WHERE table_id = $1 \
             AND status IN ('queued', 'running', 'paused') ORDER BY id FOR UPDATE",
            table,
        )
        .await?;
        Ok(Self { columns, runs })
    }

    async fn delete(&self, db: &Db, rows: &[i64]) -> Result<()> {
        if !self.runs.is_empty() {
            let sql = "-- paceline: delete_rows\nDELETE FROM paceline._ht_tasks \
                       WHERE run_id = ANY ($1) AND row_id = ANY ($2)";
            db.execute(sql, params![self.runs.clone(), rows.to_vec()]).await?;
        }
        for kept in ["_ht_cells", "_ht_attempts", "_ht_notes"] {
            let sql = format!(
                "-- paceline: delete_rows\nDELETE FROM paceline.{kept} \
                 WHERE column_id = $1 AND row_id = ANY ($2)"
            );
            for column in &self.columns {
                db.execute(&sql, params![*column, rows.to_vec()]).await?;
            }
        }
        Ok(())
    }
}

async fn ids(db: &Db, sql: &str, table: TableId) -> Result<Vec<i64>> {
    db.query(sql, params![table.0]).await?.iter().map(|row| row.int(0)).collect()
}
