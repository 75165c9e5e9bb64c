//! Rows of the user's tables.

use std::borrow::Cow;

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, ColumnId, Error, Filter, Row, RowId, RowQuery, TableId, Value};

use super::db::Db;
use super::param::{Found, Param, params};
use super::schema::{self, Place, places, select_list, table_name, table_ref};
use super::value::{decode, encode};
use super::{changes, filter, locks};
use crate::codec::{signed, unsigned};
use crate::error::Result;
use crate::rules;

/// Rows of one statement, and bytes of their values: a message to the server is bounded, and so is what it keeps of it.
const PART_ROWS_MAX: usize = 2_000;
const PART_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(super) async fn insert_rows(
    db: &Db,
    table: TableId,
    columns: &[ColumnId],
    rows: &[Vec<Value>],
) -> Result<Option<(RowId, RowId)>> {
    rules::check_insert(rows.len())?;
    let name = schema::hold(db, table, "ROW EXCLUSIVE").await?;
    let places = places(db, table, columns).await?;
    check_distinct(&places)?;
    let mut encoded = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate() {
        let row = encode_row(&places, row).map_err(|fault| rules::in_row(index + 1, fault))?;
        encoded.push(row);
    }
    if encoded.is_empty() {
        return Ok(None);
    }
    insert(db, table, &name, &places, encoded).await
}

/// Inserts rows into columns that are distinct, and writes the change. The table is held.
pub(super) async fn insert(
    db: &Db,
    table: TableId,
    name: &str,
    places: &[Place],
    rows: Vec<EncodedRow<'_>>,
) -> Result<Option<(RowId, RowId)>> {
    if rows.is_empty() {
        return Ok(None);
    }
    let first = last_row(db, table, name).await? + 1;
    let last = first + signed(rows.len()) - 1;
    let mut parts = Parts::default();
    for (id, row) in (first..).zip(rows) {
        parts.add(id, row);
    }
    let sql = insert_sql(name, places);
    for part in parts.all {
        locks::inserted(db, places, &part).await?;
        let mut parameters = vec![Param::from(part.ids), Param::from(db.now)];
        parameters.extend(part.columns.into_iter().map(Param::from));
        db.execute(&sql, &parameters).await?;
    }
    db.execute(
        "-- paceline: insert_rows\nUPDATE paceline._ht_tables SET last_row = $2 WHERE id = $1",
        params![table.0, last],
    )
    .await?;
    let (first, last) = (RowId(first), RowId(last));
    changes::write(db, table, &ChangeKind::RowsInserted { first, last }).await?;
    Ok(Some((first, last)))
}

pub(super) async fn rows(db: &Db, query: &RowQuery) -> Result<Vec<Row>> {
    rules::check_page(query.limit)?;
    let name = table_name(db, query.table).await?;
    let places = places(db, query.table, &query.columns).await?;
    let (tail, parameters) = page_tail(db, query).await?;
    let sql = format!(
        "-- paceline: rows\nSELECT t._ht_id, t._ht_created_at, t._ht_updated_at{} FROM {} AS t {tail}",
        select_list("t", &places),
        table_ref(&name)
    );
    let found = db.query(&sql, &parameters).await?;
    let read = |row: Found| {
        Ok(Row {
            id: RowId(row.int(0)?),
            created_at: Timestamp::from_micros(row.int(1)?),
            updated_at: Timestamp::from_micros(row.int(2)?),
            values: values(&row, 3, &places)?,
        })
    };
    found.into_iter().map(read).collect()
}

