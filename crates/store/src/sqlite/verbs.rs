//! The verbs of [`Store`], each handed to the thread that does it. What a verb does stands in the file of its noun.

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
    SqliteStore, attempts, budgets, cells, changes, claims, columns, deleted, due, edit, local,
    locks, notes, records, recovery, registry, rows, runs, spent, tables, upsert,
};
use crate::due::Walk;
use crate::rules;

#[async_trait]
impl Store for SqliteStore {
    async fn create_table(&self, table: NewTable) -> Result<Table> {
        self.write(move |db| tables::create_table(db, &table)).await
    }

    async fn tables(&self) -> Result<Vec<Table>> {
        self.read(tables::tables).await
    }

    async fn table(&self, name: &str) -> Result<Option<Table>> {
        let name = name.to_owned();
        self.read(move |db| tables::table(db, &name)).await
    }

    async fn update_table(&self, table: TableId, change: TableChange) -> Result<Table> {
        self.write(move |db| tables::update_table(db, table, &change)).await
    }

    async fn delete_table(&self, table: TableId) -> Result<DeletedTable> {
        self.write(move |db| deleted::delete_table(db, table)).await
    }

    async fn restore_table(&self, table: TableId, name: Option<String>) -> Result<Table> {
        self.write(move |db| deleted::restore_table(db, table, name.as_deref())).await
    }

    async fn deleted_tables(&self) -> Result<Vec<DeletedTable>> {
        self.read(deleted::deleted_tables).await
    }

    async fn purge_tables(&self, before: Timestamp) -> Result<u64> {
        self.write(move |db| deleted::purge_tables(db, before)).await
    }

    async fn add_column(&self, table: TableId, column: NewColumn) -> Result<Column> {
        self.write(move |db| columns::add_column(db, table, &column)).await
    }

    async fn update_column(&self, column: ColumnId, change: ColumnChange) -> Result<Column> {
        self.write(move |db| columns::update_column(db, column, &change)).await
    }

    async fn delete_column(&self, column: ColumnId) -> Result<()> {
        self.write(move |db| columns::delete_column(db, column)).await
    }

    async fn update_smart_column(
        &self,
        column: ColumnId,
        config: serde_json::Value,
        rate_limit: serde_json::Value,
    ) -> Result<Column> {
        self.write(move |db| columns::update_smart_column(db, column, &config, &rate_limit)).await
    }

