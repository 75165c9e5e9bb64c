//! Builders that hide what a case is not about.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Timestamp};
use paceline_model::{
    Attempt, AttemptClass, CellError, CellState, Claim, Column, ColumnId, ColumnType, Lease,
    NewColumn, NewRun, NewTable, RowId, Run, Scope, SmartColumn, SmartKind, Store, Table,
    TaskReport, TaskStep, Value,
};
use serde_json::json;

use crate::backends::Home;
use crate::server::Server;

/// What a case works with.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sim: SimClock,
    pub(crate) clock: Clock,
    /// The widest table of this backend.
    pub(crate) columns_max: usize,
    /// The database, if it is on a server.
    pub(crate) database: Option<(&'static Server, String)>,
}

/// Runs a case on every backend, in virtual time.
pub(crate) fn each<F, Fut>(case: F)
where
    F: Fn(Scene) -> Fut,
    Fut: Future<Output = ()>,
{
    for home in Home::each() {
        println!("backend: {}", home.name);
        let sim = SimClock::new();
        sim.run(|clock| case(Scene::open(&home, &sim, clock)));
    }
}

pub(crate) fn column(name: &str, kind: ColumnType) -> NewColumn {
    let chosen = matches!(kind, ColumnType::Select | ColumnType::MultiSelect);
    let options = if chosen { vec!["x".into(), "y".into()] } else { Vec::new() };
    NewColumn { name: name.into(), title: None, kind, options, smart: None }
}

pub(crate) fn smart(name: &str, kind: ColumnType) -> NewColumn {
    let smart = SmartColumn {
        kind: SmartKind::Http,
        config: json!({"url": "https://vendor.example/{{email}}"}),
        rate_limit: json!("gentle"),
        version: 0,
    };
    NewColumn { smart: Some(smart), ..column(name, kind) }
}

/// A column of kind `integration`: its cells have notes.
pub(crate) fn integration(name: &str) -> NewColumn {
    let mut column = smart(name, ColumnType::Json);
    column.smart.as_mut().unwrap().kind = SmartKind::Integration;
    column
}

/// A table `leads` with the columns `email`, `score` and the smart `city`.
pub(crate) async fn leads(store: &dyn Store) -> Table {
    let columns = vec![
        column("email", ColumnType::Email),
        column("score", ColumnType::Number),
        smart("city", ColumnType::Text),
    ];
    let table = NewTable { name: "leads".into(), description: "people".into(), columns };
    store.create_table(table).await.unwrap()
}

impl Scene {
    /// A scene on what lives there.
    pub(crate) fn open(home: &Home, sim: &SimClock, clock: Clock) -> Self {
        let store = home.open(clock.clone());
        let (columns_max, database) = (home.columns_max, home.database.clone());
        Self { store, sim: sim.clone(), clock, columns_max, database }
    }

    /// Writes the last change so many times more, behind the store's back, where making them one by one would take
    /// minutes. Answers how often it did.
    pub(crate) fn repeat_last_change(&self, times: usize) -> usize {
        let Some((server, database)) = &self.database else { return 0 };
        server.run(
            database,
            &format!(
                "INSERT INTO paceline._ht_changes SELECT nextval('paceline._ht_changes_sequence'), \
                 table_id, at, kind, subject, first_row, last_row, rows \
                 FROM (SELECT * FROM paceline._ht_changes ORDER BY sequence DESC LIMIT 1) AS last, \
                 generate_series(1, {times}); \
                 UPDATE paceline._ht_tables SET changes_kept = changes_kept + {times}"
            ),
        );
        times
    }

    /// [`leads`] with that many rows, their score being their number.
    pub(crate) async fn filled(&self, count: i64) -> (Table, Column) {
        let table = leads(self.store.as_ref()).await;
        self.add_rows(&table, count).await;
        let city = table.columns[2].clone();
        (table, city)
    }

    pub(crate) async fn add_rows(&self, table: &Table, count: i64) {
        let before = i64::try_from(self.store.count_rows(table.id, None).await.unwrap()).unwrap();
        let numbers: Vec<i64> = (before + 1..=before + count).collect();
        for part in numbers.chunks(10_000) {
            let rows = part
                .iter()
                .map(|n| vec![Value::Text(format!("{n}@example.com")), Value::Int(*n)])
                .collect();
            let columns = [table.columns[0].id, table.columns[1].id];
            self.store.insert_rows(table.id, &columns, rows).await.unwrap();
        }
    }

    pub(crate) async fn start(&self, column: &Column, scope: Scope) -> Run {
        let run = NewRun::new(column.table, column.id, scope);
        self.store.create_run(run).await.unwrap()
    }

    pub(crate) async fn claim(&self, run: &Run, token: i64, max: usize) -> Claim {
        self.store.claim_tasks(run.id, &[], lease(token), max).await.unwrap()
    }

    /// Claims everything that is left and finishes it in that state.
    pub(crate) async fn finish_all(&self, run: &Run, token: i64, state: CellState) -> Run {
        loop {
            let claim = self.claim(run, token, 1_000).await;
            let reports = claim
                .tasks
                .iter()
                .map(|task| finish(task.row.0, state, self.clock.wall()))
                .collect();
            let run = self.store.record(run.id, token, reports).await.unwrap();
            if claim.exhausted {
                return run;
            }
        }
    }

    pub(crate) async fn states(&self, column: ColumnId) -> Vec<(i64, CellState)> {
        let cells = self.store.cells(column, RowId(1), RowId(i64::MAX)).await.unwrap();
        cells.into_iter().map(|cell| (cell.row.0, cell.state)).collect()
    }
}

pub(crate) const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn lease(token: i64) -> Lease {
    Lease { token, lease: LEASE }
}

pub(crate) fn numbers(rows: impl IntoIterator<Item = RowId>) -> Vec<i64> {
    rows.into_iter().map(|row| row.0).collect()
}

pub(crate) fn claimed(claim: &Claim) -> Vec<i64> {
    numbers(claim.tasks.iter().map(|task| task.row))
}

pub(crate) fn attempt(number: u32, class: AttemptClass, at: Timestamp) -> Attempt {
    Attempt {
        sent_at: Some(at),
        status: Some(if class == AttemptClass::Success { 200 } else { 500 }),
        ..Attempt::new(number, class, at + Duration::from_millis(20))
    }
}

/// A first attempt that ends its cell; a completed one with the value `made`.
pub(crate) fn finish(row: i64, state: CellState, at: Timestamp) -> TaskReport {
    let completed = state == CellState::Completed;
    let class = if completed { AttemptClass::Success } else { AttemptClass::RowCaused };
    let error = (!completed)
        .then(|| CellError { code: "HTTP_STATUS".into(), message: "the vendor said no".into() });
    let value = completed.then(|| Value::Text("made".into()));
    TaskReport::new(
        RowId(row),
        Some(attempt(1, class, at)),
        TaskStep::Finish { state, value, error },
    )
}

pub(crate) fn give_back(row: i64) -> TaskReport {
    TaskReport::new(RowId(row), None, TaskStep::GiveBack)
}
