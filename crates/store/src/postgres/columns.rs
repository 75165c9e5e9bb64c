//! Columns of the user's tables.

use std::collections::BTreeSet;

use paceline_model::{
    ChangeKind, Column, ColumnChange, ColumnId, ColumnType, NewColumn, SmartColumn, TableId,
    check_name, limits,
};
use serde_json::Value as Json;

use super::db::Db;
use super::param::{Found, Param, params};
use super::{changes, lock, runs, schema};
use crate::error::Result;
use crate::rules;

/// Columns of a deleted table are there when it is restored, and nowhere before.
const LIVE: &str = "table_id IN (SELECT id FROM paceline._ht_tables WHERE deleted_at IS NULL)";

pub(super) async fn add_column(db: &Db, table: TableId, new: &NewColumn) -> Result<Column> {
    check_name("column", &new.name)?;
    // Others who add one to the same table wait here, and see this one afterwards.
    let table_name = schema::hold(db, table, "ACCESS EXCLUSIVE").await?;
    let existing = columns(db, table).await?;
    rules::check_column_count(existing.len() + 1, limits::POSTGRES_TABLE_COLUMNS_MAX)?;
    if existing.iter().any(|column| column.name == new.name) {
        return Err(rules::column_exists(&new.name));
    }
    schema::add_column(db, &table_name, new).await?;
    let column = insert_columns(db, table, std::slice::from_ref(new)).await?.pop();
    changes::write(db, table, &ChangeKind::Schema).await?;
    column.ok_or_else(|| rules::missing_table(table))
}

pub(super) async fn update_smart_column(
    db: &Db,
    column: ColumnId,
    config: &Json,
    rate_limit: &Json,
) -> Result<Column> {
    let held = format!("WHERE id = $1 AND {LIVE} FOR UPDATE");
    let found = select_columns(db, &held, params![column.0]).await?.pop();
    let found = found.ok_or_else(|| rules::missing_column(column))?;
    let found = rules::with_config(found, config, rate_limit)?;
    let version = found.smart.as_ref().map(|smart| smart.version);
    let config = rules::json_text("config", config)?;
    let rate_limit = rules::json_text("rate_limit", rate_limit)?;
    db.execute(
        "-- paceline: update_smart_column\nUPDATE paceline._ht_columns \
         SET config = $2, rate_limit = $3, version = $4 WHERE id = $1",
        params![column.0, config.as_str(), rate_limit.as_str(), version],
    )
    .await?;
    changes::write(db, found.table, &ChangeKind::Schema).await?;
    Ok(found)
}

pub(super) async fn update_column(
    db: &Db,
    column: ColumnId,
    change: &ColumnChange,
) -> Result<Column> {
    lock::of_column(db, column).await?;
    let found = existing(db, column).await?;
    runs::check_none_active(db, column, &found.name).await?;
    let table = schema::hold(db, found.table, "ACCESS EXCLUSIVE").await?;
    // Nobody changes a column from here on: the table is held.
    let found = existing(db, column).await?;
    let changed = rules::with_change(&found, change, &columns(db, found.table).await?)?;
    check_unused(db, &table, &found, &rules::gone(&found.options, &changed.options)).await?;
    if changed.name != found.name {
        schema::rename_column(db, &table, &found.name, &changed.name).await?;
    }
    let options = rules::changed_options(change, &changed)?;
    db.execute(
        "-- paceline: update_column\n\
         UPDATE paceline._ht_columns SET name = $2, title = $3, options = $4 WHERE id = $1",
        params![column.0, changed.name.as_str(), changed.title.as_deref(), options.as_deref()],
    )
    .await?;
    write_references(db, found.table, &change.references).await?;
    // Read again: it may be among those that name it.
    existing(db, column).await
}

