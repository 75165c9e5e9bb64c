//! Items and logs.

use std::borrow::Cow;

use async_trait::async_trait;
use paceline_model::{
    Entry, EntryQuery, Item, NewItem, Note, Registry, Result as ModelResult, TableId, limits,
};
use serde_json::Value as Json;

use super::PostgresStore;
use super::db::Db;
use super::param::{Found, Param, params};
use super::rows::Parts;
use crate::codec::signed;
use crate::error::Result;
use crate::rules;

/// Items of a deleted table are there when it is restored, and nowhere before.
const VISIBLE: &str = "(table_id IS NULL OR EXISTS (SELECT 1 FROM paceline._ht_tables AS t \
     WHERE t.id = table_id AND t.deleted_at IS NULL))";

#[async_trait]
impl Registry for PostgresStore {
    async fn create_item(&self, new: NewItem) -> ModelResult<Item> {
        self.write(move |db| async move { create(&db, new).await }).await
    }

    async fn update_item(
        &self,
        kind: &str,
        id: i64,
        version: i64,
        body: Json,
    ) -> ModelResult<Item> {
        let kind = kind.to_owned();
        self.write(move |db| async move { update(&db, &kind, id, version, &body).await }).await
    }

    async fn item(&self, kind: &str, id: i64) -> ModelResult<Option<Item>> {
        let kind = kind.to_owned();
        self.read(move |db| async move { item(&db, &kind, id, "").await }).await
    }

    async fn items(&self, kind: &str, table: Option<TableId>) -> ModelResult<Vec<Item>> {
        let kind = kind.to_owned();
        self.read(move |db| async move { items(&db, &kind, table).await }).await
    }

    async fn delete_item(&self, kind: &str, id: i64) -> ModelResult<bool> {
        let kind = kind.to_owned();
        self.write(move |db| async move { delete(&db, &kind, id).await }).await
    }

    async fn append_entries(
        &self,
        log: &str,
        entries: Vec<(i64, Json)>,
        keep: u64,
    ) -> ModelResult<i64> {
        let log = log.to_owned();
        self.write(move |db| async move { append(&db, &log, &entries, keep).await }).await
    }

    async fn entries(&self, log: &str, query: EntryQuery) -> ModelResult<Vec<Entry>> {
        let log = log.to_owned();
        self.read(move |db| async move { entries(&db, &log, query).await }).await
    }

    async fn keep(&self, notes: Vec<Note>) -> ModelResult<()> {
        self.write(move |db| async move { keep(&db, notes).await }).await
    }
}

/// What is written along with something else.
pub(super) async fn keep(db: &Db, notes: Vec<Note>) -> Result<()> {
    for note in rules::in_order(notes) {
        match note {
            Note::Item { kind, id, version, body } => {
                update(db, kind, id, version, &body).await?;
            }
            Note::Entries { log, entries, keep } => {
                append(db, &log, &entries, keep).await?;
            }
        }
    }
    Ok(())
}

async fn create(db: &Db, new: NewItem) -> Result<Item> {
    let body = rules::json_text("body", &new.body)?;
    if let Some(table) = new.table {
        // Held so weakly that changes of the table go on, and so strongly that nobody deletes it meanwhile.
        let sql = "-- paceline: create_item\nSELECT 1 FROM paceline._ht_tables \
                   WHERE id = $1 AND deleted_at IS NULL FOR KEY SHARE";
        if db.first(sql, params![table.0]).await?.is_none() {
            return Err(rules::missing_table(table));
        }
    }
    let sql = "-- paceline: create_item\nSELECT count(*) FROM paceline._ht_items WHERE kind = $1";
    rules::check_item(&new, db.one(sql, params![new.kind]).await?.int(0)?)?;
    let made = db
        .first(
            "-- paceline: create_item\nINSERT INTO paceline._ht_items \
             (kind, table_id, name, body, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5) \
             ON CONFLICT DO NOTHING RETURNING id, version",
            params![
                new.kind,
                new.table.map(|table| table.0),
                new.name.as_str(),
                body.as_str(),
                db.now
            ],
        )
        .await?;
    let Some(made) = made else { return Err(rules::item_exists(&new)) };
    let (id, version) = (made.int(0)?, made.int(1)?);
    let NewItem { kind, table, name, body } = new;
    let (kind, created_at, updated_at) = (kind.to_owned(), db.now, db.now);
    Ok(Item { kind, id, table, name, body, version, created_at, updated_at })
}

async fn update(db: &Db, kind: &str, id: i64, version: i64, body: &Json) -> Result<Item> {
    let found = item(db, kind, id, "FOR UPDATE").await?;
    let found = found.ok_or_else(|| rules::missing_item(kind, id))?;
    if found.version != version {
        return Err(rules::item_moved_on(kind, id, version, found.version));
    }
    let text = rules::json_text("body", body)?;
    db.execute(
        "-- paceline: update_item\nUPDATE paceline._ht_items \
         SET body = $2, version = $3, updated_at = $4 WHERE id = $1",
        params![id, text.as_str(), version + 1, db.now],
    )
    .await?;
    Ok(Item { body: body.clone(), version: version + 1, updated_at: db.now, ..found })
}

