//! Tables that are deleted, and can be restored until they are purged.

use paceline_clock::Timestamp;
use paceline_model::{ChangeKind, ColumnId, DeletedTable, Table, TableId, check_name};
use rusqlite::{OptionalExtension, params};

use super::connection::Db;
use super::{changes, columns, runs, schema, tables};
use crate::error::Result;
use crate::rules;

pub(super) fn delete_table(db: &Db<'_>, table: TableId) -> Result<DeletedTable> {
    let name = schema::table_name(db, table)?;
    runs::check_none_active_in(db, table)?;
    let hidden = rules::deleted_name(table);
    schema::rename_table(db, &name, &hidden)?;
    db.conn
        .prepare_cached(
            "-- paceline: delete_table\n\
             UPDATE _ht_tables SET name = ?2, deleted_name = ?3, deleted_at = ?4 WHERE id = ?1",
        )?
        .execute(params![table.0, hidden, name, db.now.as_micros()])?;
    // For those who follow it: what they look for is not there any more.
    changes::write(db, table, &ChangeKind::Schema)?;
    Ok(DeletedTable { id: table, name, deleted_at: db.now })
}

pub(super) fn restore_table(db: &Db<'_>, table: TableId, name: Option<&str>) -> Result<Table> {
    let deleted: Option<String> = db
        .conn
        .prepare_cached(
            "-- paceline: restore_table\n\
             SELECT deleted_name FROM _ht_tables WHERE id = ?1 AND deleted_at IS NOT NULL",
        )?
        .query_row([table.0], |row| row.get(0))
        .optional()?;
    let deleted = deleted.ok_or_else(|| rules::not_deleted(table))?;
    let name = name.unwrap_or(&deleted);
    check_name("table", name)?;
    schema::check_free(db, name)?;
    schema::rename_table(db, &rules::deleted_name(table), name)?;
    db.conn
        .prepare_cached(
            "-- paceline: restore_table\n\
             UPDATE _ht_tables SET name = ?2, deleted_name = NULL, deleted_at = NULL WHERE id = ?1",
        )?
        .execute(params![table.0, name])?;
    changes::write(db, table, &ChangeKind::Schema)?;
    tables::existing(db, table)
}

pub(super) fn deleted_tables(db: &Db<'_>) -> Result<Vec<DeletedTable>> {
    let mut statement = db.conn.prepare_cached(
        "-- paceline: deleted_tables\nSELECT id, deleted_name, deleted_at FROM _ht_tables \
         WHERE deleted_at IS NOT NULL ORDER BY deleted_at DESC, id DESC",
    )?;
    let read = |row: &rusqlite::Row<'_>| {
        let deleted_at = Timestamp::from_micros(row.get(2)?);
        Ok(DeletedTable { id: TableId(row.get(0)?), name: row.get(1)?, deleted_at })
    };
    let found = statement.query_map([], read)?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn purge_tables(db: &Db<'_>, before: Timestamp) -> Result<u64> {
    let mut purged = 0;
    for table in deleted_tables(db)?.into_iter().filter(|table| table.deleted_at < before) {
        purge(db, table.id)?;
        purged += 1;
    }
    Ok(purged)
}

fn purge(db: &Db<'_>, table: TableId) -> Result<()> {
    schema::drop_table(db, &rules::deleted_name(table))?;
    let ids: Vec<ColumnId> =
        columns::columns(db, table)?.into_iter().map(|column| column.id).collect();
    for column in ids {
        columns::forget(db, column)?;
    }
    for sql in [
        "DELETE FROM _ht_items WHERE table_id = ?1",
        "DELETE FROM _ht_changes WHERE table_id = ?1",
        "DELETE FROM _ht_tables WHERE id = ?1",
    ] {
        let sql = format!("-- paceline: purge_tables\n{sql}");
        db.conn.prepare_cached(&sql)?.execute([table.0])?;
    }
    Ok(())
}
