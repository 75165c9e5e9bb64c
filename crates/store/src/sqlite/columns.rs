//! Columns of the user's tables.

use std::collections::BTreeSet;

use paceline_model::{
    ChangeKind, Column, ColumnChange, ColumnId, ColumnType, NewColumn, SmartColumn, TableId,
    check_name, limits,
};
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value as Json;

use super::connection::Db;
use super::{changes, ids, runs, schema};
use crate::error::Result;
use crate::rules;

pub(super) fn add_column(db: &Db<'_>, table: TableId, new: &NewColumn) -> Result<Column> {
    check_name("column", &new.name)?;
    let table_name = schema::table_name(db, table)?;
    let existing = columns(db, table)?;
    rules::check_column_count(existing.len() + 1, limits::TABLE_COLUMNS_MAX)?;
    if existing.iter().any(|column| column.name == new.name) {
        return Err(rules::column_exists(&new.name));
    }
    schema::add_column(db, &table_name, new)?;
    let column = insert_column(db, table, new)?;
    changes::write(db, table, &ChangeKind::Schema)?;
    Ok(column)
}

pub(super) fn update_smart_column(
    db: &Db<'_>,
    column: ColumnId,
    config: &Json,
    rate_limit: &Json,
) -> Result<Column> {
    let found = rules::with_config(existing(db, column)?, config, rate_limit)?;
    let version = found.smart.as_ref().map(|smart| smart.version);
    let (config, rate_limit) =
        (rules::json_text("config", config)?, rules::json_text("rate_limit", rate_limit)?);
    db.conn
        .prepare_cached(
            "-- paceline: update_smart_column\n\
             UPDATE _ht_columns SET config = ?2, rate_limit = ?3, version = ?4 WHERE id = ?1",
        )?
        .execute(params![column.0, config, rate_limit, version])?;
    changes::write(db, found.table, &ChangeKind::Schema)?;
    Ok(found)
}

pub(super) fn update_column(
    db: &Db<'_>,
    column: ColumnId,
    change: &ColumnChange,
) -> Result<Column> {
    let found = existing(db, column)?;
    runs::check_none_active(db, column, &found.name)?;
    let table = schema::table_name(db, found.table)?;
    let changed = rules::with_change(&found, change, &columns(db, found.table)?)?;
    check_unused(db, &table, &found, &rules::gone(&found.options, &changed.options))?;
    if changed.name != found.name {
        schema::rename_column(db, &table, &found.name, &changed.name)?;
    }
    let options = rules::changed_options(change, &changed)?;
    db.conn
        .prepare_cached(
            "-- paceline: update_column\n\
             UPDATE _ht_columns SET name = ?2, title = ?3, options = ?4 WHERE id = ?1",
        )?
        .execute(params![column.0, changed.name, changed.title, options])?;
    write_references(db, found.table, &change.references)?;
    // Read again: it may be among those that name it.
    existing(db, column)
}

/// Writes the configurations that name what has changed in a table, and tells this table and theirs.
pub(super) fn write_references(
    db: &Db<'_>,
    table: TableId,
    references: &[(ColumnId, Json)],
) -> Result<()> {
    let mut tables = BTreeSet::from([table]);
    for (other, config) in references {
        let config = rules::json_text("config", config)?;
        let of: Option<i64> = db
            .conn
            .prepare_cached(
                "-- paceline: write_references\nUPDATE _ht_columns SET config = ?2 \
                 WHERE id = ?1 AND smart_kind IS NOT NULL RETURNING table_id",
            )?
            .query_row(params![other.0, config], |row| row.get(0))
            .optional()?;
        tables.insert(TableId(of.ok_or_else(|| rules::missing_column(*other))?));
    }
    tables.into_iter().try_for_each(|table| changes::write(db, table, &ChangeKind::Schema))
}

pub(super) fn delete_column(db: &Db<'_>, column: ColumnId) -> Result<()> {
    let found = existing(db, column)?;
    runs::check_none_active(db, column, &found.name)?;
    runs::check_none_looks_at(db, found.table, column, &found.name)?;
    rules::check_not_last(&found, columns(db, found.table)?.len())?;
    let table = schema::table_name(db, found.table)?;
    schema::drop_column(db, &table, &found.name)?;
    forget(db, column)?;
    changes::write(db, found.table, &ChangeKind::Schema)
}

