//! What keeps the nouns: one method is one transaction and one verb of the domain. No open transaction crosses this
//! seam, so that the engine knows no SQL, and each method is one case of the contract suite that runs on every backend.

use async_trait::async_trait;
use paceline_clock::Timestamp;

use crate::{
    Attempt, Cell, CellError, CellState, CellWord, Change, Claim, Column, ColumnChange, ColumnId,
    DeletedTable, DueQuery, FilledCells, Filter, Lease, NewColumn, NewRun, NewTable, NextCells,
    Note, NotedCall, Recovery, Registry, Result, Row, RowId, RowQuery, Run, RunId, RunStatus,
    SavedBudget, SentRecord, Spent, Table, TableChange, TableEnd, TableId, Task, TaskReport,
    Upserted, Value,
};

/// A store of tables, runs and changes. Shared by reference; every method may be called at any time from any task.
#[async_trait]
pub trait Store: Registry + Send + Sync + std::fmt::Debug {
    /// Makes a table with its first columns; writes a `Schema` change.
    async fn create_table(&self, table: NewTable) -> Result<Table>;

    /// All tables, by name.
    async fn tables(&self) -> Result<Vec<Table>>;

    /// The table of that name; of that id when `name` is a number.
    async fn table(&self, name: &str) -> Result<Option<Table>>;

    /// Changes a table; writes a `Schema` change. Fails with `Exists` if the name is taken.
    async fn update_table(&self, table: TableId, change: TableChange) -> Result<Table>;

    /// Deletes a table so that it can be restored: it is in no list any more, nor are its runs and items, and its name is
    /// free again; writes a `Schema` change for those who follow it. Fails with `Conflict` while a run of it is not final.
    async fn delete_table(&self, table: TableId) -> Result<DeletedTable>;

    /// Brings a deleted table back under `name`, or its old one, with all that belongs to it; writes a `Schema` change.
    /// Fails with `Exists` if the name is taken, and with `Missing` if there is no such deleted table.
    async fn restore_table(&self, table: TableId, name: Option<String>) -> Result<Table>;

    /// The deleted tables that can be restored, newest first.
    async fn deleted_tables(&self) -> Result<Vec<DeletedTable>>;

    /// Drops for good what was deleted before `before`, with everything that belongs to it; answers how many tables.
    async fn purge_tables(&self, before: Timestamp) -> Result<u64>;

    /// Adds a column; writes a `Schema` change.
    async fn add_column(&self, table: TableId, column: NewColumn) -> Result<Column>;

    /// Changes a column; writes a `Schema` change. Fails with `Exists` if the name is taken, with `Conflict` while a run
    /// of the column is not final or a row holds an option that would go.
    async fn update_column(&self, column: ColumnId, change: ColumnChange) -> Result<Column>;

    /// Deletes a column with its values, cells, attempts and runs; writes a `Schema` change. Fails with `Conflict` while
    /// a run of the column is not final, or one whose filter looks at it, and for the last column of a table.
    async fn delete_column(&self, column: ColumnId) -> Result<()>;

    /// Replaces what makes a column smart and raises its version; writes a `Schema` change. `config` and `rate_limit`
    /// are as in [`crate::SmartColumn`].
    async fn update_smart_column(
        &self,
        column: ColumnId,
        config: serde_json::Value,
        rate_limit: serde_json::Value,
    ) -> Result<Column>;

