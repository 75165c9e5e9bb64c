//! What the calls of a column come to, by the day.

use paceline_clock::Timestamp;
use paceline_model::{ColumnId, Spent};
use rusqlite::{OptionalExtension, params};

use super::connection::Db;
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::spent::{SpentByDay, day_of};

pub(super) fn add(db: &Db<'_>, column: ColumnId, spent: &SpentByDay) -> Result<()> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: add_spent\nINSERT INTO _ht_spent (column_id, day, calls, cost_micros) \
         VALUES (?1, ?2, ?3, ?4) ON CONFLICT (column_id, day) DO UPDATE SET \
         calls = calls + excluded.calls, cost_micros = cost_micros + excluded.cost_micros",
    )?;
    for (day, spent) in spent.days() {
        let (calls, cost_micros) = (signed(spent.calls), signed(spent.cost_micros));
        statement.execute(params![column.0, day, calls, cost_micros])?;
    }
    Ok(())
}

pub(super) fn spent(db: &Db<'_>, column: ColumnId, at: Timestamp) -> Result<Spent> {
    let found = db
        .conn
        .prepare_cached(
            "-- paceline: spent\n\
             SELECT calls, cost_micros FROM _ht_spent WHERE column_id = ?1 AND day = ?2",
        )?
        .query_row(params![column.0, day_of(at)], |row| {
            Ok(Spent { calls: unsigned(row.get(0)?), cost_micros: unsigned(row.get(1)?) })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}