/// Drops everything that is known of a column. Its part of the SQL table is not touched.
pub(super) fn forget(db: &Db<'_>, column: ColumnId) -> Result<()> {
    for sql in [
        "DELETE FROM _ht_tasks WHERE run_id IN (SELECT id FROM _ht_runs WHERE column_id = ?1)",
        "DELETE FROM _ht_cells WHERE column_id = ?1",
        "DELETE FROM _ht_attempts WHERE column_id = ?1",
        "DELETE FROM _ht_notes WHERE column_id = ?1",
        "DELETE FROM _ht_calls WHERE column_id = ?1",
        "DELETE FROM _ht_spent WHERE column_id = ?1",
        "DELETE FROM _ht_budgets WHERE key = 'column:' || ?1 OR key GLOB 'column:' || ?1 || ':*'",
        "DELETE FROM _ht_runs WHERE column_id = ?1",
        "DELETE FROM _ht_columns WHERE id = ?1",
    ] {
        let sql = format!("-- paceline: forget_column\n{sql}");
        db.conn.prepare_cached(&sql)?.execute([column.0])?;
    }
    Ok(())
}

/// The column of that id, of whatever table that is not deleted.
pub(super) fn column_by_id(db: &Db<'_>, column: ColumnId) -> Result<Option<Column>> {
    let of_live =
        "WHERE id = ?1 AND table_id IN (SELECT id FROM _ht_tables WHERE deleted_at IS NULL)";
    Ok(select_columns(db, of_live, column.0)?.pop())
}

/// Fails with `Missing` if there is no such column.
fn existing(db: &Db<'_>, column: ColumnId) -> Result<Column> {
    column_by_id(db, column)?.ok_or_else(|| rules::missing_column(column))
}

pub(super) fn columns(db: &Db<'_>, table: TableId) -> Result<Vec<Column>> {
    select_columns(db, "WHERE table_id = ?1 ORDER BY id", table.0)
}

/// Refuses to take away options that a row holds.
fn check_unused(db: &Db<'_>, table: &str, column: &Column, gone: &[&str]) -> Result<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let (table, name) = (schema::quote(table), schema::quote(&column.name));
    let held = match column.kind {
        ColumnType::MultiSelect => {
            format!("SELECT j.value FROM {table} AS t, json_each(t.{name}) AS j WHERE j.value")
        }
        _ => format!("SELECT t.{name} FROM {table} AS t WHERE t.{name}"),
    };
    let sql =
        format!("-- paceline: update_column\n{held} IN (SELECT value FROM json_each(?1)) LIMIT 1");
    let gone = Json::from(gone.to_vec()).to_string();
    let held: Option<String> =
        db.conn.prepare(&sql)?.query_row([gone], |row| row.get(0)).optional()?;
    held.map_or(Ok(()), |option| Err(rules::option_held(&column.name, &option)))
}

fn select_columns(db: &Db<'_>, tail: &str, id: i64) -> Result<Vec<Column>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: columns\nSELECT id, table_id, name, title, kind, smart_kind, config, \
         rate_limit, version, options FROM _ht_columns {tail}"
    ))?;
    let mut rows = statement.query([id])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        columns.push(read_column(row)?);
    }
    Ok(columns)
}

fn read_column(row: &Row<'_>) -> Result<Column> {
    let smart = match row.get::<_, Option<String>>(5)? {
        None => None,
        Some(kind) => Some(SmartColumn {
            kind: rules::parse_smart_kind(&kind)?,
            config: rules::parse_json("config", &row.get::<_, String>(6)?)?,
            rate_limit: rules::parse_json("rate_limit", &row.get::<_, String>(7)?)?,
            version: row.get(8)?,
        }),
    };
    Ok(Column {
        id: ColumnId(row.get(0)?),
        table: TableId(row.get(1)?),
        name: row.get(2)?,
        title: row.get(3)?,
        kind: rules::parse_column_type(&row.get::<_, String>(4)?)?,
        options: rules::parse_options(row.get(9)?)?,
        smart,
    })
}

pub(super) fn insert_column(db: &Db<'_>, table: TableId, new: &NewColumn) -> Result<Column> {
    rules::check_title(new.title.as_deref())?;
    let options = rules::options_text(new.kind, &new.options)?;
    let id = ids::next_column(db)?;
    let smart = new.smart.clone().map(|smart| SmartColumn { version: 1, ..smart });
    let (config, rate_limit) = match &smart {
        Some(smart) => (
            Some(rules::json_text("config", &smart.config)?),
            Some(rules::json_text("rate_limit", &smart.rate_limit)?),
        ),
        None => (None, None),
    };
    db.conn
        .prepare_cached(
            "-- paceline: add_column\nINSERT INTO _ht_columns \
             (id, table_id, name, title, kind, smart_kind, config, rate_limit, version, options) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            id.0,
            table.0,
            new.name,
            new.title,
            new.kind.as_str(),
            smart.as_ref().map(|smart| smart.kind.as_str()),
            config,
            rate_limit,
            smart.as_ref().map(|smart| smart.version),
            options,
        ])?;
    Ok(Column {
        id,
        table,
        name: new.name.clone(),
        title: new.title.clone(),
        kind: new.kind,
        options: new.options.clone(),
        smart,
    })
}
