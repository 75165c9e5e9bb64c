//! Items and logs.

use async_trait::async_trait;
use paceline_model::{Entry, EntryQuery, Item, NewItem, Registry, Result, TableId};
use serde_json::Value as Json;

use super::SqliteStore;

#[async_trait]
impl Registry for SqliteStore {
    async fn create_item(&self, _new: NewItem) -> Result<Item> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn update_item(&self, _kind: &str, _id: i64, _version: i64, _body: Json) -> Result<Item> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn item(&self, _kind: &str, _id: i64) -> Result<Option<Item>> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn items(&self, _kind: &str, _table: Option<TableId>) -> Result<Vec<Item>> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn delete_item(&self, _kind: &str, _id: i64) -> Result<bool> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn append_entries(
        &self,
        _log: &str,
        _entries: Vec<(i64, Json)>,
        _keep: u64,
    ) -> Result<i64> {
        Err(paceline_model::Error::invalid("not built yet"))
    }

    async fn entries(&self, _log: &str, _query: EntryQuery) -> Result<Vec<Entry>> {
        Err(paceline_model::Error::invalid("not built yet"))
    }
}
