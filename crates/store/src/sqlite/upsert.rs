//! Rows inserted, or updated where their key is there already.

use paceline_model::{ChangeKind, ColumnId, RowId, TableId, Upserted, Value};

use super::connection::Db;
use super::locks::Locker;
use super::schema::{Place, places, quote, select_list, table_name};
use super::{changes, edit, rows};
use crate::edit::Touched;
use crate::error::Result;
use crate::key::Keyed;
use crate::rules;

pub(super) fn upsert_rows(
    db: &Db<'_>,
    table: TableId,
    key: &[ColumnId],
    columns: &[ColumnId],
    rows: &[Vec<Value>],
) -> Result<Upserted> {
    rules::check_insert(rows.len())?;
    let name = table_name(db, table)?;
    let places = places(db, table, columns)?;
    rows::check_distinct(&places)?;
    for (index, row) in rows.iter().enumerate() {
        rows::check_row(&places, row).map_err(|fault| rules::in_row(index + 1, fault))?;
    }
    let typed: Vec<_> = places.iter().map(|place| (place.id, place.kind)).collect();
    let keyed = Keyed::of(key, &typed, rows)?;
    let there = there(db, &name, &places, &keyed)?;
    let updated = update(db, table, &name, &places, &keyed, &there)?;
    let new = keyed.rows.iter().zip(&there).filter(|(_, there)| there.is_none());
    let new: Vec<&[Value]> = new.map(|(row, _)| *row).collect();
    let inserted = rows::insert(db, table, &name, &places, &new)?;
    Ok(Upserted { inserted, updated })
}

/// The row that each of the call's rows is already. One pass over the table: a key has no index.
fn there(
    db: &Db<'_>,
    table: &str,
    places: &[Place],
    keyed: &Keyed<'_>,
) -> Result<Vec<Option<i64>>> {
    let mut there = vec![None; keyed.rows.len()];
    let mut missing = keyed.named().count();
    let key: Vec<Place> = keyed.places.iter().map(|place| places[*place].clone()).collect();
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: upsert_rows\nSELECT t._ht_id{} FROM {} AS t ORDER BY t._ht_id",
        select_list("t", &key),
        quote(table)
    ))?;
    let mut found = statement.query([])?;
    while missing > 0 {
        let Some(row) = found.next()? else { break };
        let values = rows::values(row, 1, &key)?;
        let Some(at) = keyed.find(values.iter()) else { continue };
        if there[at].is_none() {
            there[at] = Some(row.get(0)?);
            missing -= 1;
        }
    }
    Ok(there)
}

fn update(
    db: &Db<'_>,
    table: TableId,
    name: &str,
    places: &[Place],
    keyed: &Keyed<'_>,
    there: &[Option<i64>],
) -> Result<u64> {
    let mut statement = db.conn.prepare_cached(&edit::update_sql(name, places))?;
    let mut locker = Locker::of(db, places)?;
    let there = there.iter().zip(&keyed.rows).filter_map(|(id, row)| Some(((*id)?, *row)));
    let mut there: Vec<(i64, &[Value])> = there.collect();
    there.sort_unstable_by_key(|(id, _)| *id);
    let mut touched = Touched::default();
    for (id, row) in &there {
        statement.raw_bind_parameter(1, *id)?;
        rows::bind(&mut statement, db, places, row)?;
        statement.raw_execute()?;
        if let Some(locker) = &mut locker {
            locker.updated(db, *id)?;
        }
        touched.add(RowId(*id));
    }
    if let Some(locker) = &locker {
        locker.tell(db, table, &touched)?;
    }
    let count = touched.count();
    if let Some(kind) = touched.change(|rows| ChangeKind::RowsUpdated { rows }) {
        changes::write(db, table, &kind)?;
    }
    Ok(count)
}
