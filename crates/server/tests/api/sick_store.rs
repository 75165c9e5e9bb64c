//! A store that fails, hangs or panics: callers hear what they can do, and nothing of what happened inside.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use paceline_clock::{SimClock, Timestamp};
use paceline_model::{
    Attempt, Cell, CellState, CellWord, Change, Claim, Column, ColumnChange, ColumnId,
    DeletedTable, DueQuery, Entry, EntryQuery, Error, FilledCells, Filter, Item, Lease, NewColumn,
    NewItem, NewRun, NewTable, NextCells, Note, NotedCall, Recovery, Registry, Result, Row, RowId,
    RowQuery, Run, RunId, RunStatus, SavedBudget, SentRecord, Spent, Store, Table, TableChange,
    TableEnd, TableId, Task, TaskReport, Upserted, Value,
};
use paceline_server::ServerConfig;
use serde_json::{Value as Json, json};

use crate::support::TestApp;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sick {
    Busy,
    Broken,
    Corrupt,
    Hanging,
    Panicking,
}

impl Sick {
    async fn says<T>(self) -> Result<T> {
        let message = "SELECT secret FROM inside".to_owned();
        match self {
            Self::Busy => Err(Error::Database { message, retryable: true }),
            Self::Broken => Err(Error::Database { message, retryable: false }),
            Self::Corrupt => Err(Error::Corrupt(message)),
            Self::Hanging => pending().await,
            Self::Panicking => panic!("{message}"),
        }
    }
}

pub(crate) fn with_store(sick: Sick, scenario: impl AsyncFnOnce(TestApp)) {
    SimClock::new().run(async |clock| {
        scenario(TestApp::over(Arc::new(sick), clock, ServerConfig::default())).await;
    });
}

/// Every way into the store, reading and writing.
async fn every_way(app: &TestApp) -> Vec<crate::support::Answer> {
    vec![
        app.get("/api/tables").await,
        app.post("/api/tables", json!({"name": "t", "columns": [{"name": "a", "type": "text"}]}))
            .await,
        app.post("/api/tables/t/rows", json!({"rows": [{"a": "x"}]})).await,
        app.get("/api/runs/1").await,
    ]
}

#[test]
fn a_failure_is_told_by_what_to_do_and_not_by_what_happened() {
    let cases = [
        (Sick::Busy, 503, "DATABASE_BUSY", true),
        (Sick::Broken, 500, "DATABASE_ERROR", false),
        (Sick::Corrupt, 500, "DATA_CORRUPT", false),
        (Sick::Panicking, 500, "INTERNAL_ERROR", false),
    ];
    for (sick, status, code, retryable) in cases {
        with_store(sick, async |app| {
            for answer in every_way(&app).await {
                let error = answer.refused(status, code, &[]);
                assert_eq!(error["retryable"], retryable);
                assert_eq!(
                    error["retry_after_ms"],
                    if retryable { json!(1000) } else { Json::Null }
                );
                assert_eq!(answer.headers.get("retry-after").is_some(), retryable);
                assert!(!answer.body.to_string().contains("SELECT"), "{:#}", answer.body);
            }
            app.get("/healthz").await.ok();
        });
    }
}

#[test]
fn a_store_that_hangs_does_not_hang_its_callers() {
    with_store(Sick::Hanging, async |app| {
        let began = app.clock.now();
        let answer = app.get("/api/tables").await;
        answer.refused(504, "TIMEOUT", &["60000 ms", "may still take effect"]);
        assert_eq!(app.clock.now() - began, Duration::from_secs(60));
    });
}

#[async_trait]
impl Registry for Sick {
    async fn create_item(&self, _: NewItem) -> Result<Item> {
        self.says().await
    }
    async fn update_item(&self, _: &str, _: i64, _: i64, _: Json) -> Result<Item> {
        self.says().await
    }
    async fn item(&self, _: &str, _: i64) -> Result<Option<Item>> {
        self.says().await
    }
    async fn items(&self, _: &str, _: Option<TableId>) -> Result<Vec<Item>> {
        self.says().await
    }
    async fn delete_item(&self, _: &str, _: i64) -> Result<bool> {
        self.says().await
    }
    async fn append_entries(&self, _: &str, _: Vec<(i64, Json)>, _: u64) -> Result<i64> {
        self.says().await
    }
    async fn entries(&self, _: &str, _: EntryQuery) -> Result<Vec<Entry>> {
        self.says().await
    }
    async fn keep(&self, _: Vec<Note>) -> Result<()> {
        self.says().await
    }
}

