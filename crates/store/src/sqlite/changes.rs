//! What happened, numbered.

use paceline_clock::Timestamp;
use paceline_model::{Change, ChangeKind, RowId, TableEnd, TableId, limits};
use rusqlite::{OptionalExtension, Row, params};

use super::connection::Db;
use crate::change::KeptChange;
use crate::codec::signed;
use crate::error::Result;
use crate::rules;

/// Writes a change of a table in the transaction that makes it, and drops its oldest if there are too many.
pub(super) fn write(db: &Db<'_>, table: TableId, kind: &ChangeKind) -> Result<()> {
    let kept = KeptChange::of(kind);
    db.changed.set(true);
    db.conn
        .prepare_cached(
            "-- paceline: write_change\nINSERT INTO _ht_changes \
             (table_id, at, kind, subject, first_row, last_row, rows) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            table.0,
            db.now.as_micros(),
            kept.kind,
            kept.subject,
            kept.first,
            kept.last,
            kept.rows
        ])?;
    trim(db, table)
}

fn trim(db: &Db<'_>, table: TableId) -> Result<()> {
    let kept: i64 = db
        .conn
        .prepare_cached(
            "-- paceline: trim_changes\nUPDATE _ht_tables SET changes_kept = min(changes_kept + 1, ?2) \
             WHERE id = ?1 RETURNING changes_kept",
        )?
        .query_row(params![table.0, limits::CHANGES_KEPT + 1], |row| row.get(0))?;
    if kept > limits::CHANGES_KEPT {
        db.conn
            .prepare_cached(
                "-- paceline: trim_changes\nDELETE FROM _ht_changes WHERE sequence = \
                 (SELECT min(sequence) FROM _ht_changes WHERE table_id = ?1)",
            )?
            .execute([table.0])?;
        db.conn
            .prepare_cached(
                "-- paceline: trim_changes\nUPDATE _ht_tables SET changes_kept = ?2 WHERE id = ?1",
            )?
            .execute(params![table.0, limits::CHANGES_KEPT])?;
    }
    Ok(())
}

pub(super) fn changes_after(
    db: &Db<'_>,
    table: TableId,
    sequence: i64,
    max: usize,
) -> Result<(Vec<Change>, i64)> {
    let oldest = db
        .conn
        .prepare_cached(
            "-- paceline: changes_after\nSELECT sequence FROM _ht_changes WHERE table_id = ?1 \
             ORDER BY sequence LIMIT 1",
        )?
        .query_row([table.0], |row| row.get(0))
        .optional()?;
    let mut statement = db.conn.prepare_cached(
        "-- paceline: changes_after\n\
         SELECT sequence, at, kind, subject, first_row, last_row, rows FROM _ht_changes \
         WHERE table_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    // A reader comes again for the rest, so fewer than asked for is no loss.
    let max = max.min(limits::PAGE_ROWS_MAX);
    let mut found = statement.query(params![table.0, sequence, signed(max)])?;
    let mut changes = Vec::new();
    while let Some(row) = found.next()? {
        changes.push(read_change(table, row)?);
    }
    Ok((changes, oldest.unwrap_or(0)))
}

pub(super) fn table_end(db: &Db<'_>, table: TableId) -> Result<TableEnd> {
    let found = db
        .conn
        .prepare_cached(
            "-- paceline: table_end\nSELECT last_row, coalesce((SELECT max(sequence) \
             FROM _ht_changes WHERE table_id = ?1), 0) \
             FROM _ht_tables WHERE id = ?1 AND deleted_at IS NULL",
        )?
        .query_row([table.0], |row| Ok(TableEnd { row: RowId(row.get(0)?), sequence: row.get(1)? }))
        .optional()?;
    found.ok_or_else(|| rules::missing_table(table))
}

fn read_change(table: TableId, row: &Row<'_>) -> Result<Change> {
    let kept = KeptChange {
        kind: row.get(2)?,
        subject: row.get(3)?,
        first: row.get(4)?,
        last: row.get(5)?,
        rows: row.get(6)?,
    };
    let kind = kept.kind()?;
    Ok(Change { sequence: row.get(0)?, table, at: Timestamp::from_micros(row.get(1)?), kind })
}
