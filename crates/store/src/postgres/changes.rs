//! What happened, numbered.
//!
//! A number is taken while the row of the table is held, and the row is held until the commit: so the changes of a table
//! become visible in the order of their numbers, and a reader that has seen one never misses an earlier one of its
//! table. Among different tables there is no such order, and nobody reads them together.

use paceline_model::{Change, ChangeKind, RowId, TableEnd, TableId, limits};

use super::db::Db;
use super::param::{Found, params};
use crate::change::KeptChange;
use crate::codec::signed;
use crate::error::Result;
use crate::rules;

/// Writes a change of a table in the transaction that makes it, and drops its oldest if there are too many. The last
/// lock that a transaction takes.
pub(super) async fn write(db: &Db, table: TableId, kind: &ChangeKind) -> Result<()> {
    let kept = KeptChange::of(kind);
    db.set_changed();
    let written = db
        .first(
            "-- paceline: write_change\nWITH held AS (UPDATE paceline._ht_tables \
             SET changes_kept = least(changes_kept + 1, $2) WHERE id = $1 RETURNING id, changes_kept), \
             written AS (INSERT INTO paceline._ht_changes \
             (sequence, table_id, at, kind, subject, first_row, last_row, rows) \
             SELECT nextval('paceline._ht_changes_sequence'), held.id, $3, $4, $5, $6, $7, $8 FROM held) \
             SELECT changes_kept FROM held",
            params![
                table.0,
                limits::CHANGES_KEPT + 1,
                db.now,
                kept.kind.as_str(),
                kept.subject,
                kept.first,
                kept.last,
                kept.rows,
            ],
        )
        .await?;
    let Some(written) = written else { return Err(rules::missing_table(table)) };
    if written.int(0)? > limits::CHANGES_KEPT {
        // A statement of its own, begun once the row is held: it sees what went before.
        db.execute(
            "-- paceline: trim_changes\nDELETE FROM paceline._ht_changes WHERE sequence = \
             (SELECT sequence FROM paceline._ht_changes WHERE table_id = $1 ORDER BY sequence LIMIT 1)",
            params![table.0],
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn changes_after(
    db: &Db,
    table: TableId,
    sequence: i64,
    max: usize,
) -> Result<(Vec<Change>, i64)> {
    let oldest = db
        .first(
            "-- paceline: changes_after\nSELECT sequence FROM paceline._ht_changes WHERE table_id = $1 \
             ORDER BY sequence LIMIT 1",
            params![table.0],
        )
        .await?;
    // A reader comes again for the rest, so fewer than asked for is no loss.
    let max = max.min(limits::PAGE_ROWS_MAX);
    let found = db
        .query(
            "-- paceline: changes_after\nSELECT sequence, at, kind, subject, first_row, last_row, rows \
             FROM paceline._ht_changes WHERE table_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3",
            params![table.0, sequence, signed(max)],
        )
        .await?;
    let changes = found.iter().map(|row| read_change(table, row)).collect::<Result<_>>()?;
    Ok((changes, oldest.map_or(Ok(0), |row| row.int(0))?))
}

pub(super) async fn table_end(db: &Db, table: TableId) -> Result<TableEnd> {
    // In one statement, and so as of one moment.
    let found = db
        .first(
            "-- paceline: table_end\nSELECT last_row, coalesce((SELECT max(sequence) \
             FROM paceline._ht_changes WHERE table_id = $1), 0) \
             FROM paceline._ht_tables WHERE id = $1 AND deleted_at IS NULL",
            params![table.0],
        )
        .await?;
    let Some(found) = found else { return Err(rules::missing_table(table)) };
    Ok(TableEnd { row: RowId(found.int(0)?), sequence: found.int(1)? })
}

fn read_change(table: TableId, row: &Found) -> Result<Change> {
    let kept = KeptChange {
        kind: row.text(2)?,
        subject: row.opt_int(3)?,
        first: row.opt_int(4)?,
        last: row.opt_int(5)?,
        rows: row.opt_bytes(6)?,
    };
    Ok(Change { sequence: row.int(0)?, table, at: row.time(1)?, kind: kept.kind()? })
}
