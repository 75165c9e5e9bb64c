//! Tables and settings.

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, NewTable, Table, TableChange, TableId, check_name, limits};
use rusqlite::{OptionalExtension, ToSql, params};

use super::connection::Db;
use super::{changes, columns, ids, schema};
use crate::error::Result;
use crate::rules;

pub(super) fn create_table(db: &Db<'_>, new: &NewTable) -> Result<Table> {
    check_name("table", &new.name)?;
    rules::check_length("description", new.description.len(), limits::VALUE_BYTES_MAX)?;
    rules::check_column_count(new.columns.len(), limits::TABLE_COLUMNS_MAX)?;
    schema::check_free(db, &new.name)?;
    rules::check_distinct(&new.columns)?;
    schema::create(db, &new.name, &new.columns)?;
    let id = ids::next_table(db)?;
    db.conn
        .prepare_cached(
            "-- paceline: create_table\n\
             INSERT INTO _ht_tables (id, name, description, created_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![id.0, new.name, new.description, db.now.as_micros()])?;
    let columns = new.columns.iter().map(|column| columns::insert_column(db, id, column));
    let columns = columns.collect::<Result<_>>()?;
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
        Ok(id) => select_tables(db, "AND id = ?1", &[&id])?,
        Err(_) => select_tables(db, "AND name = ?1", &[&name])?,
    };
    Ok(found.pop())
}

pub(super) fn update_table(db: &Db<'_>, table: TableId, change: &TableChange) -> Result<Table> {
    let mut found = existing(db, table)?;
    if let Some(name) = change.name.as_ref().filter(|name| **name != found.name) {
        check_name("table", name)?;
        schema::check_free(db, name)?;
        schema::rename_table(db, &found.name, name)?;
        found.name.clone_from(name);
    }
    if let Some(description) = &change.description {
        rules::check_length("description", description.len(), limits::VALUE_BYTES_MAX)?;
        found.description.clone_from(description);
    }
    db.conn
        .prepare_cached(
            "-- paceline: update_table\nUPDATE _ht_tables SET name = ?2, description = ?3 WHERE id = ?1",
        )?
        .execute(params![table.0, found.name, found.description])?;
    columns::write_references(db, table, &change.references)?;
    existing(db, table)
}

/// Fails with `Missing` if there is no such table.
pub(super) fn existing(db: &Db<'_>, table: TableId) -> Result<Table> {
    let found = select_tables(db, "AND id = ?1", &[&table.0])?.pop();
    found.ok_or_else(|| rules::missing_table(table))
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

fn select_tables(db: &Db<'_>, tail: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Table>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: tables\nSELECT id, name, description, created_at FROM _ht_tables \
         WHERE deleted_at IS NULL {tail}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut tables = Vec::new();
    while let Some(row) = rows.next()? {
        let id = TableId(row.get(0)?);
        tables.push(Table {
            id,
            name: row.get(1)?,
            description: row.get(2)?,
            columns: columns::columns(db, id)?,
            created_at: Timestamp::from_micros(row.get(3)?),
        });
    }
    Ok(tables)
}
