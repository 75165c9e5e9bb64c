//! The user's tables as SQL tables: their definitions, and what their parts are called in a statement.

use std::collections::HashMap;

use paceline_model::{ColumnId, ColumnType, Error, NewColumn, SmartKind, TableId, check_name};

use super::db::Db;
use super::error::failed;
use super::param::params;
use super::value::{cast, sql_type};
use crate::error::Result;
use crate::rules;

/// Bytes of a name in PostgreSQL; it cuts longer ones off without an error.
const IDENTIFIER_BYTES_MAX: usize = 63;
/// Every table has these, and no column may be called so. (PostgreSQL, "System Columns")
const SYSTEM_COLUMNS: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// A column as statements know it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: ColumnId,
    pub(super) name: String,
    pub(super) kind: ColumnType,
    /// What makes its values, if not people alone.
    pub(super) smart: Option<SmartKind>,
}

impl Place {
    /// What it is called in a statement.
    pub(super) fn quoted(&self) -> String {
        column_ref(&self.name)
    }

    /// What the text of its values is cast to.
    pub(super) fn cast(&self) -> &'static str {
        cast(self.kind)
    }
}

/// A name as PostgreSQL can bear it. Nearly always itself; one that is too long or taken begins with an underscore,
/// which no name of a user does.
pub(super) fn identifier(name: &str) -> String {
    if SYSTEM_COLUMNS.contains(&name) {
        return format!("_{name}");
    }
    if name.len() <= IDENTIFIER_BYTES_MAX {
        return name.to_owned();
    }
    let hash = blake3::hash(name.as_bytes()).to_hex();
    // Names are ASCII, so every place is one between characters.
    let kept = name.get(..IDENTIFIER_BYTES_MAX - 18).unwrap_or_default();
    format!("_{kept}_{}", &hash[..16])
}

/// A column of a user's table in a statement.
pub(super) fn column_ref(name: &str) -> String {
    quote(&identifier(name))
}

/// The SQL table of a user's table.
pub(super) fn table_ref(name: &str) -> String {
    format!("paceline.{}", quote(&identifier(name)))
}

/// Makes the SQL table of a user's table.
pub(super) async fn create(db: &Db, table: &str, columns: &[NewColumn]) -> Result<()> {
    check_name("table", table)?;
    let mut definitions = vec![
        "_ht_id bigint PRIMARY KEY".to_owned(),
        "_ht_created_at bigint NOT NULL".to_owned(),
        "_ht_updated_at bigint NOT NULL".to_owned(),
    ];
    for column in columns {
        definitions.push(definition(column)?);
    }
    db.run(&format!(
        "-- paceline: create_table\nCREATE TABLE {} ({})",
        table_ref(table),
        definitions.join(", ")
    ))
    .await
}

/// Adds a column to the SQL table of a user's table.
pub(super) async fn add_column(db: &Db, table: &str, column: &NewColumn) -> Result<()> {
    db.run(&format!(
        "-- paceline: add_column\nALTER TABLE {} ADD COLUMN {}",
        table_ref(table),
        definition(column)?
    ))
    .await
}

/// Holds a user's table in that mode of PostgreSQL, before anything that comes later in the order of locks.
pub(super) async fn lock(db: &Db, table: &str, mode: &str) -> Result<()> {
    db.run(&format!("-- paceline: lock\nLOCK TABLE {} IN {mode} MODE", table_ref(table))).await
}

/// Holds a user's table in that mode of PostgreSQL, and answers its name, which stays its name until the end of the
/// transaction. Before anything that comes later in the order of locks.
///
/// Fails with `Missing` if there is no such table; what may pass, if it was renamed at that moment.
pub(super) async fn hold(db: &Db, table: TableId, mode: &str) -> Result<String> {
    let name = table_name(db, table).await?;
    lock(db, &name, mode).await?;
    // Whoever held it before may have renamed it, and another table may be called so now.
    check_still(db, table, &name).await?;
    Ok(name)
}

/// Refuses to go on if a table is not called so any more: asked once a statement has named it, and so holds whatever is
/// called so, this tells that it was the right one.
pub(super) async fn check_still(db: &Db, table: TableId, name: &str) -> Result<()> {
    let sql = "-- paceline: check_still\n\
               SELECT 1 FROM paceline._ht_tables WHERE id = $1 AND name = $2";
    if db.first(sql, params![table.0, name]).await?.is_none() {
        let problem = "the table was renamed or deleted at this moment; try again";
        return Err(failed(problem, true).into());
    }
    Ok(())
}

