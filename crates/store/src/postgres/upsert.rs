//! Rows inserted, or updated where their key is there already. The table is held against other writers meanwhile: two
//! callers that bring the same new key must not both insert it.

use paceline_model::{ChangeKind, ColumnId, RowId, TableId, Upserted, Value};

use super::db::Db;
use super::param::Param;
use super::rows::{EncodedRow, Parts, check_distinct, encode_row, insert, values};
use super::schema::{self, Place, places, select_list, table_ref};
use super::{changes, locks};
use crate::edit::Touched;
use crate::error::Result;
use crate::key::Keyed;
use crate::rules;

pub(super) async fn upsert_rows(
    db: &Db,
    table: TableId,
    key: &[ColumnId],
    columns: &[ColumnId],
    rows: &[Vec<Value>],
) -> Result<Upserted> {
    rules::check_insert(rows.len())?;
    locks::hold(db, table, columns).await?;
    let name = schema::hold(db, table, "SHARE ROW EXCLUSIVE").await?;
    let places = places(db, table, columns).await?;
    check_distinct(&places)?;
    for (index, row) in rows.iter().enumerate() {
        encode_row(&places, row).map_err(|fault| rules::in_row(index + 1, fault))?;
    }
    let typed: Vec<_> = places.iter().map(|place| (place.id, place.kind)).collect();
    let keyed = Keyed::of(key, &typed, rows)?;
    let there = there(db, &name, &places, &keyed).await?;
    let (mut known, mut new) = (Vec::new(), Vec::new());
    for (row, id) in keyed.rows.iter().zip(there) {
        let row = encode_row(&places, row)?;
        match id {
            Some(id) => known.push((id, row)),
            None => new.push(row),
        }
    }
    known.sort_unstable_by_key(|(id, _)| *id);
    let updated = update(db, table, &name, &places, known).await?;
    let inserted = insert(db, table, &name, &places, new).await?;
    Ok(Upserted { inserted, updated })
}

/// The row that each of the call's rows is already. One pass over the table: a key has no index.
async fn there(
    db: &Db,
    table: &str,
    places: &[Place],
    keyed: &Keyed<'_>,
) -> Result<Vec<Option<i64>>> {
    let mut there = vec![None; keyed.rows.len()];
    let key: Vec<Place> = keyed.places.iter().map(|place| places[*place].clone()).collect();
    let mut parts = Parts::default();
    for at in keyed.named() {
        let row: Vec<Value> =
            keyed.places.iter().map(|place| keyed.rows[at][*place].clone()).collect();
        let encoded = encode_row(&key, &row)?;
        let owned = encoded.into_iter().map(|text| text.map(|text| text.into_owned().into()));
        parts.add(0, owned.collect::<EncodedRow<'static>>());
    }
    // Here a pass over the table beats a look for each row.
    db.run("-- paceline: upsert_rows\nSET LOCAL enable_hashjoin = on").await?;
    let sql = there_sql(table, &key);
    for part in parts.all {
        let parameters: Vec<Param<'_>> = part.columns.into_iter().map(Param::from).collect();
        for row in db.query(&sql, &parameters).await? {
            let found = values(&row, 1, &key)?;
            if let Some(at) = keyed.find(found.iter()) {
                let id = row.int(0)?;
                let least = there[at].map_or(id, |known: i64| known.min(id));
                there[at] = Some(least);
            }
        }
    }
    db.run("-- paceline: upsert_rows\nSET LOCAL enable_hashjoin = off").await?;
    Ok(there)
}

/// The least row of each key. Parameters: one list for each column of the key.
fn there_sql(table: &str, key: &[Place]) -> String {
    let each = |part: &dyn Fn(usize, &Place) -> String, with: &str| -> String {
        let parts: Vec<String> =
            key.iter().enumerate().map(|(index, place)| part(index, place)).collect();
        parts.join(with)
    };
    let names = each(&|_, place| format!("t.{}", place.quoted()), ", ");
    format!(
        "-- paceline: upsert_rows\nSELECT min(t._ht_id){} FROM {} AS t JOIN unnest({}) AS u ({}) ON {} \
         GROUP BY {names}",
        select_list("t", key),
        table_ref(table),
        each(&|index, _| format!("${}", index + 1), ", "),
        each(&|index, _| format!("c{index}"), ", "),
        each(
            &|index, place| format!("t.{} = u.c{index}::{}", place.quoted(), place.cast()),
            " AND "
        ),
    )
}

async fn update(
    db: &Db,
    table: TableId,
    name: &str,
    places: &[Place],
    rows: Vec<(i64, EncodedRow<'_>)>,
) -> Result<u64> {
    let mut touched = Touched::default();
    let mut parts = Parts::default();
    for (id, row) in rows {
        touched.add(RowId(id));
        parts.add(id, row);
    }
    let sql = update_sql(name, places);
    for part in parts.all {
        let mut parameters = vec![Param::from(db.now), Param::from(part.ids.clone())];
        parameters.extend(part.columns.into_iter().map(Param::from));
        db.execute(&sql, &parameters).await?;
        locks::updated(db, places, &part.ids).await?;
    }
    locks::tell(db, table, places, &touched).await?;
    let count = touched.count();
    if let Some(kind) = touched.change(|rows| ChangeKind::RowsUpdated { rows }) {
        changes::write(db, table, &kind).await?;
    }
    Ok(count)
}

/// Parameters: the time, the rows, and one list for each column.
fn update_sql(table: &str, places: &[Place]) -> String {
    let each = |part: &dyn Fn(usize, &Place) -> String| -> String {
        places.iter().enumerate().map(|(index, place)| part(index, place)).collect()
    };
    format!(
        "-- paceline: upsert_rows\nUPDATE {} AS t SET _ht_updated_at = $1{} FROM unnest($2{}) AS u (id{}) \
         WHERE t._ht_id = u.id",
        table_ref(table),
        each(&|index, place| format!(", {} = u.c{index}::{}", place.quoted(), place.cast())),
        each(&|index, _| format!(", ${}", index + 3)),
        each(&|index, _| format!(", c{index}")),
    )
}
