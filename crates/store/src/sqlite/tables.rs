//! Tables, columns and settings.

use paceline_clock::Timestamp;
use paceline_model::{
    ChangeKind, Column, ColumnId, Error, NewColumn, NewTable, SmartColumn, Table, TableId,
    check_name, limits,
};
use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde_json::Value as Json;

use super::connection::Db;
use super::{changes, schema};
use crate::error::Result;
use crate::rules;

pub(super) fn create_table(db: &Db<'_>, new: &NewTable) -> Result<Table> {
    check_name("table", &new.name)?;
    rules::check_length("description", new.description.len(), limits::VALUE_BYTES_MAX)?;
    rules::check_column_count(new.columns.len(), limits::TABLE_COLUMNS_MAX)?;
    // Asked of the database itself, so that a table that somebody made with an SQL shell is found too.
    let taken: bool = db
        .conn
        .prepare_cached(
            "-- paceline: create_table\nSELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?1)",
        )?
        .query_row([&new.name], |row| row.get(0))?;
    if taken {
        return Err(rules::table_exists(&new.name));
    }
    rules::check_distinct(&new.columns)?;
    schema::create(db, &new.name, &new.columns)?;
    db.conn
        .prepare_cached(
            "-- paceline: create_table\n\
             INSERT INTO _ht_tables (name, description, created_at) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![new.name, new.description, db.now.as_micros()])?;
    let id = TableId(db.conn.last_insert_rowid());
    let mut columns = Vec::with_capacity(new.columns.len());
    for column in &new.columns {
        columns.push(insert_column(db, id, column)?);
    }
    changes::write(db, id, &ChangeKind::Schema)?;
    Ok(Table {
        id,
        name: new.name.clone(),
        description: new.description.clone(),
        columns,
        created_at: db.now,
    })
}

pub(super) fn tables(db: &Db<'_>) -> Result<Vec<Table>> {
    select_tables(db, "ORDER BY name", &[])
}

pub(super) fn table(db: &Db<'_>, name: &str) -> Result<Option<Table>> {
    // No name begins with a digit, so a number can only be an id.
    let mut found = match name.parse::<i64>() {
        Ok(id) => select_tables(db, "WHERE id = ?1", &[&id])?,
        Err(_) => select_tables(db, "WHERE name = ?1", &[&name])?,
    };
    Ok(found.pop())
}

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
    let Some(found) = column_by_id(db, column)? else {
        return Err(Error::Missing(format!("there is no column {column}")).into());
    };
    let found = rules::with_config(found, config, rate_limit)?;
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

pub(super) fn setting(db: &Db<'_>, name: &str) -> Result<Option<String>> {
    Ok(db
        .conn
        .prepare_cached("-- paceline: setting\nSELECT value FROM _ht_settings WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

pub(super) fn set_setting(db: &Db<'_>, name: &str, value: &str) -> Result<()> {
    rules::check_setting(name, value)?;
    db.conn
        .prepare_cached(
            "-- paceline: set_setting\nINSERT INTO _ht_settings (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute([name, value])?;
    Ok(())
}

/// The column of that id, of whatever table.
pub(super) fn column_by_id(db: &Db<'_>, column: ColumnId) -> Result<Option<Column>> {
    Ok(select_columns(db, "WHERE id = ?1", column.0)?.pop())
}

fn columns(db: &Db<'_>, table: TableId) -> Result<Vec<Column>> {
    select_columns(db, "WHERE table_id = ?1 ORDER BY id", table.0)
}

fn select_tables(db: &Db<'_>, tail: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Table>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: tables\nSELECT id, name, description, created_at FROM _ht_tables {tail}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let id = TableId(row.get(0)?);
        tables.push(Table {
            id,
            name: row.get(1)?,
            description: row.get(2)?,
            columns: columns(db, id)?,
            created_at: Timestamp::from_micros(row.get(3)?),
        });
    }
    Ok(tables)
}

fn select_columns(db: &Db<'_>, tail: &str, id: i64) -> Result<Vec<Column>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: columns\nSELECT id, table_id, name, title, kind, smart_kind, config, \
         rate_limit, version FROM _ht_columns {tail}"
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
        options: Vec::new(),
        smart,
    })
}

fn insert_column(db: &Db<'_>, table: TableId, new: &NewColumn) -> Result<Column> {
    rules::check_title(new.title.as_deref())?;
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
             (table_id, name, title, kind, smart_kind, config, rate_limit, version) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            table.0,
            new.name,
            new.title,
            new.kind.as_str(),
            smart.as_ref().map(|smart| smart.kind.as_str()),
            config,
            rate_limit,
            smart.as_ref().map(|smart| smart.version),
        ])?;
    Ok(Column {
        id: ColumnId(db.conn.last_insert_rowid()),
        table,
        name: new.name.clone(),
        title: new.title.clone(),
        kind: new.kind,
        options: Vec::new(),
        smart,
    })
}
