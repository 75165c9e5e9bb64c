//! Rows of the user's tables.

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, ColumnId, Error, Filter, Row, RowId, RowQuery, TableId, Value};
use rusqlite::types::{ToSqlOutput, Value as Owned};
use rusqlite::{CachedStatement, Statement, params, params_from_iter};

use super::connection::Db;
use super::locks::Locker;
use super::schema::{Place, places, quote, select_list, table_name};
use super::{changes, filter};
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
    let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
    insert(db, table, &name, &places, &rows)
}

/// Inserts rows into columns that are distinct, and writes the change.
pub(super) fn insert(
    db: &Db<'_>,
    table: TableId,
    name: &str,
    places: &[Place],
    rows: &[&[Value]],
) -> Result<Option<(RowId, RowId)>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let first = last_row(db, table, name)? + 1;
    let last = first + signed(rows.len()) - 1;
    let mut statement = db.conn.prepare_cached(&insert_sql(name, places))?;
    for (index, (id, row)) in (first..=last).zip(rows).enumerate() {
        insert_row(db, &mut statement, id, places, row)
            .map_err(|fault| rules::in_row(index + 1, fault))?;
    }
    if let Some(mut locker) = Locker::of(db, places)? {
        for (id, row) in (first..=last).zip(rows) {
            locker.inserted(db, id, row)?;
        }
    }
    set_last_row(db, table, last)?;
    let (first, last) = (RowId(first), RowId(last));
    changes::write(db, table, &ChangeKind::RowsInserted { first, last })?;
    Ok(Some((first, last)))
}

pub(super) fn rows(db: &Db<'_>, query: &RowQuery) -> Result<Vec<Row>> {
    rules::check_page(query.limit)?;
    let name = table_name(db, query.table)?;
    let places = places(db, query.table, &query.columns)?;
    let selected = format!(
        "t._ht_id, t._ht_created_at, t._ht_updated_at{} FROM {} AS t",
        select_list("t", &places),
        quote(&name)
    );
    if query.sort.is_empty() {
        return page(db, query, &selected, |row| read_row(row, &places));
    }
    // Only ids and keys go through the sorter: rows may be wide, and it holds as many as are left out too.
    let ids = page(db, query, &format!("t._ht_id FROM {} AS t", quote(&name)), |row| {
        Ok(row.get::<_, i64>(0)?)
    })?;
    let sql = format!("-- paceline: rows\nSELECT {selected} WHERE t._ht_id = ?1");
    let mut statement = db.conn.prepare_cached(&sql)?;
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        let mut found = statement.query([id])?;
        if let Some(row) = found.next()? {
            rows.push(read_row(row, &places)?);
        }
    }
    Ok(rows)
}

/// What `read` makes of the rows of a page.
fn page<T>(
    db: &Db<'_>,
    query: &RowQuery,
    selected: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let (tail, parameters) = page_tail(db, query)?;
    let sql = format!("-- paceline: rows\nSELECT {selected} {tail}");
    // There are as many statements as filters: those are not kept, or they would push out what comes again.
    let (mut kept, mut fresh);
    let statement: &mut Statement<'_> = if query.filter.is_none() {
        kept = db.conn.prepare_cached(&sql)?;
        &mut kept
    } else {
        fresh = db.conn.prepare(&sql)?;
        &mut fresh
    };
    let mut found = statement.query(params_from_iter(&parameters))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        rows.push(read(row)?);
    }
    Ok(rows)
}

/// Which rows a page holds: what follows the tables of its statement, and the parameters.
fn page_tail(db: &Db<'_>, query: &RowQuery) -> Result<(String, Vec<Owned>)> {
    let mut writer = filter::writer(db, query.table, query.filter.as_ref(), &query.sort)?;
    let mut conditions = Vec::new();
    if query.sort.is_empty() || query.after != RowId(0) {
        conditions.push(writer.after(&query.sort, query.after, &query.after_keys)?);
    }
    if let Some(filter) = &query.filter {
        conditions.push(writer.condition(filter)?);
    }
    if conditions.is_empty() {
        conditions.push("TRUE".to_owned());
    }
    let (conditions, order) = (conditions.join(" AND "), writer.order_by(&query.sort)?);
    let mut dialect = writer.dialect;
    let (limit, offset) = (dialect.push(signed(query.limit)), dialect.push(signed(query.offset)));
    let tail = format!("WHERE {conditions} ORDER BY {order} LIMIT {limit} OFFSET {offset}");
    Ok((tail, dialect.parameters))
}

fn read_row(row: &rusqlite::Row<'_>, places: &[Place]) -> Result<Row> {
    Ok(Row {
        id: RowId(row.get(0)?),
        created_at: Timestamp::from_micros(row.get(1)?),
        updated_at: Timestamp::from_micros(row.get(2)?),
        values: values(row, 3, places)?,
    })
}

pub(super) fn count_rows(db: &Db<'_>, table: TableId, filter: Option<&Filter>) -> Result<u64> {
    let name = table_name(db, table)?;
    let sql = format!("-- paceline: count_rows\nSELECT count(*) FROM {} AS t", quote(&name));
    let Some(filter) = filter else {
        return Ok(unsigned(db.conn.prepare_cached(&sql)?.query_row([], |row| row.get(0))?));
    };
    let mut writer = filter::writer(db, table, Some(filter), &[])?;
    let sql = format!("{sql} WHERE {}", writer.condition(filter)?);
    let parameters = params_from_iter(&writer.dialect.parameters);
    Ok(unsigned(db.conn.prepare(&sql)?.query_row(parameters, |row| row.get(0))?))
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

/// The greatest row id given out so far.
fn set_last_row(db: &Db<'_>, table: TableId, last: i64) -> Result<()> {
    let sql = "-- paceline: insert_rows\nUPDATE _ht_tables SET last_row = ?2 WHERE id = ?1";
    db.conn.prepare_cached(sql)?.execute(params![table.0, last])?;
    Ok(())
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
    statement.raw_bind_parameter(1, id)?;
    bind(statement, db, places, row)?;
    statement.raw_execute()?;
    Ok(())
}

/// Binds the time as the second parameter and the values of a row as those after it.
pub(super) fn bind(
    statement: &mut CachedStatement<'_>,
    db: &Db<'_>,
    places: &[Place],
    row: &[Value],
) -> Result<()> {
    rules::check_width(row.len(), places.len())?;
    statement.raw_bind_parameter(2, db.now.as_micros())?;
    for (index, (place, value)) in places.iter().zip(row).enumerate() {
        statement.raw_bind_parameter(index + 3, fitting(place, value)?)?;
    }
    Ok(())
}

/// Refuses a row that does not fit its columns.
pub(super) fn check_row(places: &[Place], row: &[Value]) -> Result<()> {
    rules::check_width(row.len(), places.len())?;
    places.iter().zip(row).try_for_each(|(place, value)| fitting(place, value).map(|_| ()))
}

fn fitting<'v>(place: &Place, value: &'v Value) -> Result<ToSqlOutput<'v>> {
    Ok(encode(place.kind, value)
        .map_err(|error| Error::invalid(format!("column {:?}: {error}", place.name)))?)
}

pub(super) fn check_distinct(places: &[Place]) -> Result<()> {
    for (index, place) in places.iter().enumerate() {
        if places[..index].iter().any(|earlier| earlier.id == place.id) {
            return Err(Error::invalid(format!("column {:?} is named twice", place.name)).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