/// Which rows a page holds: what follows the tables of its statement, and the parameters.
async fn page_tail(db: &Db, query: &RowQuery) -> Result<(String, Vec<Param<'static>>)> {
    let mut writer = filter::writer(db, query.table, query.filter.as_ref(), &query.sort).await?;
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

pub(super) async fn count_rows(db: &Db, table: TableId, filter: Option<&Filter>) -> Result<u64> {
    let name = table_name(db, table).await?;
    let sql = format!("-- paceline: count_rows\nSELECT count(*) FROM {} AS t", table_ref(&name));
    let Some(filter) = filter else {
        return Ok(unsigned(db.one(&sql, &[]).await?.int(0)?));
    };
    let mut writer = filter::writer(db, table, Some(filter), &[]).await?;
    let sql = format!("{sql} WHERE {}", writer.condition(filter)?);
    Ok(unsigned(db.one(&sql, &writer.dialect.parameters).await?.int(0)?))
}

/// The values that begin at `index` of a row.
pub(super) fn values(row: &Found, index: usize, places: &[Place]) -> Result<Vec<Value>> {
    let mut values = Vec::with_capacity(places.len());
    for (offset, place) in places.iter().enumerate() {
        values.push(decode(place.kind, row.opt_text(index + offset)?)?);
    }
    Ok(values)
}

/// The greatest row id of a table, of those given out and those that an SQL shell has put there. Holds the row of the
/// table from here on: nobody else gives out ids.
pub(super) async fn last_row(db: &Db, table: TableId, name: &str) -> Result<i64> {
    let held = db
        .first(
            "-- paceline: last_row\nSELECT last_row FROM paceline._ht_tables WHERE id = $1 FOR UPDATE",
            params![table.0],
        )
        .await?;
    let Some(held) = held else { return Err(rules::missing_table(table)) };
    // A statement of its own, begun once the row is held: it sees what went before.
    let sql =
        format!("-- paceline: last_row\nSELECT coalesce(max(_ht_id), 0) FROM {}", table_ref(name));
    Ok(held.int(0)?.max(db.one(&sql, &[]).await?.int(0)?))
}

/// Rows as columns, in parts that one statement can take.
#[derive(Debug, Default)]
pub(super) struct Parts<'v> {
    pub(super) all: Vec<Part<'v>>,
}

/// Rows of one statement.
#[derive(Debug, Default)]
pub(super) struct Part<'v> {
    pub(super) ids: Vec<i64>,
    pub(super) columns: Vec<Vec<Option<Cow<'v, str>>>>,
    bytes: usize,
}

impl<'v> Parts<'v> {
    /// Adds a row with its values, as many as every other row has.
    pub(super) fn add(&mut self, id: i64, values: impl IntoIterator<Item = Option<Cow<'v, str>>>) {
        let full = |part: &Part<'_>| part.ids.len() >= PART_ROWS_MAX || part.bytes > PART_BYTES_MAX;
        if self.all.last().is_none_or(full) {
            self.all.push(Part::default());
        }
        let Some(part) = self.all.last_mut() else { return };
        part.ids.push(id);
        for (index, value) in values.into_iter().enumerate() {
            part.bytes += value.as_ref().map_or(0, |text| text.len());
            match part.columns.get_mut(index) {
                Some(column) => column.push(value),
                None => part.columns.push(vec![value]),
            }
        }
    }
}

/// The values of a row as they travel.
pub(super) type EncodedRow<'v> = Vec<Option<Cow<'v, str>>>;

pub(super) fn encode_row<'v>(places: &[Place], row: &'v [Value]) -> Result<EncodedRow<'v>> {
    rules::check_width(row.len(), places.len())?;
    let mut encoded = Vec::with_capacity(row.len());
    for (place, value) in places.iter().zip(row) {
        let text = encode(place.kind, value)
            .map_err(|error| Error::invalid(format!("column {:?}: {error}", place.name)))?;
        encoded.push(text);
    }
    Ok(encoded)
}

/// Parameters: the ids, the time, and one list for each column.
fn insert_sql(table: &str, places: &[Place]) -> String {
    let each = |part: &dyn Fn(usize, &Place) -> String| -> String {
        places.iter().enumerate().map(|(index, place)| part(index, place)).collect()
    };
    format!(
        "-- paceline: insert_rows\nINSERT INTO {} (_ht_id, _ht_created_at, _ht_updated_at{}) \
         SELECT u.id, $2, $2{} FROM unnest($1{}) AS u (id{})",
        table_ref(table),
        each(&|_, place| format!(", {}", place.quoted())),
        each(&|index, place| format!(", u.c{index}::{}", place.cast())),
        each(&|index, _| format!(", ${}", index + 3)),
        each(&|index, _| format!(", c{index}")),
    )
}

pub(super) fn check_distinct(places: &[Place]) -> Result<()> {
    for (index, place) in places.iter().enumerate() {
        if places[..index].iter().any(|earlier| earlier.id == place.id) {
            return Err(Error::invalid(format!("column {:?} is named twice", place.name)).into());
        }
    }
    Ok(())
}
