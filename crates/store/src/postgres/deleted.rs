//! Tables that are deleted, and can be restored until they are purged.

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, ColumnId, DeletedTable, Table, TableId, check_name};

use super::db::Db;
use super::param::{Found, params};
use super::{changes, columns, runs, schema, tables};
use crate::error::Result;
use crate::rules;

pub(super) async fn delete_table(db: &Db, table: TableId) -> Result<DeletedTable> {
    // Who makes a run holds the table too: there is none between this look and the end.
    let name = schema::hold(db, table, "ACCESS EXCLUSIVE").await?;
    runs::check_none_active_in(db, table).await?;
    let hidden = rules::deleted_name(table);
    schema::rename_table(db, &name, &hidden).await?;
    db.execute(
        "-- paceline: delete_table\nUPDATE paceline._ht_tables \
         SET name = $2, deleted_name = $3, deleted_at = $4 WHERE id = $1",
        params![table.0, hidden.as_str(), name.as_str(), db.now],
    )
    .await?;
    // For those who follow it: what they look for is not there any more.
    changes::write(db, table, &ChangeKind::Schema).await?;
    Ok(DeletedTable { id: table, name, deleted_at: db.now })
}

pub(super) async fn restore_table(db: &Db, table: TableId, name: Option<&str>) -> Result<Table> {
    hold_deleted(db, table).await?;
    let sql = "-- paceline: restore_table\nSELECT deleted_name FROM paceline._ht_tables \
               WHERE id = $1 AND deleted_at IS NOT NULL";
    let deleted = db.first(sql, params![table.0]).await?;
    let deleted = deleted.ok_or_else(|| rules::not_deleted(table))?.text(0)?;
    let name = name.unwrap_or(&deleted);
    check_name("table", name)?;
    schema::check_free(db, name).await?;
    schema::rename_table(db, &rules::deleted_name(table), name).await?;
    db.execute(
        "-- paceline: restore_table\nUPDATE paceline._ht_tables \
         SET name = $2, deleted_name = NULL, deleted_at = NULL WHERE id = $1",
        params![table.0, name],
    )
    .await?;
    changes::write(db, table, &ChangeKind::Schema).await?;
    tables::existing(db, table).await
}

pub(super) async fn deleted_tables(db: &Db) -> Result<Vec<DeletedTable>> {
    let sql = "-- paceline: deleted_tables\n\
               SELECT id, deleted_name, deleted_at FROM paceline._ht_tables \
               WHERE deleted_at IS NOT NULL ORDER BY deleted_at DESC, id DESC";
    let read = |row: Found| {
        Ok(DeletedTable { id: TableId(row.int(0)?), name: row.text(1)?, deleted_at: row.time(2)? })
    };
    db.query(sql, &[]).await?.into_iter().map(read).collect()
}

pub(super) async fn purge_tables(db: &Db, before: Timestamp) -> Result<u64> {
    let mut purged = 0;
    for table in deleted_tables(db).await?.into_iter().filter(|table| table.deleted_at < before) {
        purge(db, table.id).await?;
        purged += 1;
    }
    Ok(purged)
}

async fn purge(db: &Db, table: TableId) -> Result<()> {
    let columns: Vec<ColumnId> =
        columns::columns(db, table).await?.into_iter().map(|column| column.id).collect();
    // Whoever reports late finds the run gone, or is waited for.
    runs::hold_all(db, &columns).await?;
    hold_deleted(db, table).await?;
    schema::drop_table(db, &rules::deleted_name(table)).await?;
    columns::forget(db, &columns).await?;
    for sql in [
        "_ht_items WHERE table_id = $1",
        "_ht_changes WHERE table_id = $1",
        "_ht_tables WHERE id = $1",
    ] {
        let sql = format!("-- paceline: purge_tables\nDELETE FROM paceline.{sql}");
        db.execute(&sql, params![table.0]).await?;
    }
    Ok(())
}

/// Holds a deleted table, so that nobody else restores or purges it.
///
/// Fails with `Missing` if it is not deleted.
async fn hold_deleted(db: &Db, table: TableId) -> Result<()> {
    let sql = "-- paceline: hold_deleted\nSELECT 1 FROM paceline._ht_tables \
               WHERE id = $1 AND deleted_at IS NOT NULL";
    if db.first(sql, params![table.0]).await?.is_none() {
        return Err(rules::not_deleted(table));
    }
    schema::lock(db, &rules::deleted_name(table), "ACCESS EXCLUSIVE").await
}
