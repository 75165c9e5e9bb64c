//! Rows of the user's tables.

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, ColumnId, Error, Filter, Row, RowId, RowQuery, TableId, Value};
use rusqlite::{CachedStatement, params};

use super::changes;
use super::connection::Db;
use super::schema::{Place, places, quote, select_list, table_name};
use crate::codec::{decode, encode, signed, unsigned};
use crate::error::Result;
use crate::rules;

pub(super) fn insert_rows(
    db: &Db<'_>,
    table: TableId,
    columns: &[ColumnId],
    rows: &[Vec<Value>],
) -> Result<Option<(RowId, RowId)>> {
    rules::check_insert(rows.len())?;
    let name = table_name(db, table)?;
    let places = places(db, table, columns)?;
    check_distinct(&places)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let first = last_row(db, table, &name)? + 1;
    let last = first + signed(rows.len()) - 1;
    let mut statement = db.conn.prepare_cached(&insert_sql(&name, &places))?;
    for (index, (id, row)) in (first..=last).zip(rows).enumerate() {
        insert_row(db, &mut statement, id, &places, row)
            .map_err(|fault| rules::in_row(index + 1, fault))?;
    }
    db.conn
        .prepare_cached(
            "-- paceline: insert_rows\nUPDATE _ht_tables SET last_row = ?2 WHERE id = ?1",
        )?
        .execute(params![table.0, last])?;
    let (first, last) = (RowId(first), RowId(last));
    changes::write(db, table, &ChangeKind::RowsInserted { first, last })?;
    Ok(Some((first, last)))
}

pub(super) fn rows(db: &Db<'_>, query: &RowQuery) -> Result<Vec<Row>> {
    rules::check_page(query.limit)?;
    let name = table_name(db, query.table)?;
    let places = places(db, query.table, &query.columns)?;
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: rows\nSELECT t._ht_id, t._ht_created_at, t._ht_updated_at{} FROM {} AS t WHERE t._ht_id > ?1 ORDER BY t._ht_id LIMIT ?2",
        select_list("t", &places),
        quote(&name)
    ))?;
    let mut found = statement.query(params![query.after.0, signed(query.limit)])?;
    let mut page = Vec::new();
    while let Some(row) = found.next()? {
        page.push(Row {
            id: RowId(row.get(0)?),
            created_at: Timestamp::from_micros(row.get(1)?),
            updated_at: Timestamp::from_micros(row.get(2)?),
            values: values(row, 3, &places)?,
        });
    }
    Ok(page)
}

pub(super) fn count_rows(db: &Db<'_>, table: TableId, _filter: Option<&Filter>) -> Result<u64> {
    let name = table_name(db, table)?;
    let sql = format!("-- paceline: count_rows\nSELECT count(*) FROM {}", quote(&name));
    Ok(unsigned(db.conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?))
}

/// The values that begin at `index` of a row.
pub(super) fn values(
    row: &rusqlite::Row<'_>,
    index: usize,
    places: &[Place],
) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(places.len());
    for (offset, place) in places.iter().enumerate() {
        values.push(decode(place.kind, row.get_ref(index + offset)?)?);
    }
    Ok(values)
}

/// The greatest row id of a table, of those given out and those that an SQL shell has put there.
pub(super) fn last_row(db: &Db<'_>, table: TableId, name: &str) -> Result<i64> {
    let sql = format!(
        "-- paceline: last_row\nSELECT max(last_row, \
         coalesce((SELECT max(_ht_id) FROM {}), 0)) FROM _ht_tables WHERE id = ?1",
        quote(name)
    );
    let mut statement = db.conn.prepare_cached(&sql)?;
    let mut found = statement.query([table.0])?;
    match found.next()? {
        Some(row) => Ok(row.get(0)?),
        None => Err(rules::missing_table(table)),
    }
}

fn insert_sql(table: &str, places: &[Place]) -> String {
    let names: String = places.iter().map(|place| format!(", {}", quote(&place.name))).collect();
    let parameters: String = (0..places.len()).map(|index| format!(", ?{}", index + 3)).collect();
    format!(
        "-- paceline: insert_rows\nINSERT INTO {} (_ht_id, _ht_created_at, _ht_updated_at{names}) \
         VALUES (?1, ?2, ?2{parameters})",
        quote(table)
    )
}

fn insert_row(
    db: &Db<'_>,
    statement: &mut CachedStatement<'_>,
    id: i64,
    places: &[Place],
    row: &[Value],
) -> Result<()> {
    rules::check_width(row.len(), places.len())?;
    statement.raw_bind_parameter(1, id)?;
    statement.raw_bind_parameter(2, db.now.as_micros())?;
    for (index, (place, value)) in places.iter().zip(row).enumerate() {
        let encoded = encode(place.kind, value)
            .map_err(|error| Error::invalid(format!("column {:?}: {error}", place.name)))?;
        statement.raw_bind_parameter(index + 3, encoded)?;
    }
    statement.raw_execute()?;
    Ok(())
}

fn check_distinct(places: &[Place]) -> Result<()> {
    for (index, place) in places.iter().enumerate() {
        if places[..index].iter().any(|earlier| earlier.id == place.id) {
            return Err(Error::invalid(format!("column {:?} is named twice", place.name)).into());
        }
    }
    Ok(())
}
