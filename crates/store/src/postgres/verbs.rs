//! The verbs of [`Store`], each a transaction on the store's thread. What a verb does stands in the file of its noun.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use paceline_clock::Timestamp;
use paceline_model::{
    Attempt, Cell, CellState, CellWord, Change, Claim, Column, ColumnChange, ColumnId,
    DeletedTable, DueQuery, FilledCells, Filter, Lease, NewColumn, NewRun, NewTable, NextCells,
    Note, NotedCall, Recovery, Result, Row, RowId, RowQuery, Run, RunId, RunStatus, SavedBudget,
    SentRecord, Spent, Store, Table, TableChange, TableEnd, TableId, Task, TaskReport, Upserted,
    Value, limits,
};

use super::{
    PostgresStore, attempts, budgets, cells, changes, claims, columns, deleted, due, edit, local,
    locks, notes, records, recovery, registry, rows, runs, spent, tables, upsert,
};
use crate::due::Walk;
use crate::rules;

#[async_trait]
impl Store for PostgresStore {
    async fn create_table(&self, table: NewTable) -> Result<Table> {
        self.write(move |db| async move { tables::create_table(&db, &table).await }).await
    }

    async fn tables(&self) -> Result<Vec<Table>> {
        self.read(|db| async move { tables::tables(&db).await }).await
    }

    async fn table(&self, name: &str) -> Result<Option<Table>> {
        let name = name.to_owned();
        self.read(move |db| async move { tables::table(&db, &name).await }).await
    }

    async fn update_table(&self, table: TableId, change: TableChange) -> Result<Table> {
        self.write(move |db| async move { tables::update_table(&db, table, &change).await }).await
    }

    async fn delete_table(&self, table: TableId) -> Result<DeletedTable> {
        self.write(move |db| async move { deleted::delete_table(&db, table).await }).await
    }

    async fn restore_table(&self, table: TableId, name: Option<String>) -> Result<Table> {
        self.write(
            move |db| async move { deleted::restore_table(&db, table, name.as_deref()).await },
        )
        .await
    }

    async fn deleted_tables(&self) -> Result<Vec<DeletedTable>> {
        self.read(move |db| async move { deleted::deleted_tables(&db).await }).await
    }

    async fn purge_tables(&self, before: Timestamp) -> Result<u64> {
        self.write(move |db| async move { deleted::purge_tables(&db, before).await }).await
    }

    async fn add_column(&self, table: TableId, column: NewColumn) -> Result<Column> {
        self.write(move |db| async move { columns::add_column(&db, table, &column).await }).await
    }

    async fn update_column(&self, column: ColumnId, change: ColumnChange) -> Result<Column> {
        self.write(move |db| async move { columns::update_column(&db, column, &change).await })
            .await
    }

    async fn delete_column(&self, column: ColumnId) -> Result<()> {
        self.write(move |db| async move { columns::delete_column(&db, column).await }).await
    }

    async fn update_smart_column(
        &self,
        column: ColumnId,
        config: serde_json::Value,
        rate_limit: serde_json::Value,
    ) -> Result<Column> {
        self.write(move |db| async move {
            columns::update_smart_column(&db, column, &config, &rate_limit).await
        })
        .await
    }

