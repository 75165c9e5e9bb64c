//! Items and logs.

use async_trait::async_trait;
use paceline_clock::Timestamp;
use paceline_model::{
    Entry, EntryQuery, Item, NewItem, Note, Registry, Result as ModelResult, TableId, limits,
};
use rusqlite::{OptionalExtension, Row, ToSql, params};
use serde_json::Value as Json;

use super::SqliteStore;
use super::connection::Db;
use super::schema;
use crate::codec::signed;
use crate::error::Result;
use crate::rules;

/// Items of a deleted table are there when it is restored, and nowhere before.
const VISIBLE: &str = "(table_id IS NULL OR EXISTS (SELECT 1 FROM _ht_tables AS t \
     WHERE t.id = table_id AND t.deleted_at IS NULL))";

#[async_trait]
impl Registry for SqliteStore {
    async fn create_item(&self, new: NewItem) -> ModelResult<Item> {
        self.write(move |db| create(db, new)).await
    }

    async fn update_item(
        &self,
        kind: &str,
        id: i64,
        version: i64,
        body: Json,
    ) -> ModelResult<Item> {
        let kind = kind.to_owned();
        self.write(move |db| update(db, &kind, id, version, &body)).await
    }

    async fn item(&self, kind: &str, id: i64) -> ModelResult<Option<Item>> {
        let kind = kind.to_owned();
        self.read(move |db| item(db, &kind, id)).await
    }

    async fn items(&self, kind: &str, table: Option<TableId>) -> ModelResult<Vec<Item>> {
        let kind = kind.to_owned();
        self.read(move |db| items(db, &kind, table)).await
    }

    async fn delete_item(&self, kind: &str, id: i64) -> ModelResult<bool> {
        let kind = kind.to_owned();
        self.write(move |db| delete(db, &kind, id)).await
    }

    async fn append_entries(
        &self,
        log: &str,
        entries: Vec<(i64, Json)>,
        keep: u64,
    ) -> ModelResult<i64> {
        let log = log.to_owned();
        self.write(move |db| append(db, &log, &entries, keep)).await
    }

    async fn entries(&self, log: &str, query: EntryQuery) -> ModelResult<Vec<Entry>> {
        let log = log.to_owned();
        self.read(move |db| entries(db, &log, query)).await
    }

    async fn keep(&self, notes: Vec<Note>) -> ModelResult<()> {
        self.write(move |db| keep(db, notes)).await
    }
}

/// What is written along with something else.
pub(super) fn keep(db: &Db<'_>, notes: Vec<Note>) -> Result<()> {
    for note in rules::in_order(notes) {
        match note {
            Note::Item { kind, id, version, body } => {
                update(db, kind, id, version, &body)?;
            }
            Note::Entries { log, entries, keep } => {
                append(db, &log, &entries, keep)?;
            }
        }
    }
    Ok(())
}