/// Refuses a name that is taken. Asked of the database itself, so that a table that somebody made with an SQL shell is
/// found too.
pub(super) async fn check_free(db: &Db, table: &str) -> Result<()> {
    let sql = "-- paceline: check_free\nSELECT EXISTS (SELECT 1 FROM pg_class AS c \
               JOIN pg_namespace AS n ON n.oid = c.relnamespace \
               WHERE n.nspname = 'paceline' AND c.relname = $1)";
    let taken = db.one(sql, params![identifier(table).as_str()]).await?.bool(0)?;
    if taken { Err(rules::table_exists(table)) } else { Ok(()) }
}

/// Gives the SQL table of a user's table another name, which is free.
pub(super) async fn rename_table(db: &Db, table: &str, name: &str) -> Result<()> {
    db.run(&format!(
        "-- paceline: rename_table\nALTER TABLE {} RENAME TO {}",
        table_ref(table),
        quote(&identifier(name))
    ))
    .await
}

/// Drops the SQL table of a user's table with all its rows.
pub(super) async fn drop_table(db: &Db, table: &str) -> Result<()> {
    db.run(&format!("-- paceline: drop_table\nDROP TABLE {}", table_ref(table))).await
}

/// Gives a column of the SQL table of a user's table another name, which is free.
pub(super) async fn rename_column(db: &Db, table: &str, column: &str, name: &str) -> Result<()> {
    db.run(&format!(
        "-- paceline: rename_column\nALTER TABLE {} RENAME COLUMN {} TO {}",
        table_ref(table),
        column_ref(column),
        column_ref(name)
    ))
    .await
}

/// Drops a column of the SQL table of a user's table. Its place still counts among those that PostgreSQL allows.
pub(super) async fn drop_column(db: &Db, table: &str, column: &str) -> Result<()> {
    db.run(&format!(
        "-- paceline: drop_column\nALTER TABLE {} DROP COLUMN {}",
        table_ref(table),
        column_ref(column)
    ))
    .await
}

/// The name of a table.
///
/// Fails with `Missing` if there is no such table, or it is deleted.
pub(super) async fn table_name(db: &Db, table: TableId) -> Result<String> {
    let sql = "-- paceline: table_name\n\
               SELECT name FROM paceline._ht_tables WHERE id = $1 AND deleted_at IS NULL";
    match db.first(sql, params![table.0]).await? {
        Some(row) => row.text(0),
        None => Err(rules::missing_table(table)),
    }
}

/// The columns of `table` with these ids, in this order.
///
/// Fails with `Missing` if one is not a column of that table.
pub(super) async fn places(db: &Db, table: TableId, columns: &[ColumnId]) -> Result<Vec<Place>> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = columns.iter().map(|column| column.0).collect();
    let found = db
        .query(
            "-- paceline: places\nSELECT id, name, kind, smart_kind FROM paceline._ht_columns \
             WHERE table_id = $1 AND id = ANY ($2)",
            params![table.0, ids],
        )
        .await?;
    let mut known = HashMap::with_capacity(found.len());
    for row in found {
        let kind = rules::parse_column_type(&row.text(2)?)?;
        let id = ColumnId(row.int(0)?);
        let smart = row.opt_text(3)?.as_deref().map(rules::parse_smart_kind).transpose()?;
        known.insert(id, Place { id, name: row.text(1)?, kind, smart });
    }
    let place = |id: &ColumnId| {
        let missing = || Error::Missing(format!("table {table} has no column {id}")).into();
        known.get(id).cloned().ok_or_else(missing)
    };
    columns.iter().map(place).collect()
}

/// The columns as the end of a select list, as text: `, t."a"::text, t."b"::text`.
pub(super) fn select_list(alias: &str, places: &[Place]) -> String {
    places.iter().map(|place| format!(", {alias}.{}::text", place.quoted())).collect()
}

fn definition(column: &NewColumn) -> Result<String> {
    check_name("column", &column.name)?;
    Ok(format!("{} {}", column_ref(&column.name), sql_type(column.kind)))
}

/// A name as an SQL identifier, whatever is in it.
fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_postgresql_cannot_bear_stay_apart() {
        assert_eq!(identifier("leads"), "leads");
        assert_eq!(identifier(&"x".repeat(63)), "x".repeat(63));
        assert_eq!(identifier("xmin"), "_xmin");
        let long = |last: char| format!("{}{last}", "x".repeat(63));
        let (a, b) = (identifier(&long('a')), identifier(&long('b')));
        assert!(a.len() == 63 && b.len() == 63 && a != b && a.starts_with('_'), "{a} {b}");
        assert_eq!(quote("a\"b"), "\"a\"\"b\"");
    }
}