#[async_trait]
impl Store for Sick {
    async fn table_end(&self, _: TableId) -> Result<TableEnd> {
        self.says().await
    }
    async fn next_change(&self, _: u64) -> u64 {
        pending().await
    }
    async fn create_table(&self, _: NewTable) -> Result<Table> {
        self.says().await
    }
    async fn tables(&self) -> Result<Vec<Table>> {
        self.says().await
    }
    async fn table(&self, _: &str) -> Result<Option<Table>> {
        self.says().await
    }
    async fn update_table(&self, _: TableId, _: TableChange) -> Result<Table> {
        self.says().await
    }
    async fn delete_table(&self, _: TableId) -> Result<DeletedTable> {
        self.says().await
    }
    async fn restore_table(&self, _: TableId, _: Option<String>) -> Result<Table> {
        self.says().await
    }
    async fn deleted_tables(&self) -> Result<Vec<DeletedTable>> {
        self.says().await
    }
    async fn purge_tables(&self, _: Timestamp) -> Result<u64> {
        self.says().await
    }
    async fn update_column(&self, _: ColumnId, _: ColumnChange) -> Result<Column> {
        self.says().await
    }
    async fn delete_column(&self, _: ColumnId) -> Result<()> {
        self.says().await
    }
    async fn add_column(&self, _: TableId, _: NewColumn) -> Result<Column> {
        self.says().await
    }
    async fn update_smart_column(&self, _: ColumnId, _: Json, _: Json) -> Result<Column> {
        self.says().await
    }
    async fn insert_rows(
        &self,
        _: TableId,
        _: &[ColumnId],
        _: Vec<Vec<Value>>,
    ) -> Result<Option<(RowId, RowId)>> {
        self.says().await
    }
    async fn upsert_rows(
        &self,
        _: TableId,
        _: &[ColumnId],
        _: &[ColumnId],
        _: Vec<Vec<Value>>,
    ) -> Result<Upserted> {
        self.says().await
    }
    async fn update_rows(
        &self,
        _: TableId,
        _: Filter,
        _: &[ColumnId],
        _: Vec<Value>,
    ) -> Result<u64> {
        self.says().await
    }
    async fn delete_rows(&self, _: TableId, _: Filter) -> Result<u64> {
        self.says().await
    }
    async fn feed_rows(
        &self,
        _: TableId,
        _: &[ColumnId],
        _: &[ColumnId],
        _: Vec<Vec<Value>>,
        _: Vec<Note>,
    ) -> Result<Upserted> {
        self.says().await
    }
    async fn rows(&self, _: RowQuery) -> Result<Vec<Row>> {
        self.says().await
    }
    async fn count_rows(&self, _: TableId, _: Option<Filter>) -> Result<u64> {
        self.says().await
    }
    async fn cells(&self, _: ColumnId, _: RowId, _: RowId) -> Result<Vec<Cell>> {
        self.says().await
    }
    async fn count_cells(&self, _: ColumnId) -> Result<Vec<(CellState, u64)>> {
        self.says().await
    }
    async fn create_run(&self, _: NewRun) -> Result<Run> {
        self.says().await
    }
    async fn run(&self, _: RunId) -> Result<Option<Run>> {
        self.says().await
    }
    async fn runs(&self, _: TableId, _: usize) -> Result<Vec<Run>> {
        self.says().await
    }
    async fn unfinished_runs(&self, _: Option<TableId>) -> Result<Vec<Run>> {
        self.says().await
    }
    async fn newest_run(&self, _: ColumnId) -> Result<Option<Run>> {
        self.says().await
    }
    async fn set_run_status(&self, _: RunId, _: RunStatus, _: Option<String>) -> Result<Run> {
        self.says().await
    }
    async fn claim_tasks(&self, _: RunId, _: &[ColumnId], _: Lease, _: usize) -> Result<Claim> {
        self.says().await
    }
    async fn renew_leases(&self, _: Lease) -> Result<u64> {
        self.says().await
    }
    async fn record_intents(&self, _: RunId, _: i64, _: &[RowId]) -> Result<Vec<RowId>> {
        self.says().await
    }
    async fn record(&self, _: RunId, _: i64, _: Vec<TaskReport>) -> Result<Run> {
        self.says().await
    }
    async fn save_note(&self, _: RunId, _: i64, _: RowId, _: &str, _: NotedCall) -> Result<bool> {
        self.says().await
    }
    async fn note(&self, _: ColumnId, _: RowId) -> Result<Option<String>> {
        self.says().await
    }
    async fn notes(&self, _: ColumnId, _: RowId, _: usize) -> Result<Vec<(RowId, String)>> {
        self.says().await
    }
    async fn put_note(&self, _: ColumnId, _: RowId, _: Option<String>) -> Result<()> {
        self.says().await
    }
    async fn settle_unknown(&self, _: ColumnId, _: RowId, _: CellWord) -> Result<()> {
        self.says().await
    }
    async fn lock_cells(&self, _: ColumnId, _: Filter, _: bool) -> Result<u64> {
        self.says().await
    }
    async fn reusable_values(&self, _: ColumnId, _: &[[u8; 16]]) -> Result<Vec<Option<Value>>> {
        self.says().await
    }
    async fn due_cells(&self, _: &DueQuery, _: &[ColumnId]) -> Result<Vec<Task>> {
        self.says().await
    }
    async fn next_cells(
        &self,
        _: RunId,
        _: &[ColumnId],
        _: Option<RowId>,
        _: usize,
    ) -> Result<NextCells> {
        self.says().await
    }
    async fn fill_cells(&self, _: RunId, _: FilledCells) -> Result<Run> {
        self.says().await
    }
    async fn spent(&self, _: ColumnId, _: Timestamp) -> Result<Spent> {
        self.says().await
    }
    async fn recover_priced_run(&self, _: RunId, _: Recovery, _: u64) -> Result<u64> {
        self.says().await
    }
    async fn calls_since(&self, _: ColumnId, _: Timestamp, _: usize) -> Result<Vec<SentRecord>> {
        self.says().await
    }
    fn keep_attempts(&self, _: u32) {}
    async fn attempts(&self, _: ColumnId, _: RowId) -> Result<Vec<Attempt>> {
        self.says().await
    }
    async fn changes_after(&self, _: TableId, _: i64, _: usize) -> Result<(Vec<Change>, i64)> {
        self.says().await
    }
    async fn setting(&self, _: &str) -> Result<Option<String>> {
        self.says().await
    }
    async fn set_setting(&self, _: &str, _: &str) -> Result<()> {
        self.says().await
    }
    async fn save_budget(&self, _: &str, _: &str, _: Timestamp) -> Result<()> {
        self.says().await
    }
    async fn load_budget(&self, _: &str) -> Result<Option<SavedBudget>> {
        self.says().await
    }
    async fn checkpoint(&self) -> Result<()> {
        self.says().await
    }
}