fn create(db: &Db<'_>, new: NewItem) -> Result<Item> {
    let body = rules::json_text("body", &new.body)?;
    if let Some(table) = new.table {
        schema::table_name(db, table)?;
    }
    let count = db
        .conn
        .prepare_cached("-- paceline: create_item\nSELECT count(*) FROM _ht_items WHERE kind = ?1")?
        .query_row([new.kind], |row| row.get(0))?;
    rules::check_item(&new, count)?;
    let made = db
        .conn
        .prepare_cached(
            "-- paceline: create_item\nINSERT INTO _ht_items \
             (kind, table_id, name, body, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5) \
             ON CONFLICT DO NOTHING RETURNING id, version",
        )?
        .query_row(
            params![new.kind, new.table.map(|table| table.0), new.name, body, db.now.as_micros()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((id, version)) = made else { return Err(rules::item_exists(&new)) };
    let NewItem { kind, table, name, body } = new;
    let (kind, created_at, updated_at) = (kind.to_owned(), db.now, db.now);
    Ok(Item { kind, id, table, name, body, version, created_at, updated_at })
}

fn update(db: &Db<'_>, kind: &str, id: i64, version: i64, body: &Json) -> Result<Item> {
    let found = item(db, kind, id)?.ok_or_else(|| rules::missing_item(kind, id))?;
    if found.version != version {
        return Err(rules::item_moved_on(kind, id, version, found.version));
    }
    let text = rules::json_text("body", body)?;
    db.conn
        .prepare_cached(
            "-- paceline: update_item\n\
             UPDATE _ht_items SET body = ?2, version = ?3, updated_at = ?4 WHERE id = ?1",
        )?
        .execute(params![id, text, version + 1, db.now.as_micros()])?;
    Ok(Item { body: body.clone(), version: version + 1, updated_at: db.now, ..found })
}

fn item(db: &Db<'_>, kind: &str, id: i64) -> Result<Option<Item>> {
    Ok(select(db, "kind = ?1 AND id = ?2", &[&kind, &id])?.pop())
}

fn items(db: &Db<'_>, kind: &str, table: Option<TableId>) -> Result<Vec<Item>> {
    match table {
        Some(table) => select(db, "kind = ?1 AND table_id = ?2", &[&kind, &table.0]),
        None => select(db, "kind = ?1", &[&kind]),
    }
}

fn delete(db: &Db<'_>, kind: &str, id: i64) -> Result<bool> {
    let sql = format!(
        "-- paceline: delete_item\nDELETE FROM _ht_items WHERE kind = ?1 AND id = ?2 AND {VISIBLE}"
    );
    Ok(db.conn.prepare_cached(&sql)?.execute(params![kind, id])? == 1)
}

fn select(db: &Db<'_>, condition: &str, parameters: &[&dyn ToSql]) -> Result<Vec<Item>> {
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: items\nSELECT kind, id, table_id, name, body, version, created_at, updated_at \
         FROM _ht_items WHERE {condition} AND {VISIBLE} ORDER BY id"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read_item(row)?);
    }
    Ok(items)
}

fn read_item(row: &Row<'_>) -> Result<Item> {
    Ok(Item {
        kind: row.get(0)?,
        id: row.get(1)?,
        table: row.get::<_, Option<i64>>(2)?.map(TableId),
        name: row.get(3)?,
        body: rules::parse_json("body", &row.get::<_, String>(4)?)?,
        version: row.get(5)?,
        created_at: Timestamp::from_micros(row.get(6)?),
        updated_at: Timestamp::from_micros(row.get(7)?),
    })
}

fn append(db: &Db<'_>, log: &str, entries: &[(i64, Json)], keep: u64) -> Result<i64> {
    let entries = rules::entry_texts(log, entries)?;
    let mut insert = db.conn.prepare_cached(
        "-- paceline: append_entries\n\
         INSERT INTO _ht_entries (log, subject, at, body) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (subject, body) in &entries {
        insert.execute(params![log, subject, db.now.as_micros(), body])?;
    }
    let last = match entries.is_empty() {
        true => last_entry(db, log)?,
        false => db.conn.last_insert_rowid(),
    };
    trim(db, log, signed(entries.len()), signed(keep.min(limits::LOG_ENTRIES_MAX)))?;
    Ok(last)
}

/// Drops the oldest lines of a log that got `more`, down to `keep`.
fn trim(db: &Db<'_>, log: &str, more: i64, keep: i64) -> Result<()> {
    let kept: i64 = db
        .conn
        .prepare_cached(
            "-- paceline: append_entries\nINSERT INTO _ht_logs (log, kept) VALUES (?1, ?2) \
             ON CONFLICT (log) DO UPDATE SET kept = kept + excluded.kept RETURNING kept",
        )?
        .query_row(params![log, more], |row| row.get(0))?;
    if kept > keep {
        db.conn
            .prepare_cached(
                "-- paceline: trim_entries\nDELETE FROM _ht_entries WHERE sequence IN \
                 (SELECT sequence FROM _ht_entries WHERE log = ?1 ORDER BY sequence LIMIT ?2)",
            )?
            .execute(params![log, kept - keep])?;
        db.conn
            .prepare_cached(
                "-- paceline: trim_entries\nUPDATE _ht_logs SET kept = ?2 WHERE log = ?1",
            )?
            .execute(params![log, keep])?;
    }
    if keep.min(kept) == 0 {
        db.conn
            .prepare_cached("-- paceline: trim_entries\nDELETE FROM _ht_logs WHERE log = ?1")?
            .execute([log])?;
    }
    Ok(())
}

fn last_entry(db: &Db<'_>, log: &str) -> Result<i64> {
    Ok(db
        .conn
        .prepare_cached(
            "-- paceline: append_entries\nSELECT coalesce(max(sequence), 0) FROM _ht_entries WHERE log = ?1",
        )?
        .query_row([log], |row| row.get(0))?)
}

fn entries(db: &Db<'_>, log: &str, query: EntryQuery) -> Result<Vec<Entry>> {
    let about = if query.subject.is_some() { "subject = ?4" } else { "?4 IS NULL" };
    let mut statement = db.conn.prepare_cached(&format!(
        "-- paceline: entries\nSELECT sequence, subject, at, body FROM _ht_entries \
         WHERE log = ?1 AND sequence < ?2 AND {about} ORDER BY sequence DESC LIMIT ?3"
    ))?;
    // A reader comes again for the rest, so fewer than asked for is no loss.
    let max = signed(query.max.min(limits::PAGE_ROWS_MAX));
    let before = query.before.unwrap_or(i64::MAX);
    let mut rows = statement.query(params![log, before, max, query.subject])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(Entry {
            sequence: row.get(0)?,
            subject: row.get(1)?,
            at: Timestamp::from_micros(row.get(2)?),
            body: rules::parse_json("line of a log", &row.get::<_, String>(3)?)?,
        });
    }
    Ok(entries)
}