    async fn insert_rows(
        &self,
        table: TableId,
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Option<(RowId, RowId)>> {
        rules::check_insert(rows.len())?;
        let columns = columns.to_vec();
        self.write(move |db| async move { rows::insert_rows(&db, table, &columns, &rows).await })
            .await
    }

    async fn upsert_rows(
        &self,
        table: TableId,
        key: &[ColumnId],
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Upserted> {
        rules::check_insert(rows.len())?;
        let (key, columns) = (key.to_vec(), columns.to_vec());
        self.write(
            move |db| async move { upsert::upsert_rows(&db, table, &key, &columns, &rows).await },
        )
        .await
    }

    async fn update_rows(
        &self,
        table: TableId,
        filter: Filter,
        columns: &[ColumnId],
        values: Vec<Value>,
    ) -> Result<u64> {
        let columns = columns.to_vec();
        self.write(move |db| async move {
            edit::update_rows(&db, table, &filter, &columns, &values).await
        })
        .await
    }

    async fn delete_rows(&self, table: TableId, filter: Filter) -> Result<u64> {
        self.write(move |db| async move { edit::delete_rows(&db, table, &filter).await }).await
    }

    async fn feed_rows(
        &self,
        table: TableId,
        key: &[ColumnId],
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
        notes: Vec<Note>,
    ) -> Result<Upserted> {
        rules::check_insert(rows.len())?;
        let (key, columns) = (key.to_vec(), columns.to_vec());
        self.write(move |db| async move {
            let fed = if key.is_empty() {
                let inserted = rows::insert_rows(&db, table, &columns, &rows).await?;
                Upserted { inserted, updated: 0 }
            } else {
                upsert::upsert_rows(&db, table, &key, &columns, &rows).await?
            };
            registry::keep(&db, notes).await?;
            Ok(fed)
        })
        .await
    }

    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>> {
        self.read(move |db| async move { rows::rows(&db, &query).await }).await
    }

    async fn count_rows(&self, table: TableId, filter: Option<Filter>) -> Result<u64> {
        self.read(move |db| async move { rows::count_rows(&db, table, filter.as_ref()).await })
            .await
    }

    async fn cells(&self, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>> {
        self.read(move |db| async move { cells::cells(&db, column, first, last).await }).await
    }

    async fn count_cells(&self, column: ColumnId) -> Result<Vec<(CellState, u64)>> {
        self.read(move |db| async move { cells::count_cells(&db, column).await }).await
    }

    async fn create_run(&self, run: NewRun) -> Result<Run> {
        self.write(move |db| async move { runs::create_run(&db, run).await }).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>> {
        self.read(move |db| async move { runs::run(&db, run).await }).await
    }

    async fn runs(&self, table: TableId, limit: usize) -> Result<Vec<Run>> {
        self.read(move |db| async move { runs::runs(&db, table, limit).await }).await
    }

    async fn unfinished_runs(&self, table: Option<TableId>) -> Result<Vec<Run>> {
        self.read(move |db| async move { runs::unfinished_runs(&db, table).await }).await
    }

    async fn newest_run(&self, column: ColumnId) -> Result<Option<Run>> {
        self.read(move |db| async move { runs::newest_run(&db, column).await }).await
    }

    async fn set_run_status(
        &self,
        run: RunId,
        status: RunStatus,
        reason: Option<String>,
    ) -> Result<Run> {
        self.write(move |db| async move {
            runs::set_run_status(&db, run, status, reason.as_deref()).await
        })
        .await
    }

    async fn claim_tasks(
        &self,
        run: RunId,
        inputs: &[ColumnId],
        lease: Lease,
        max: usize,
    ) -> Result<Claim> {
        let max = max.min(limits::CLAIM_TASKS_MAX);
        loop {
            // One step looks at a bounded stretch of the table, so that a run over a million filled cells lets other
            // writers through between the steps.
            let inputs = inputs.to_vec();
            let step =
                self.write(move |db| async move {
                    claims::claim_tasks(&db, run, &inputs, lease, max).await
                })
                .await?;
            if !step.again {
                return Ok(step.claim);
            }
        }
    }

    async fn due_cells(&self, query: &DueQuery, inputs: &[ColumnId]) -> Result<Vec<Task>> {
        rules::check_due(query.max)?;
        let mut walk = Walk::new(query);
        while let Some(max) = walk.next() {
            let (new, cursor, inputs) = (walk.new.clone(), walk.cursor, inputs.to_vec());
            let stretch = self
                .read(move |db| async move { due::due_cells(&db, new, &inputs, cursor, max).await })
                .await?;
            walk.take(stretch);
        }
        Ok(walk.found())
    }

    async fn renew_leases(&self, lease: Lease) -> Result<u64> {
        self.write(move |db| async move { claims::renew_leases(&db, lease).await }).await
    }

    async fn record_intents(&self, run: RunId, token: i64, rows: &[RowId]) -> Result<Vec<RowId>> {
        let rows = rows.to_vec();
        // A lost intent is a call sent twice, so this one waits for the disk.
        self.write_durably(
            move |db| async move { claims::record_intents(&db, run, token, &rows).await },
        )
        .await
    }

    async fn record(&self, run: RunId, token: i64, reports: Vec<TaskReport>) -> Result<Run> {
        rules::check_reports(reports.len())?;
        self.write(move |db| async move { records::record(&db, run, token, reports).await }).await
    }

    async fn save_note(
        &self,
        run: RunId,
        token: i64,
        row: RowId,
        note: &str,
        call: NotedCall,
    ) -> Result<bool> {
        let note = note.to_owned();
        // A lost note is a job started twice, so this one waits for the disk.
        self.write_durably(move |db| async move {
            notes::save_note(&db, run, token, row, &note, &call).await
        })
        .await
    }

    async fn note(&self, column: ColumnId, row: RowId) -> Result<Option<String>> {
        self.read(move |db| async move { notes::note(&db, column, row).await }).await
    }

    async fn notes(
        &self,
        column: ColumnId,
        after: RowId,
        max: usize,
    ) -> Result<Vec<(RowId, String)>> {
        self.read(move |db| async move { notes::notes(&db, column, after, max).await }).await
    }

    async fn put_note(&self, column: ColumnId, row: RowId, note: Option<String>) -> Result<()> {
        self.write_durably(move |db| async move {
            notes::put_note(&db, column, row, note.as_deref()).await
        })
        .await
    }

    async fn settle_unknown(&self, column: ColumnId, row: RowId, word: CellWord) -> Result<()> {
        self.write(move |db| async move { notes::settle_unknown(&db, column, row, &word).await })
            .await
    }

    async fn lock_cells(&self, column: ColumnId, filter: Filter, locked: bool) -> Result<u64> {
        self.write(move |db| async move { locks::lock_cells(&db, column, &filter, locked).await })
            .await
    }

    async fn reusable_values(
        &self,
        column: ColumnId,
        keys: &[[u8; 16]],
    ) -> Result<Vec<Option<Value>>> {
        rules::check_keys(keys.len())?;
        let keys = keys.to_vec();
        self.read(move |db| async move { cells::reusable_values(&db, column, &keys).await }).await
    }

    async fn next_cells(
        &self,
        run: RunId,
        inputs: &[ColumnId],
        after: Option<RowId>,
        max: usize,
    ) -> Result<NextCells> {
        let max = max.clamp(1, limits::FILL_CELLS_MAX);
        let (mut from, mut after) = (None, after);
        loop {
            let inputs = inputs.to_vec();
            let next = self.write(move |db| async move {
                local::next_cells(&db, run, &inputs, after, max).await
            });
            let next = next.await?;
            let first = *from.get_or_insert(next.after);
            if !next.tasks.is_empty() || next.exhausted {
                return Ok(NextCells { after: first, ..next });
            }
            after = Some(next.cursor);
        }
    }

    async fn fill_cells(&self, run: RunId, filled: FilledCells) -> Result<Run> {
        rules::check_filled(&filled)?;
        self.write(move |db| async move { local::fill_cells(&db, run, &filled).await }).await
    }

    async fn spent(&self, column: ColumnId, at: Timestamp) -> Result<Spent> {
        self.read(move |db| async move { spent::spent(&db, column, at).await }).await
    }

    async fn recover_priced_run(
        &self,
        run: RunId,
        recovery: Recovery,
        price_micros: u64,
    ) -> Result<u64> {
        self.write(move |db| async move {
            recovery::recover_run(&db, run, recovery, price_micros).await
        })
        .await
    }

    async fn calls_since(
        &self,
        column: ColumnId,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SentRecord>> {
        self.read(move |db| async move { attempts::calls_since(&db, column, since, max).await })
            .await
    }

    fn keep_attempts(&self, per_cell_max: u32) {
        self.server.attempts_kept.store(per_cell_max, Ordering::Relaxed);
    }

    async fn attempts(&self, column: ColumnId, row: RowId) -> Result<Vec<Attempt>> {
        self.read(move |db| async move { attempts::attempts(&db, column, row).await }).await
    }

    async fn changes_after(
        &self,
        table: TableId,
        sequence: i64,
        max: usize,
    ) -> Result<(Vec<Change>, i64)> {
        self.read(move |db| async move { changes::changes_after(&db, table, sequence, max).await })
            .await
    }

    async fn table_end(&self, table: TableId) -> Result<TableEnd> {
        self.read(move |db| async move { changes::table_end(&db, table).await }).await
    }

    async fn next_change(&self, seen: u64) -> u64 {
        self.server.wakeup.after(seen).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |db| async move { tables::setting(&db, &name).await }).await
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |db| async move { tables::set_setting(&db, &name, &value).await }).await
    }

    async fn save_budget(&self, key: &str, snapshot: &str, at: Timestamp) -> Result<()> {
        let (key, snapshot) = (key.to_owned(), snapshot.to_owned());
        self.write(move |db| async move { budgets::save_budget(&db, &key, &snapshot, at).await })
            .await
    }

    async fn load_budget(&self, key: &str) -> Result<Option<SavedBudget>> {
        let key = key.to_owned();
        self.read(move |db| async move { budgets::load_budget(&db, &key).await }).await
    }

    async fn checkpoint(&self) -> Result<()> {
        // A commit that waits for the disk waits for all that were made before it.
        self.write_durably(|db| async move { tables::checkpoint(&db).await }).await
    }
}