/// Writes the configurations that name what has changed in a table, and tells this table and theirs.
pub(super) async fn write_references(
    db: &Db,
    table: TableId,
    references: &[(ColumnId, Json)],
) -> Result<()> {
    // In the order of their ids, as whoever locks several columns does; and so with the tables.
    let mut references: Vec<_> = references.iter().collect();
    references.sort_by_key(|(other, _)| *other);
    let mut tables = BTreeSet::from([table]);
    for (other, config) in references {
        let config = rules::json_text("config", config)?;
        let of = db
            .first(
                "-- paceline: write_references\nUPDATE paceline._ht_columns SET config = $2 \
                 WHERE id = $1 AND smart_kind IS NOT NULL RETURNING table_id",
                params![other.0, config.as_str()],
            )
            .await?;
        let of = of.ok_or_else(|| rules::missing_column(*other))?;
        tables.insert(TableId(of.int(0)?));
    }
    for table in tables {
        changes::write(db, table, &ChangeKind::Schema).await?;
    }
    Ok(())
}

pub(super) async fn delete_column(db: &Db, column: ColumnId) -> Result<()> {
    lock::of_column(db, column).await?;
    let found = existing(db, column).await?;
    runs::check_none_active(db, column, &found.name).await?;
    runs::hold_all(db, &[column]).await?;
    let table = schema::hold(db, found.table, "ACCESS EXCLUSIVE").await?;
    let found = existing(db, column).await?;
    runs::check_none_looks_at(db, found.table, column, &found.name).await?;
    rules::check_not_last(&found, columns(db, found.table).await?.len())?;
    schema::drop_column(db, &table, &found.name).await?;
    forget(db, &[column]).await?;
    changes::write(db, found.table, &ChangeKind::Schema).await
}

/// Drops everything that is known of columns. Their parts of the SQL table are not touched.
pub(super) async fn forget(db: &Db, columns: &[ColumnId]) -> Result<()> {
    let ids: Vec<i64> = columns.iter().map(|column| column.0).collect();
    for sql in [
        "_ht_tasks WHERE run_id IN (SELECT id FROM paceline._ht_runs WHERE column_id = ANY ($1))",
        "_ht_cells WHERE column_id = ANY ($1)",
        "_ht_attempts WHERE column_id = ANY ($1)",
        "_ht_notes WHERE column_id = ANY ($1)",
        "_ht_calls WHERE column_id = ANY ($1)",
        "_ht_spent WHERE column_id = ANY ($1)",
        "_ht_budgets WHERE split_part(key, ':', 1) = 'column' \
         AND split_part(key, ':', 2) = ANY ($1::text[])",
        "_ht_runs WHERE column_id = ANY ($1)",
        "_ht_columns WHERE id = ANY ($1)",
    ] {
        let sql = format!("-- paceline: forget_column\nDELETE FROM paceline.{sql}");
        db.execute(&sql, params![ids.clone()]).await?;
    }
    Ok(())
}

/// The column of that id, of whatever table that is not deleted.
pub(super) async fn column_by_id(db: &Db, column: ColumnId) -> Result<Option<Column>> {
    let of_live = format!("WHERE id = $1 AND {LIVE}");
    Ok(select_columns(db, &of_live, params![column.0]).await?.pop())
}

/// Fails with `Missing` if there is no such column.
async fn existing(db: &Db, column: ColumnId) -> Result<Column> {
    column_by_id(db, column).await?.ok_or_else(|| rules::missing_column(column))
}

/// The columns of a table, deleted or not.
pub(super) async fn columns(db: &Db, table: TableId) -> Result<Vec<Column>> {
    select_columns(db, "WHERE table_id = $1 ORDER BY id", params![table.0]).await
}

/// The columns of several tables.
pub(super) async fn columns_of(db: &Db, tables: Vec<i64>) -> Result<Vec<Column>> {
    select_columns(db, "WHERE table_id = ANY ($1) ORDER BY id", params![tables]).await
}