    /// Inserts rows whose values stand in the order of `columns`; answers the first and the last id (they are
    /// consecutive), writes one `RowsInserted` change. At most `limits::INSERT_ROWS_MAX`, else refused whole.
    async fn insert_rows(
        &self,
        table: TableId,
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Option<(RowId, RowId)>>;

    /// Inserts rows, or updates those whose values in the columns `key` are there already (by the row with the least id
    /// where several are alike; a key with an empty value in it is like no other, 3 is like 3.0). What a call names
    /// twice ends as its last row says. `columns` has those of `key` among them. Writes a `RowsInserted` and a
    /// `RowsUpdated` change. Bounds as in [`Store::insert_rows`]; a key is looked for in one pass over the table.
    ///
    /// Fails with `Invalid` for a key of JSON or of a list of options.
    async fn upsert_rows(
        &self,
        table: TableId,
        key: &[ColumnId],
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
    ) -> Result<Upserted>;

    /// Rows that something brings, and its own word on how far it has come, in one transaction: as [`Store::upsert_rows`]
    /// (as [`Store::insert_rows`] if `key` is empty) and [`Registry::keep`]. After a crash either both are there or
    /// neither, so that nothing is brought twice and nothing left out.
    async fn feed_rows(
        &self,
        table: TableId,
        key: &[ColumnId],
        columns: &[ColumnId],
        rows: Vec<Vec<Value>>,
        notes: Vec<Note>,
    ) -> Result<Upserted>;

    /// Sets these columns to these values in every row that passes the filter, and with them when the row last changed,
    /// as a smart cell that is filled does; answers how many. Writes one `RowsUpdated` change, of more than
    /// [`limits::CHANGE_ROWS_MAX`](crate::limits::CHANGE_ROWS_MAX) rows a `Reload`.
    ///
    /// What is written into a smart column is a person's word, emptiness too: its cells are completed and locked from then
    /// on ([`Cell::locked`]), and a `Cells` change tells of them. [`Store::upsert_rows`] does the same to the rows that it
    /// updates; in rows that are inserted only cells with a value are locked.
    async fn update_rows(
        &self,
        table: TableId,
        filter: Filter,
        columns: &[ColumnId],
        values: Vec<Value>,
    ) -> Result<u64>;

    /// Deletes the rows that pass the filter, with their cells, attempts, notes and tasks; answers how many. Writes one
    /// `RowsDeleted` change, or a `Reload` as [`Store::update_rows`] does. A report for a row that is gone is late: its
    /// attempt is kept, because the call was made.
    async fn delete_rows(&self, table: TableId, filter: Filter) -> Result<u64>;

    /// A page of rows: those that pass the filter, in the order of [`RowQuery`], after a row of it or some left out.
    ///
    /// Fails with `Invalid` for a test or a key that its column does not take, or if `after_keys` are not the values of
    /// the keys; with `Missing` for a column of another table.
    async fn rows(&self, query: RowQuery) -> Result<Vec<Row>>;

    /// How many rows of the table pass the filter; all without one.
    async fn count_rows(&self, table: TableId, filter: Option<Filter>) -> Result<u64>;

    /// The records of a column's cells whose rows are `first..=last`, ascending; cells without a record are left out.
    async fn cells(&self, column: ColumnId, first: RowId, last: RowId) -> Result<Vec<Cell>>;

    /// How many cells of a column are in each state; states that no cell is in are left out.
    async fn count_cells(&self, column: ColumnId) -> Result<Vec<(CellState, u64)>>;

    /// Makes a run (status `Queued`), with its total counted now; writes a `Run` change. Of the scope `following` the total
    /// is a bound, and of a run with a filter or after others it may become one; it is exact once the run is completed.
    ///
    /// Fails with `Conflict` while another run of the same column is not final, with `Invalid` for
    /// [`Scope::Unknown`](crate::Scope::Unknown) of a column whose unknown cells nobody can look up, for
    /// [`Scope::Following`](crate::Scope::Following) after no run, and for a filter that [`Store::rows`] refuses; with
    /// `Missing` for a run of another table in `after`.
    async fn create_run(&self, run: NewRun) -> Result<Run>;

    /// The run of that id.
    async fn run(&self, run: RunId) -> Result<Option<Run>>;

    /// The runs of a table, newest first, at most `limit`.
    async fn runs(&self, table: TableId, limit: usize) -> Result<Vec<Run>>;

    /// The runs of a table, or of all tables, that are not at their end, paused ones among them; oldest first. At most one of
    /// each column, however many runs there have been.
    async fn unfinished_runs(&self, table: Option<TableId>) -> Result<Vec<Run>>;

    /// The newest run of a column: if any of its runs is not at its end, it is this one.
    async fn newest_run(&self, column: ColumnId) -> Result<Option<Run>>;

    /// Moves a run to a status, with a reason; writes a `Run` change. A final status stays: `Conflict`. Cancelling
    /// ends all its tasks, so that late reports are known for late.
    async fn set_run_status(
        &self,
        run: RunId,
        status: RunStatus,
        reason: Option<String>,
    ) -> Result<Run>;

    /// Claims up to `max` tasks of a run: first those nobody holds (given back, or the lease of another holder has run
    /// out), then due rows not claimed before, in the order of their ids, up to the last row there was when the run was
    /// made. `inputs` are the columns whose values the tasks carry; the notes of their cells come with them. Never the
    /// caller's own tasks: a machine that slept must not call twice. Never a task with a standing intent: only a report or
    /// [`Store::recover_run`] settles that.
    ///
    /// Of a run after others ([`RunOptions::after`](crate::RunOptions::after)) never a row that one of them is at or has
    /// yet to come to, unless that run is final; whether the row is due is asked when it has come to its turn. So a claim
    /// may bring nothing and not be exhausted: more may come with the next report for a run before it, or its end. The
    /// same where the first so many are all in hand: one may turn out not to be due ([`TaskStep::Leave`](crate::TaskStep)).
    async fn claim_tasks(
        &self,
        run: RunId,
        inputs: &[ColumnId],
        lease: Lease,
        max: usize,
    ) -> Result<Claim>;

    /// Makes the lease of every task that `lease.token` holds last `lease.lease` from now on; answers how many.
    async fn renew_leases(&self, lease: Lease) -> Result<u64>;

    /// Writes down that these tasks are about to be sent (design decision 4: intent before effect). When this has
    /// returned, the intent survives a crash. Answers the rows that `token` still holds and that no person has locked; others
    /// must not be sent.
    async fn record_intents(&self, run: RunId, token: i64, rows: &[RowId]) -> Result<Vec<RowId>>;

    /// Writes what became of tasks, in one transaction: cell value and state, attempts, counts, task, one `Cells`
    /// change. A report for a task that `token` does not hold (any more) only keeps its attempt: it is late. Answers the
    /// run as it now stands.
    ///
    /// A cell that a person has locked meanwhile stays as it is, and its task is counted as skipped. What a finished cell
    /// was made from is kept with it, and forgotten if the report does not say.
    ///
    /// The note of a cell goes when the cell ends in any state but `Unknown`; before that it is as the report says.
    async fn record(&self, run: RunId, token: i64, reports: Vec<TaskReport>) -> Result<Run>;

    /// Keeps `note` as what must be known of a cell before anything more is done for it, in place of an earlier note: a
    /// job that another service was asked to do, so that whoever takes up the task, a minute or a crash later, asks what
    /// became of it instead of asking for it again. `call` says what the note means for the call that it is about. When
    /// this has returned, all of it survives a power cut. False if `token` does not hold the task, or if a call is
    /// intended for a cell that a person has locked: then nothing was written but the attempt, which is late.
    async fn save_note(
        &self,
        run: RunId,
        token: i64,
        row: RowId,
        note: &str,
        call: NotedCall,
    ) -> Result<bool>;

    /// The note of a cell.
    async fn note(&self, column: ColumnId, row: RowId) -> Result<Option<String>>;

    /// The notes of a column's cells in the rows after `after`, ascending, at most `max`.
    async fn notes(
        &self,
        column: ColumnId,
        after: RowId,
        max: usize,
    ) -> Result<Vec<(RowId, String)>>;

    /// A person's word on a cell whose outcome nobody knows: its note from now on, or none, for the next run over the
    /// unknown cells to go by.
    ///
    /// Fails with `Conflict` if the cell is not unknown, or a run has its task.
    async fn put_note(&self, column: ColumnId, row: RowId, note: Option<String>) -> Result<()>;

    /// A person's word on a cell whose outcome nobody knows: it has failed, for this reason. Its note goes; writes a
    /// `Cells` change. The counts of the run that left it stay as they were.
    ///
    /// Fails with `Conflict` if the cell is not unknown, or a run has its task.
    async fn fail_unknown(&self, column: ColumnId, row: RowId, error: CellError) -> Result<()> {
        self.settle_unknown(column, row, CellWord::Failed(error)).await
    }

    /// A person's word on a cell whose outcome nobody knows. Its note goes; writes a `Cells` change. The counts of the run
    /// that left it stay as they were.
    ///
    /// Fails with `Conflict` if the cell is not unknown, or a run has its task.
    async fn settle_unknown(&self, column: ColumnId, row: RowId, word: CellWord) -> Result<()>;

    /// Locks the cells of a smart column in the rows that pass the filter, as a person's edit does, or unlocks them;
    /// answers of how many that changed. Locked cells are completed, whatever they were before, with the value that stands
    /// in the table. Unlocked ones stay completed, made from nothing known: they are stale. Writes a `Cells` change, of more
    /// than [`limits::CHANGE_ROWS_MAX`](crate::limits::CHANGE_ROWS_MAX) rows a `Reload`.
    ///
    /// Fails with `Invalid` for a column that is not smart.
    async fn lock_cells(&self, column: ColumnId, filter: Filter, locked: bool) -> Result<u64>;

    /// For each of these keys of [`Fingerprint`](crate::Fingerprint) the value of a completed cell of the column that was
    /// made from it, where there is one; a completed cell that is empty has the value `Null`. At most
    /// [`limits::COMMIT_REPORTS_MAX`](crate::limits::COMMIT_REPORTS_MAX) keys.
    async fn reusable_values(
        &self,
        column: ColumnId,
        keys: &[[u8; 16]],
    ) -> Result<Vec<Option<Value>>>;

    /// The cells that a run would take up now, as tasks that nobody holds, ascending by row, with the values of `inputs`;
    /// fewer than `max` are the last. Those of [`RunOptions::first`](crate::RunOptions::first) are counted from the first
    /// row on, whatever row the query goes on after; whether the runs in `after` are done with a row is not asked.
    ///
    /// Fails as [`Store::create_run`] does, but not for another run of the column, and with `Invalid` for more than
    /// `limits::PAGE_ROWS_MAX`.
    async fn due_cells(&self, query: &DueQuery, inputs: &[ColumnId]) -> Result<Vec<Task>>;

    /// The next cells of a run whose column is local, as [`Store::claim_tasks`] would give them, but without a record of
    /// each and without moving the run's cursor: nothing is done for them that may not be done again. They are those after
    /// `after`, or after the cursor if there is none; so the next ones can be read while the last are being written. At most
    /// [`limits::FILL_CELLS_MAX`](crate::limits::FILL_CELLS_MAX). Not for a run that comes after others, nor one that has
    /// tasks.
    async fn next_cells(
        &self,
        run: RunId,
        inputs: &[ColumnId],
        after: Option<RowId>,
        max: usize,
    ) -> Result<NextCells>;

    /// Writes cells that were filled without a call and moves the cursor of their run, in one transaction with one `Cells`
    /// change; answers the run as it now stands. Cells that a person has locked meanwhile and rows that are gone are left as
    /// they are, and the run's total is as much less.
    ///
    /// Fails with `Conflict` if the run is at its end, or if its cursor is not at [`FilledCells::after`]: so what was
    /// cancelled stays so, and what was written once, though nobody heard of it, is not counted again.
    async fn fill_cells(&self, run: RunId, filled: FilledCells) -> Result<Run>;

    /// What the calls of a column have come to on the UTC day of `at`, those of late reports too; a call is of the day on
    /// which its outcome was seen.
    async fn spent(&self, column: ColumnId, at: Timestamp) -> Result<Spent>;

    /// After a crash: gives back every task of a run that anybody holds. Those with an intent get an attempt of
    /// class `Unknown` on record (it may have been sent), and `recovery` says what becomes of them. Call this only when
    /// no other process works on the run. Answers how many tasks without an intent were held (they may have been sent as
    /// well, if intents are not being recorded).
    async fn recover_run(&self, run: RunId, recovery: Recovery) -> Result<u64> {
        self.recover_priced_run(run, recovery, 0).await
    }

    /// As [`Store::recover_run`], of a run each of whose calls costs so much, in millionths: an attempt that goes on record
    /// for an intent counts as spent, because it may have been.
    async fn recover_priced_run(
        &self,
        run: RunId,
        recovery: Recovery,
        price_micros: u64,
    ) -> Result<u64>;

    /// When the calls of this column since `since` were sent and seen, ascending by `seen_at`, the newest `max` of them.
    async fn calls_since(
        &self,
        column: ColumnId,
        since: Timestamp,
        max: usize,
    ) -> Result<Vec<SentRecord>>;

    /// From now on so many attempts are kept per cell, the newest; [`limits::ATTEMPTS_PER_CELL_MAX`](crate::limits) if nothing
    /// is said. Cells that have more lose them with their next attempt. Holds until the store is closed.
    fn keep_attempts(&self, per_cell_max: u32);

    /// The attempts on record for a cell, oldest first.
    async fn attempts(&self, column: ColumnId, row: RowId) -> Result<Vec<Attempt>>;

    /// Changes of a table after `sequence`, ascending, at most `max`; and the oldest sequence still kept (a reader whose
    /// number is older has missed some).
    async fn changes_after(
        &self,
        table: TableId,
        sequence: i64,
        max: usize,
    ) -> Result<(Vec<Change>, i64)>;

    /// How far a table has come.
    ///
    /// Fails with `Missing` if there is no such table.
    async fn table_end(&self, table: TableId) -> Result<TableEnd>;

    /// Waits until something has changed that a caller who was answered `seen` before has not heard of (0 at first), and
    /// answers the number to ask with next. A hint to read again: it may come without a change, never too late.
    async fn next_change(&self, seen: u64) -> u64;

    /// A small named setting of the data directory (the hash of the API key, what an enrich run was made from).
    async fn setting(&self, name: &str) -> Result<Option<String>>;

    /// Keeps a small named setting.
    async fn set_setting(&self, name: &str, value: &str) -> Result<()>;

    /// Keeps what a budget learnt by `at`, in place of what was kept of it before. `key` is a stable name of the budget;
    /// `snapshot` is text that only who saved it reads.
    async fn save_budget(&self, key: &str, snapshot: &str, at: Timestamp) -> Result<()>;

    /// What was last kept of that budget.
    async fn load_budget(&self, key: &str) -> Result<Option<SavedBudget>>;

    /// Waits until everything reported so far is safe on disk even against a power cut.
    async fn checkpoint(&self) -> Result<()>;
}