    async fn insert_rows(
        &self,
        table: TableId,
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Option<(RowId, RowId)>> {
        rules::check_insert(rows.len())?;
        let columns = columns.to_vec();
        self.write(move |db| rows::insert_rows(db, table, &columns, &rows)).await
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
        self.write(move |db| upsert::upsert_rows(db, table, &key, &columns, &rows)).await
    }

    async fn update_rows(
        &self,
        table: TableId,
        filter: Filter,
        columns: &[ColumnId],
        values: Vec<Value>,
    ) -> Result<u64> {
        let columns = columns.to_vec();
        self.write(move |db| edit::update_rows(db, table, &filter, &columns, &values)).await
    }

    async fn delete_rows(&self, table: TableId, filter: Filter) -> Result<u64> {
        self.write(move |db| edit::delete_rows(db, table, &filter)).await
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
        self.write(move |db| {
            let fed = if key.is_empty() {
                let inserted = rows::insert_rows(db, table, &columns, &rows)?;
                Upserted { inserted, updated: 0 }
            } else {
                upsert::upsert_rows(db, table, &key, &columns, &rows)?
            };
            registry::keep(db, notes)?;
            Ok(fed)
        })
        .await
    }

    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>> {
        self.read(move |db| rows::rows(db, &query)).await
    }

    async fn count_rows(&self, table: TableId, filter: Option<Filter>) -> Result<u64> {
        self.read(move |db| rows::count_rows(db, table, filter.as_ref())).await
    }

    async fn cells(&self, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>> {
        self.read(move |db| cells::cells(db, column, first, last)).await
    }

    async fn count_cells(&self, column: ColumnId) -> Result<Vec<(CellState, u64)>> {
        self.read(move |db| cells::count_cells(db, column)).await
    }

    async fn create_run(&self, run: NewRun) -> Result<Run> {
        self.write(move |db| runs::create_run(db, run)).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>> {
        self.read(move |db| runs::run(db, run)).await
    }

    async fn runs(&self, table: TableId, limit: usize) -> Result<Vec<Run>> {
        self.read(move |db| runs::runs(db, table, limit)).await
    }

    async fn unfinished_runs(&self, table: Option<TableId>) -> Result<Vec<Run>> {
        self.read(move |db| runs::unfinished_runs(db, table)).await
    }

    async fn newest_run(&self, column: ColumnId) -> Result<Option<Run>> {
        self.read(move |db| runs::newest_run(db, column)).await
    }

    async fn set_run_status(
        &self,
        run: RunId,
        status: RunStatus,
        reason: Option<String>,
    ) -> Result<Run> {
        self.write(move |db| runs::set_run_status(db, run, status, reason.as_deref())).await
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
                self.write(move |db| claims::claim_tasks(db, run, &inputs, lease, max)).await?;
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
            walk.take(self.read(move |db| due::due_cells(db, new, &inputs, cursor, max)).await?);
        }
        Ok(walk.found())
    }

    async fn renew_leases(&self, lease: Lease) -> Result<u64> {
        self.write(move |db| claims::renew_leases(db, lease)).await
    }

    async fn record_intents(&self, run: RunId, token: i64, rows: &[RowId]) -> Result<Vec<RowId>> {
        let rows = rows.to_vec();
        // A lost intent is a call sent twice, so this one waits for the disk.
        self.send_write(true, move |db| claims::record_intents(db, run, token, &rows)).await
    }

    async fn record(&self, run: RunId, token: i64, reports: Vec<TaskReport>) -> Result<Run> {
        rules::check_reports(reports.len())?;
        self.write(move |db| records::record(db, run, token, reports)).await
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
        self.send_write(true, move |db| notes::save_note(db, run, token, row, &note, &call)).await
    }

    async fn note(&self, column: ColumnId, row: RowId) -> Result<Option<String>> {
        self.read(move |db| notes::note(db, column, row)).await
    }

    async fn notes(
        &self,
        column: ColumnId,
        after: RowId,
        max: usize,
    ) -> Result<Vec<(RowId, String)>> {
        self.read(move |db| notes::notes(db, column, after, max)).await
    }

    async fn put_note(&self, column: ColumnId, row: RowId, note: Option<String>) -> Result<()> {
        self.send_write(true, move |db| notes::put_note(db, column, row, note.as_deref())).await
    }

    async fn settle_unknown(&self, column: ColumnId, row: RowId, word: CellWord) -> Result<()> {
        self.write(move |db| notes::settle_unknown(db, column, row, &word)).await
    }

    async fn lock_cells(&self, column: ColumnId, filter: Filter, locked: bool) -> Result<u64> {
        self.write(move |db| locks::lock_cells(db, column, &filter, locked)).await
    }

    async fn reusable_values(
        &self,
        column: ColumnId,
        keys: &[[u8; 16]],
    ) -> Result<Vec<Option<Value>>> {
        rules::check_keys(keys.len())?;
        let keys = keys.to_vec();
        self.read(move |db| cells::reusable_values(db, column, &keys)).await
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
            let next = self.read(move |db| local::next_cells(db, run, &inputs, after, max)).await?;
            let first = *from.get_or_insert(next.after);
            if !next.tasks.is_empty() || next.exhausted {
                return Ok(NextCells { after: first, ..next });
            }
            after = Some(next.cursor);
        }
    }

    async fn fill_cells(&self, run: RunId, filled: FilledCells) -> Result<Run> {
        rules::check_filled(&filled)?;
        self.write(move |db| local::fill_cells(db, run, &filled)).await
    }

    async fn spent(&self, column: ColumnId, at: Timestamp) -> Result<Spent> {
        self.read(move |db| spent::spent(db, column, at)).await
    }

    async fn recover_priced_run(
        &self,
        run: RunId,
        recovery: Recovery,
        price_micros: u64,
    ) -> Result<u64> {
        self.write(move |db| recovery::recover_run(db, run, recovery, price_micros)).await
    }

    async fn calls_since(
        &self,
        column: ColumnId,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SentRecord>> {
        self.read(move |db| attempts::calls_since(db, column, since, max)).await
    }

    fn keep_attempts(&self, per_cell_max: u32) {
        self.attempts_kept.store(per_cell_max, Ordering::Relaxed);
    }

    async fn attempts(&self, column: ColumnId, row: RowId) -> Result<Vec<Attempt>> {
        self.read(move |db| attempts::attempts(db, column, row)).await
    }

    async fn changes_after(
        &self,
        table: TableId,
        sequence: i64,
        max: usize,
    ) -> Result<(Vec<Change>, i64)> {
        self.read(move |db| changes::changes_after(db, table, sequence, max)).await
    }

    async fn table_end(&self, table: TableId) -> Result<TableEnd> {
        self.read(move |db| changes::table_end(db, table)).await
    }

    async fn next_change(&self, seen: u64) -> u64 {
        self.wakeup.after(seen).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        let name = name.to_owned();
        self.read(move |db| tables::setting(db, &name)).await
    }

    async fn set_setting(&self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.write(move |db| tables::set_setting(db, &name, &value)).await
    }

    async fn save_budget(&self, key: &str, snapshot: &str, at: Timestamp) -> Result<()> {
        let (key, snapshot) = (key.to_owned(), snapshot.to_owned());
        self.write(move |db| budgets::save_budget(db, &key, &snapshot, at)).await
    }

    async fn load_budget(&self, key: &str) -> Result<Option<SavedBudget>> {
        let key = key.to_owned();
        self.read(move |db| budgets::load_budget(db, &key)).await
    }

    async fn checkpoint(&self) -> Result<()> {
        self.send_checkpoint().await
    }
}
