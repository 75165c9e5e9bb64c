//! The user's tables as SQL tables: their definitions, and what their parts are called in a statement.

use paceline_model::{ColumnId, ColumnType, Error, NewColumn, SmartKind, TableId, check_name};
use rusqlite::{OptionalExtension, params};

use super::connection::Db;
use crate::codec::sql_type;
use crate::error::Result;
use crate::rules;

/// A column as statements know it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: ColumnId,
    pub(super) name: String,
    pub(super) kind: ColumnType,
    /// What makes its values, if not people alone.
    pub(super) smart: Option<SmartKind>,
}

/// A name as an SQL identifier, whatever is in it.
pub(super) fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Makes the SQL table of a user's table.
pub(super) fn create(db: &Db<'_>, table: &str, columns: &[NewColumn]) -> Result<()> {
    check_name("table", table)?;
    let mut definitions = vec![
        "_ht_id INTEGER PRIMARY KEY".to_owned(),
        "_ht_created_at INTEGER NOT NULL".to_owned(),
        "_ht_updated_at INTEGER NOT NULL".to_owned(),
    ];
    for column in columns {
        definitions.push(definition(column)?);
    }
    db.conn.execute_batch(&format!(
        "-- paceline: create_table\nCREATE TABLE {} ({}) STRICT",
        quote(table),
        definitions.join(", ")
    ))?;
    Ok(())
}

/// Adds a column to the SQL table of a user's table.
pub(super) fn add_column(db: &Db<'_>, table: &str, column: &NewColumn) -> Result<()> {
    let definition = definition(column)?;
    db.conn.execute_batch(&format!(
        "-- paceline: add_column\nALTER TABLE {} ADD COLUMN {definition}",
        quote(table)
    ))?;
    Ok(())
}

/// Refuses a name that is taken. Asked of the database itself, so that a table that somebody made with an SQL shell is
/// found too.
pub(super) fn check_free(db: &Db<'_>, table: &str) -> Result<()> {
    let taken: bool = db
        .conn
        .prepare_cached(
            "-- paceline: check_free\nSELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = ?1)",
        )?
        .query_row([table], |row| row.get(0))?;
    if taken { Err(rules::table_exists(table)) } else { Ok(()) }
}

/// Gives the SQL table of a user's table another name, which is free.
pub(super) fn rename_table(db: &Db<'_>, table: &str, name: &str) -> Result<()> {
    db.conn.execute_batch(&format!(
        "-- paceline: rename_table\nALTER TABLE {} RENAME TO {}",
        quote(table),
        quote(name)
    ))?;
    Ok(())
}

/// Drops the SQL table of a user's table with all its rows.
pub(super) fn drop_table(db: &Db<'_>, table: &str) -> Result<()> {
    db.conn.execute_batch(&format!("-- paceline: drop_table\nDROP TABLE {}", quote(table)))?;
    Ok(())
}

/// Gives a column of the SQL table of a user's table another name, which is free.
pub(super) fn rename_column(db: &Db<'_>, table: &str, column: &str, name: &str) -> Result<()> {
    db.conn.execute_batch(&format!(
        "-- paceline: rename_column\nALTER TABLE {} RENAME COLUMN {} TO {}",
        quote(table),
        quote(column),
        quote(name)
    ))?;
    Ok(())
}

/// Drops a column of the SQL table of a user's table. SQLite writes every row anew.
pub(super) fn drop_column(db: &Db<'_>, table: &str, column: &str) -> Result<()> {
    db.conn.execute_batch(&format!(
        "-- paceline: drop_column\nALTER TABLE {} DROP COLUMN {}",
        quote(table),
        quote(column)
    ))?;
    Ok(())
}

fn definition(column: &NewColumn) -> Result<String> {
    check_name("column", &column.name)?;
    Ok(format!("{} {}", quote(&column.name), sql_type(column.kind)))
}

/// The name of a table.
///
/// Fails with `Missing` if there is no such table, or it is deleted.
pub(super) fn table_name(db: &Db<'_>, table: TableId) -> Result<String> {
    let name = db
        .conn
        .prepare_cached(
            "-- paceline: table_name\nSELECT name FROM _ht_tables WHERE id = ?1 AND deleted_at IS NULL",
        )?
        .query_row([table.0], |row| row.get(0))
        .optional()?;
    name.ok_or_else(|| rules::missing_table(table))
}

/// The columns of `table` with these ids, in this order.
///
/// Fails with `Missing` if one is not a column of that table.
pub(super) fn places(db: &Db<'_>, table: TableId, columns: &[ColumnId]) -> Result<Vec<Place>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: places\nSELECT name, kind, smart_kind FROM _ht_columns WHERE id = ?1 AND table_id = ?2",
    )?;
    let mut places = Vec::with_capacity(columns.len());
    for &id in columns {
        let found = statement
            .query_row(params![id.0, table.0], |row| {
                let smart: Option<String> = row.get(2)?;
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, smart))
            })
            .optional()?;
        let Some((name, kind, smart)) = found else {
            return Err(Error::Missing(format!("table {table} has no column {id}")).into());
        };
        let kind = rules::parse_column_type(&kind)?;
        let smart = smart.as_deref().map(rules::parse_smart_kind).transpose()?;
        places.push(Place { id, name, kind, smart });
    }
    Ok(places)
}

/// The columns as the end of a select list: `, t."a", t."b"`.
pub(super) fn select_list(alias: &str, places: &[Place]) -> String {
    places.iter().map(|place| format!(", {alias}.{}", quote(&place.name))).collect()
}
