//! What the calls of a column come to, by the day.

use paceline_clock::Timestamp;
use paceline_model::{ColumnId, Spent};

use super::db::Db;
use super::param::params;
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::spent::{SpentByDay, day_of};

/// Holds the rows of these days until the end of the transaction: after the run's, before the user's table.
pub(super) async fn add(db: &Db, column: ColumnId, spent: &SpentByDay) -> Result<()> {
    let (mut days, mut calls, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for (day, spent) in spent.days() {
        days.push(day);
        calls.push(signed(spent.calls));
        costs.push(signed(spent.cost_micros));
    }
    if days.is_empty() {
        return Ok(());
    }
    db.execute(
        "-- paceline: add_spent\n\
         INSERT INTO paceline._ht_spent AS s (column_id, day, calls, cost_micros) \
         SELECT $1, u.day, u.calls, u.cost FROM unnest($2, $3, $4) AS u (day, calls, cost) \
         ORDER BY u.day ON CONFLICT (column_id, day) DO UPDATE SET \
         calls = s.calls + excluded.calls, cost_micros = s.cost_micros + excluded.cost_micros",
        params![column.0, days, calls, costs],
    )
    .await?;
    Ok(())
}

pub(super) async fn spent(db: &Db, column: ColumnId, at: Timestamp) -> Result<Spent> {
    let sql = "-- paceline: spent\n\
               SELECT calls, cost_micros FROM paceline._ht_spent WHERE column_id = $1 AND day = $2";
    let Some(row) = db.first(sql, params![column.0, day_of(at)]).await? else {
        return Ok(Spent::default());
    };
    Ok(Spent { calls: unsigned(row.int(0)?), cost_micros: unsigned(row.int(1)?) })
}
