//! Tables, columns and settings.

use std::collections::HashMap;

use paceline_model::{
    ChangeKind, Column, ColumnId, Error, NewColumn, NewTable, SmartColumn, Table, TableId,
    check_name, limits,
};
use serde_json::Value as Json;

use super::db::Db;
use super::param::{Found, Param, params};
use super::{changes, schema};
use crate::error::Result;
use crate::rules;

/// The setting that a checkpoint writes. No name of a setting elsewhere begins like this.
const CHECKPOINT: &str = "_ht_checkpoint";

pub(super) async fn create_table(db: &Db, new: &NewTable) -> Result<Table> {
    check_name("table", &new.name)?;
    rules::check_length("description", new.description.len(), limits::VALUE_BYTES_MAX)?;
    rules::check_column_count(new.columns.len(), limits::POSTGRES_TABLE_COLUMNS_MAX)?;
    rules::check_distinct(&new.columns)?;
    // Asked of the database itself, so that a table that somebody made with an SQL shell is found too.
    let sql = "-- paceline: create_table\nSELECT EXISTS (SELECT 1 FROM pg_class AS c \
               JOIN pg_namespace AS n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'paceline' AND c.relname = $1)";
    let name = schema::identifier(&new.name);
    if db.one(sql, params![name.as_str()]).await?.bool(0)? {
        return Err(rules::table_exists(&new.name));
    }
    schema::create(db, &new.name, &new.columns).await?;
    let made = db
        .one(
            "-- paceline: create_table\nINSERT INTO paceline._ht_tables (name, description, created_at) \
             VALUES ($1, $2, $3) RETURNING id",
            params![new.name.as_str(), new.description.as_str(), db.now],
        )
        .await?;
    let id = TableId(made.int(0)?);
    let columns = insert_columns(db, id, &new.columns).await?;
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
        Ok(id) => select_tables(db, "WHERE id = $1", params![id]).await?,
        Err(_) => select_tables(db, "WHERE name = $1", params![name]).await?,
    };
    Ok(found.pop())
}

pub(super) async fn add_column(db: &Db, table: TableId, new: &NewColumn) -> Result<Column> {
    check_name("column", &new.name)?;
    let table_name = schema::table_name(db, table).await?;
    // Others who add one to the same table wait here, and see this one afterwards.
    schema::lock(db, &table_name, "ACCESS EXCLUSIVE").await?;
    let existing = select_columns(db, "WHERE table_id = $1", params![table.0]).await?;
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
    let Some(found) =
        select_columns(db, "WHERE id = $1 FOR UPDATE", params![column.0]).await?.pop()
    else {
        return Err(Error::Missing(format!("there is no column {column}")).into());
    };
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

/// The column of that id, of whatever table.
pub(super) async fn column_by_id(db: &Db, column: ColumnId) -> Result<Option<Column>> {
    Ok(select_columns(db, "WHERE id = $1", params![column.0]).await?.pop())
}

async fn select_tables(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Table>> {
    let sql = format!(
        "-- paceline: tables\nSELECT id, name, description, created_at FROM paceline._ht_tables {tail}"
    );
    let found = db.query(&sql, parameters).await?;
    let ids = found.iter().map(|row| row.int(0)).collect::<Result<Vec<i64>>>()?;
    let columns = select_columns(db, "WHERE table_id = ANY ($1) ORDER BY id", params![ids]).await?;
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

async fn select_columns(db: &Db, tail: &str, parameters: &[Param<'_>]) -> Result<Vec<Column>> {
    let sql = format!(
        "-- paceline: columns\nSELECT id, table_id, name, title, kind, smart_kind, config, \
         rate_limit, version FROM paceline._ht_columns {tail}"
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
        options: Vec::new(),
        smart,
    })
}

/// Writes what is known of new columns, their ids in the order given.
async fn insert_columns(db: &Db, table: TableId, new: &[NewColumn]) -> Result<Vec<Column>> {
    let (mut smarts, mut configs, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for column in new {
        rules::check_title(column.title.as_deref())?;
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
             (table_id, name, title, kind, smart_kind, config, rate_limit, version) \
             SELECT $1, u.name, u.title, u.kind, u.smart_kind, u.config, u.rate_limit, u.version \
             FROM unnest($2, $3, $4, $5, $6, $7, $8) WITH ORDINALITY \
             AS u (name, title, kind, smart_kind, config, rate_limit, version, place) \
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
            options: Vec::new(),
            smart,
        })
    });
    made.collect()
}
