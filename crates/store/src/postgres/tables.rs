//! Tables and settings.

use std::collections::HashMap;

use paceline_model::{
    ChangeKind, Column, NewTable, Table, TableChange, TableId, check_name, limits,
};

use super::db::Db;
use super::param::{Found, Param, params};
use super::{changes, columns, schema};
use crate::error::Result;
use crate::rules;

/// The setting that a checkpoint writes. No name of a setting elsewhere begins like this.
const CHECKPOINT: &str = "_ht_checkpoint";

pub(super) async fn create_table(db: &Db, new: &NewTable) -> Result<Table> {
    check_name("table", &new.name)?;
    rules::check_length("description", new.description.len(), limits::VALUE_BYTES_MAX)?;
    rules::check_column_count(new.columns.len(), limits::POSTGRES_TABLE_COLUMNS_MAX)?;
    rules::check_distinct(&new.columns)?;
    schema::check_free(db, &new.name).await?;
    schema::create(db, &new.name, &new.columns).await?;
    let made = db
        .one(
            "-- paceline: create_table\nINSERT INTO paceline._ht_tables (name, description, created_at) \
             VALUES ($1, $2, $3) RETURNING id",
            params![new.name.as_str(), new.description.as_str(), db.now],
        )
        .await?;
    let id = TableId(made.int(0)?);
    let columns = columns::insert_columns(db, id, &new.columns).await?;
    changes::write(db, id, &ChangeKind::Schema).await?;
    Ok(Table {
        id,
        name: new.name.clone(),
        description: new.description.clone(),
        columns,
        created_at: db.now,
    })
}

pub(super) async fn tables(db: &Db) -> Result<Vec<Table>> {
    select_tables(db, "ORDER BY name", &[]).await
}

pub(super) async fn table(db: &Db, name: &str) -> Result<Option<Table>> {
    // No name begins with a digit, so a number can only be an id.
    let mut found = match name.parse::<i64>() {
        Ok(id) => select_tables(db, "AND id = $1", params![id]).await?,
        Err(_) => select_tables(db, "AND name = $1", params![name]).await?,
    };
    Ok(found.pop())
}

pub(super) async fn update_table(db: &Db, table: TableId, change: &TableChange) -> Result<Table> {
    if let Some(name) = &change.name {
        check_name("table", name)?;
        let before = schema::hold(db, table, "ACCESS EXCLUSIVE").await?;
        if before != *name {
            schema::check_free(db, name).await?;
            schema::rename_table(db, &before, name).await?;
        }
    }
    if let Some(description) = &change.description {
        rules::check_length("description", description.len(), limits::VALUE_BYTES_MAX)?;
    }
    db.execute(
        "-- paceline: update_table\nUPDATE paceline._ht_tables SET name = coalesce($2, name), \
         description = coalesce($3, description) WHERE id = $1 AND deleted_at IS NULL",
        params![table.0, change.name.as_deref(), change.description.as_deref()],
    )
    .await?;
    existing(db, table).await?;
    columns::write_references(db, table, &change.references).await?;
    existing(db, table).await
}

/// Fails with `Missing` if there is no such table.
pub(super) async fn existing(db: &Db, table: TableId) -> Result<Table> {
    let found = select_tables(db, "AND id = $1", params![table.0]).await?.pop();
    found.ok_or_else(|| rules::missing_table(table))
}

pub(super) async fn setting(db: &Db, name: &str) -> Result<Option<String>> {
    let sql = "-- paceline: setting\nSELECT value FROM paceline._ht_settings WHERE name = $1";
    db.first(sql, params![name]).await?.map(|row| row.text(0)).transpose()
}

pub(super) async fn set_setting(db: &Db, name: &str, value: &str) -> Result<()> {
    rules::check_setting(name, value)?;
    db.execute(
        "-- paceline: set_setting\nINSERT INTO paceline._ht_settings (name, value) VALUES ($1, $2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![name, value],
    )
    .await?;
    Ok(())
}

/// Writes something, so that there is something to commit.
pub(super) async fn checkpoint(db: &Db) -> Result<()> {
    set_setting(db, CHECKPOINT, &db.now.as_micros().to_string()).await
}

async fn select_tables(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Table>> {
    let sql = format!(
        "-- paceline: tables\nSELECT id, name, description, created_at FROM paceline._ht_tables \
         WHERE deleted_at IS NULL {tail}"
    );
    let found = db.query(&sql, parameters).await?;
    let ids = found.iter().map(|row| row.int(0)).collect::<Result<Vec<i64>>>()?;
    let columns = columns::columns_of(db, ids).await?;
    let mut by_table: HashMap<TableId, Vec<Column>> = HashMap::new();
    for column in columns {
        by_table.entry(column.table).or_default().push(column);
    }
    let read = |row: Found| {
        let id = TableId(row.int(0)?);
        Ok(Table {
            id,
            name: row.text(1)?,
            description: row.text(2)?,
            columns: by_table.remove(&id).unwrap_or_default(),
            created_at: row.time(3)?,
        })
    };
    found.into_iter().map(read).collect()
}
