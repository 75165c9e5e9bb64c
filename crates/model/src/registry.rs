//! What the platform keeps besides tables and runs, each as a small document: API keys, AI providers, sources, webhooks,
//! functions, jobs. And logs of what happened: audits, deliveries. Both are kept by whoever keeps the tables.

use async_trait::async_trait;
use paceline_clock::Timestamp;
use serde_json::Value as Json;

use crate::{Result, TableId};

/// A document. Its kind says who reads the body.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// As in [`NewItem::kind`].
    pub kind: String,
    /// Its number, unique over all kinds and never given twice.
    pub id: i64,
    /// The table it belongs to and is deleted with.
    pub table: Option<TableId>,
    /// Unique among the items of its kind and table.
    pub name: String,
    /// What its kind keeps.
    pub body: Json,
    /// Grows by one with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A document to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// What it is: `api_key`, `webhook`, ...
    pub kind: &'static str,
    /// See [`Item::table`].
    pub table: Option<TableId>,
    /// See [`Item::name`]; at most `limits::ITEM_NAME_BYTES_MAX` bytes, as is the kind.
    pub name: String,
    /// See [`Item::body`]; at most `limits::VALUE_BYTES_MAX` bytes as text.
    pub body: Json,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows with every entry of any log.
    pub sequence: i64,
    /// What it is about: the id of an item, or 0.
    pub subject: i64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub body: Json,
}

/// Something that is written along with something else, in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// As [`Registry::update_item`].
    Item {
        /// Its kind.
        kind: &'static str,
        /// Its id.
        id: i64,
        /// The version it is at.
        version: i64,
        /// Its new body.
        body: Json,
    },
    /// As [`Registry::append_entries`].
    Entries {
        /// The log.
        log: String,
        /// Its new lines.
        entries: Vec<(i64, Json)>,
        /// How many lines it keeps.
        keep: u64,
    },
}

/// Which lines of a log to read: the newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryQuery {
    /// Those about this; all if none.
    pub subject: Option<i64>,
    /// Those with a smaller sequence; the newest if none.
    pub before: Option<i64>,
    /// How many at the most.
    pub max: usize,
}

/// Keeps items and logs. One method is one transaction.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Makes an item. Fails with `Exists` if its kind and table have one of that name, with `Missing` without the table, and
    /// with `Conflict` if its kind has `limits::ITEMS_PER_KIND_MAX` already.
    async fn create_item(&self, new: NewItem) -> Result<Item>;

    /// Replaces the body of an item that is at `version`. Fails with `Conflict` if it has moved on, with `Missing` if it is
    /// gone.
    async fn update_item(&self, kind: &str, id: i64, version: i64, body: Json) -> Result<Item>;

    /// The item of that kind and id.
    async fn item(&self, kind: &str, id: i64) -> Result<Option<Item>>;

    /// The items of a kind, by id: those of a table, or all. Those of deleted tables are left out.
    async fn items(&self, kind: &str, table: Option<TableId>) -> Result<Vec<Item>>;

    /// Deletes an item; false if there was none.
    async fn delete_item(&self, kind: &str, id: i64) -> Result<bool>;

    /// Adds lines to a log, each with what it is about, and drops the oldest of that log if there are more than `keep`;
    /// 0 empties it. Answers the last sequence. At most `limits::LOG_APPEND_MAX` lines of `limits::VALUE_BYTES_MAX` bytes
    /// of text each; no log keeps more than `limits::LOG_ENTRIES_MAX`.
    async fn append_entries(&self, log: &str, entries: Vec<(i64, Json)>, keep: u64) -> Result<i64>;

    /// Lines of a log, the newest first; at most `limits::PAGE_ROWS_MAX`.
    async fn entries(&self, log: &str, query: EntryQuery) -> Result<Vec<Entry>>;

    /// Writes all of these or none, items first and in the order of their ids: what belongs together cannot part.
    async fn keep(&self, notes: Vec<Note>) -> Result<()>;
}