/// Refuses to take away options that a row holds.
async fn check_unused(db: &Db, table: &str, column: &Column, gone: &[&str]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let (table, name) = (schema::table_ref(table), schema::column_ref(&column.name));
    // A NUL in a list cannot be read as text; none of the options has one.
    let held = match column.kind {
        ColumnType::MultiSelect => format!(
            "SELECT j.value FROM {table} AS t, json_array_elements_text(CASE \
             WHEN json_typeof(t.{name}) = 'array' AND position('\\u0000' IN t.{name}::text) = 0 \
             THEN t.{name} ELSE '[]' END) AS j (value) WHERE j.value"
        ),
        _ => format!("SELECT t.{name} FROM {table} AS t WHERE t.{name}"),
    };
    let sql = format!("-- paceline: update_column\n{held} = ANY ($1) LIMIT 1");
    match db.first(&sql, params![gone.to_vec()]).await? {
        Some(row) => Err(rules::option_held(&column.name, &row.text(0)?)),
        None => Ok(()),
    }
}

async fn select_columns(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Column>> {
    let sql = format!(
        "-- paceline: columns\nSELECT id, table_id, name, title, kind, smart_kind, config, \
         rate_limit, version, options FROM paceline._ht_columns {tail}"
    );
    db.query(&sql, parameters).await?.iter().map(read_column).collect()
}

fn read_column(row: &Found) -> Result<Column> {
    let smart = match row.opt_text(5)? {
        None => None,
        Some(kind) => Some(SmartColumn {
            kind: rules::parse_smart_kind(&kind)?,
            config: rules::parse_json("config", &row.text(6)?)?,
            rate_limit: rules::parse_json("rate_limit", &row.text(7)?)?,
            version: row.int(8)?,
        }),
    };
    Ok(Column {
        id: ColumnId(row.int(0)?),
        table: TableId(row.int(1)?),
        name: row.text(2)?,
        title: row.opt_text(3)?,
        kind: rules::parse_column_type(&row.text(4)?)?,
        options: rules::parse_options(row.opt_text(9)?)?,
        smart,
    })
}

/// Writes what is known of new columns, their ids in the order given.
pub(super) async fn insert_columns(
    db: &Db,
    table: TableId,
    new: &[NewColumn],
) -> Result<Vec<Column>> {
    let (mut smarts, mut configs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    let mut options = Vec::new();
    for column in new {
        rules::check_title(column.title.as_deref())?;
        options.push(rules::options_text(column.kind, &column.options)?);
        let smart = column.smart.clone().map(|smart| SmartColumn { version: 1, ..smart });
        let text = |what, json: fn(&SmartColumn) -> &Json| {
            smart.as_ref().map(|smart| rules::json_text(what, json(smart))).transpose()
        };
        configs.push(text("config", |smart| &smart.config)?);
        rates.push(text("rate_limit", |smart| &smart.rate_limit)?);
        smarts.push(smart);
    }
    let found = db
        .query(
            "-- paceline: add_column\nINSERT INTO paceline._ht_columns \
             (table_id, name, title, kind, smart_kind, config, rate_limit, version, options) \
             SELECT $1, u.name, u.title, u.kind, u.smart_kind, u.config, u.rate_limit, u.version, \
             u.options FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) WITH ORDINALITY \
             AS u (name, title, kind, smart_kind, config, rate_limit, version, options, place) \
             ORDER BY u.place RETURNING id",
            params![
                table.0,
                new.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(),
                new.iter().map(|column| column.title.as_deref()).collect::<Vec<_>>(),
                new.iter().map(|column| column.kind.as_str()).collect::<Vec<_>>(),
                smarts.iter().map(|s| s.as_ref().map(|s| s.kind.as_str())).collect::<Vec<_>>(),
                configs.iter().map(Option::as_deref).collect::<Vec<_>>(),
                rates.iter().map(Option::as_deref).collect::<Vec<_>>(),
                smarts.iter().map(|s| s.as_ref().map(|s| s.version)).collect::<Vec<_>>(),
                options.iter().map(Option::as_deref).collect::<Vec<_>>(),
            ],
        )
        .await?;
    let made = new.iter().zip(smarts).zip(found).map(|((column, smart), row)| {
        Ok(Column {
            id: ColumnId(row.int(0)?),
            table,
            name: column.name.clone(),
            title: column.title.clone(),
            kind: column.kind,
            options: column.options.clone(),
            smart,
        })
    });
    made.collect()
}