async fn item(db: &Db, kind: &str, id: i64, lock: &str) -> Result<Option<Item>> {
    Ok(select(db, "kind = $1 AND id = $2", lock, params![kind, id]).await?.pop())
}

async fn items(db: &Db, kind: &str, table: Option<TableId>) -> Result<Vec<Item>> {
    match table {
        Some(table) => select(db, "kind = $1 AND table_id = $2", "", params![kind, table.0]).await,
        None => select(db, "kind = $1", "", params![kind]).await,
    }
}

async fn delete(db: &Db, kind: &str, id: i64) -> Result<bool> {
    let sql = format!(
        "-- paceline: delete_item\n\
         DELETE FROM paceline._ht_items WHERE kind = $1 AND id = $2 AND {VISIBLE}"
    );
    Ok(db.execute(&sql, params![kind, id]).await? == 1)
}

async fn select(
    db: &Db,
    condition: &str,
    lock: &str,
    parameters: &[Param<'_>],
) -> Result<Vec<Item>> {
    let sql = format!(
        "-- paceline: items\nSELECT kind, id, table_id, name, body, version, created_at, updated_at \
         FROM paceline._ht_items WHERE {condition} AND {VISIBLE} ORDER BY id {lock}"
    );
    db.query(&sql, parameters).await?.iter().map(read_item).collect()
}

fn read_item(row: &Found) -> Result<Item> {
    Ok(Item {
        kind: row.text(0)?,
        id: row.int(1)?,
        table: row.opt_int(2)?.map(TableId),
        name: row.text(3)?,
        body: rules::parse_json("body", &row.text(4)?)?,
        version: row.int(5)?,
        created_at: row.time(6)?,
        updated_at: row.time(7)?,
    })
}

async fn append(db: &Db, log: &str, entries: &[(i64, Json)], keep: u64) -> Result<i64> {
    let entries = rules::entry_texts(log, entries)?;
    // Holds the log: its lines get their numbers in the order in which they become visible.
    let kept = db
        .one(
            "-- paceline: append_entries\nINSERT INTO paceline._ht_logs AS l (log, kept) VALUES ($1, $2) \
             ON CONFLICT (log) DO UPDATE SET kept = l.kept + excluded.kept RETURNING l.kept",
            params![log, signed(entries.len())],
        )
        .await?
        .int(0)?;
    let mut parts = Parts::default();
    for (subject, body) in &entries {
        parts.add(*subject, [Some(Cow::from(body.as_str()))]);
    }
    for part in parts.all {
        let bodies = part.columns.into_iter().next().unwrap_or_default();
        db.execute(
            "-- paceline: append_entries\nINSERT INTO paceline._ht_entries (log, subject, at, body) \
             SELECT $1, u.subject, $2, u.body FROM unnest($3, $4) WITH ORDINALITY \
             AS u (subject, body, place) ORDER BY u.place",
            params![log, db.now, part.ids, bodies],
        )
        .await?;
    }
    let sql = "-- paceline: append_entries\n\
               SELECT coalesce(max(sequence), 0) FROM paceline._ht_entries WHERE log = $1";
    let last = db.one(sql, params![log]).await?.int(0)?;
    trim(db, log, kept, signed(keep.min(limits::LOG_ENTRIES_MAX))).await?;
    Ok(last)
}

/// Drops the oldest of the lines that a log has, down to `keep`.
async fn trim(db: &Db, log: &str, kept: i64, keep: i64) -> Result<()> {
    if kept > keep {
        db.execute(
            "-- paceline: trim_entries\nDELETE FROM paceline._ht_entries WHERE sequence IN \
             (SELECT sequence FROM paceline._ht_entries WHERE log = $1 ORDER BY sequence LIMIT $2)",
            params![log, kept - keep],
        )
        .await?;
        db.execute(
            "-- paceline: trim_entries\nUPDATE paceline._ht_logs SET kept = $2 WHERE log = $1",
            params![log, keep],
        )
        .await?;
    }
    if keep.min(kept) == 0 {
        let sql = "-- paceline: trim_entries\nDELETE FROM paceline._ht_logs WHERE log = $1";
        db.execute(sql, params![log]).await?;
    }
    Ok(())
}

async fn entries(db: &Db, log: &str, query: EntryQuery) -> Result<Vec<Entry>> {
    let about = if query.subject.is_some() { "subject = $4" } else { "$4 IS NULL" };
    let sql = format!(
        "-- paceline: entries\nSELECT sequence, subject, at, body FROM paceline._ht_entries \
         WHERE log = $1 AND sequence < $2 AND {about} ORDER BY sequence DESC LIMIT $3"
    );
    // A reader comes again for the rest, so fewer than asked for is no loss.
    let max = signed(query.max.min(limits::PAGE_ROWS_MAX));
    let before = query.before.unwrap_or(i64::MAX);
    let found = db.query(&sql, params![log, before, max, query.subject]).await?;
    let read = |row: Found| {
        Ok(Entry {
            sequence: row.int(0)?,
            subject: row.int(1)?,
            at: row.time(2)?,
            body: rules::parse_json("line of a log", &row.text(3)?)?,
        })
    };
    found.into_iter().map(read).collect()
}
