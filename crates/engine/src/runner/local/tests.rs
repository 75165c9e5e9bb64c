//! Runs without calls, in virtual time, on a real store.

mod behind;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use paceline_clock::{Clock, SimClock};
use paceline_governor::{Budget, Preset};
use paceline_model::{
    CellError, Column, ColumnId, ColumnType, Lease, NewColumn, NewRun, NewTable, RowId, RowQuery,
    RunId, RunOptions, RunStatus, Scope, SmartColumn, SmartKind, Store, Table,
};
use paceline_store::SqliteStore;
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::EngineConfig;
use crate::common::{Common, Terms};
use crate::gate::{Gate, GateSwitch};
use crate::kind::{Bound, Tools};
use crate::ledger::Ledger;
use crate::progress::ProgressState;
use crate::runner::{self, Control, Flights, Stop};
use crate::task::Work;
use crate::triage::Triage;

/// Doubles numbers, and takes its time for each batch. Of a row without a number it says that it failed, of thirteen
/// nothing.
struct Doubles {
    clock: Clock,
    inputs: [ColumnId; 1],
    takes: Duration,
    /// How often each row was filled.
    filled: Mutex<BTreeMap<i64, u32>>,
    /// How many rows were filled together, each time.
    batches: Mutex<Vec<usize>>,
}

#[async_trait]
impl Local for Doubles {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    fn identity(&self) -> String {
        "doubles".to_owned()
    }

    async fn fill(
        &self,
        _: &Tools,
        _: &Column,
        rows: &[Task],
    ) -> crate::Result<Vec<std::result::Result<Value, CellError>>> {
        self.batches.lock().unwrap().push(rows.len());
        self.clock.sleep(self.takes).await;
        let mut filled = self.filled.lock().unwrap();
        let mut values = Vec::new();
        for task in rows {
            *filled.entry(task.row.0).or_default() += 1;
            match &task.inputs[0] {
                Value::Int(13) => break,
                Value::Int(n) => values.push(Ok(Value::Int(2 * n))),
                _ => {
                    let (code, message) = ("NO_NUMBER".to_owned(), "no number".to_owned());
                    values.push(Err(CellError { code, message }));
                }
            }
        }
        Ok(values)
    }
}

struct Scene {
    store: Arc<SqliteStore>,
    clock: Clock,
    table: Table,
    doubles: Arc<Doubles>,
}

fn column(name: &str, smart: Option<SmartKind>) -> NewColumn {
    let smart = smart.map(|kind| SmartColumn {
        kind,
        config: json!({}),
        rate_limit: json!(null),
        version: 0,
    });
    NewColumn { name: name.into(), title: None, kind: ColumnType::Number, options: vec![], smart }
}

impl Scene {
    /// Rows with the numbers from `from` on.
    async fn new(clock: Clock, numbers: impl Iterator<Item = i64>, takes: Duration) -> Self {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let columns = vec![column("n", None), column("double", Some(SmartKind::Formula))];
        let table = NewTable { name: "t".into(), description: String::new(), columns };
        let table = store.create_table(table).await.unwrap();
        let rows: Vec<_> = numbers.map(|n| vec![Value::Int(n)]).collect();
        for part in rows.chunks(limits::INSERT_ROWS_MAX) {
            store.insert_rows(table.id, &[table.columns[0].id], part.to_vec()).await.unwrap();
        }
        let inputs = [table.columns[0].id];
        let (filled, batches) = Default::default();
        let doubles = Arc::new(Doubles { clock: clock.clone(), inputs, takes, filled, batches });
        Self { store, clock, table, doubles }
    }

    fn column(&self) -> &Column {
        &self.table.columns[1]
    }

    async fn run(&self, scope: Scope, options: RunOptions) -> RunId {
        let run = NewRun { options, ..NewRun::new(self.table.id, self.column().id, scope) };
        self.store.create_run(run).await.unwrap().id
    }

    /// What a process works on a run with.
    async fn context(&self, run: RunId) -> Arc<RunContext> {
        let run = self.store.set_run_status(run, RunStatus::Running, None).await.unwrap();
        let mut rate = Preset::Conservative.rate();
        rate.limits = Vec::new();
        let budget = Budget::new(rate.budget_config(), self.clock.clone()).unwrap();
        let column = self.column().clone();
        let gate = Arc::new(GateSwitch::new(Gate::new(column.id, budget, None)));
        let local: Arc<dyn Local> = Arc::clone(&self.doubles) as _;
        let bound = Bound::Local(Arc::clone(&local));
        let terms = Terms { run_if: None, depends_on: Vec::new() };
        let common = (&Common::default(), terms);
        let progress = ProgressState::new(&run, self.clock.clone(), Arc::clone(&gate), 4, None);
        Arc::new(RunContext {
            store: Arc::clone(&self.store) as _,
            clock: self.clock.clone(),
            run: run.id,
            after: run.options.after.clone(),
            triage: Triage::new(&self.table, &column, common, (&bound, "doubles", None), run.scope),
            column,
            work: Work::Local(local),
            tools: Tools::new(
                Arc::clone(&self.store) as _,
                self.clock.clone(),
                &EngineConfig::default(),
            ),
            flights: Flights::default(),
            recorder: None,
            reported: watch::Sender::new(()),
            gate,
            ledger: Ledger::new(self.clock.clone(), 0, Vec::new()),
            throttle_deadline: Duration::from_secs(60),
            deadline_is_set: false,
            lease: Lease { token: 7, lease: limits::LEASE },
            concurrent_max: 4,
            progress: Arc::new(progress),
            tally: Arc::default(),
            control: Control::new(4),
        })
    }

    async fn work(&self, run: RunId) -> Run {
        runner::work(self.context(run).await).await.unwrap()
    }

    async fn values(&self) -> Vec<Value> {
        let columns = vec![self.column().id];
        let query =
            RowQuery { columns, limit: limits::PAGE_ROWS_MAX, ..RowQuery::of(self.table.id) };
        let rows = self.store.rows(query).await.unwrap();
        rows.into_iter().map(|row| row.values[0].clone()).collect()
    }

    /// How many rows were filled so often.
    fn filled(&self, times: u32) -> usize {
        self.doubles.filled.lock().unwrap().values().filter(|known| **known == times).count()
    }
}

fn case<F: Future<Output = ()>>(case: impl FnOnce(Clock) -> F) {
    SimClock::new().run(case);
}

const NO_TIME: Duration = Duration::ZERO;

#[test]
fn every_cell_is_filled_once_and_what_it_was_made_from_is_kept() {
    case(async |clock| {
        let scene = Scene::new(clock, 100..3_100, NO_TIME).await;
        let run = scene.run(Scope::All, RunOptions::default()).await;
        let done = scene.work(run).await;
        assert_eq!(done.status, RunStatus::Completed);
        assert_eq!((done.counts.completed, done.counts.total), (3_000, 3_000));
        assert_eq!(scene.filled(1), 3_000);
        let wanted: Vec<_> = (100..3_100).map(|n| Value::Int(2 * n)).collect();
        assert_eq!(scene.values().await, wanted);
        let cells = scene.store.cells(scene.column().id, RowId(1), RowId(2)).await.unwrap();
        let prints: Vec<_> = cells.into_iter().map(|cell| cell.fingerprint.unwrap()).collect();
        assert_eq!((prints[0].key, prints[0].parts.len()), (None, 2));
        assert_ne!(prints[0], prints[1]);
        // Nothing has moved: nothing is stale.
        let run = scene.run(Scope::Stale, RunOptions::default()).await;
        let done = scene.work(run).await;
        assert_eq!((done.counts.total, done.counts.ended(), scene.filled(1)), (0, 0, 3_000));
    });
}

#[test]
fn a_failure_is_its_row_s_and_a_missing_answer_says_so() {
    case(async |clock| {
        let scene = Scene::new(clock, 11..14, NO_TIME).await;
        let none = vec![vec![Value::Null]];
        scene.store.insert_rows(scene.table.id, &[scene.table.columns[0].id], none).await.unwrap();
        let run = scene.run(Scope::All, RunOptions::default()).await;
        let done = scene.work(run).await;
        assert_eq!(done.status, RunStatus::CompletedWithErrors);
        assert_eq!((done.counts.completed, done.counts.failed), (2, 2));
        let cells = scene.store.cells(scene.column().id, RowId(3), RowId(4)).await.unwrap();
        let codes: Vec<_> = cells.into_iter().map(|cell| cell.error.unwrap().code).collect();
        // A list that breaks off says nothing of those after it.
        assert_eq!(codes, ["INTERNAL", "INTERNAL"]);
        let retried = scene.run(Scope::Failed, RunOptions::default()).await;
        let one = RunOptions { first: Some(1), ..RunOptions::default() };
        scene.store.set_run_status(retried, RunStatus::Cancelled, None).await.unwrap();
        let only = paceline_model::Filter::parse(&scene.table, &json!({"_ht_id": 4})).unwrap();
        let retried = scene.run(Scope::Failed, RunOptions { filter: Some(only), ..one }).await;
        scene.work(retried).await;
        let cells = scene.store.cells(scene.column().id, RowId(4), RowId(4)).await.unwrap();
        assert_eq!(cells[0].error.as_ref().unwrap().code, "NO_NUMBER");
    });
}

#[test]
fn a_paused_run_goes_on_where_it_stood() {
    case(async |clock| {
        let takes = Duration::from_millis(100);
        let scene = Scene::new(clock.clone(), 100..9_100, takes).await;
        let run = scene.run(Scope::All, RunOptions::default()).await;
        let ctx = scene.context(run).await;
        let began = clock.now();
        let stopper = Arc::clone(&ctx);
        let (paused, ()) = tokio::join!(runner::work(ctx), async {
            clock.sleep(Duration::from_millis(250)).await;
            stopper.stop(Stop::Pause);
        });
        let paused = paused.unwrap();
        assert_eq!(paused.status, RunStatus::Paused);
        assert!((1..9_000).contains(&paused.counts.completed), "{:?}", paused.counts);
        assert_eq!(clock.now() - began, Duration::from_millis(250), "it does not wait");
        let done = scene.work(run).await;
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 9_000));
        assert_eq!(scene.filled(1), 9_000, "what was cut off had given nothing yet");
    });
}

#[test]
fn a_killed_process_loses_what_it_had_not_written_and_nothing_else() {
    case(async |clock| {
        let takes = Duration::from_millis(200);
        let scene = Scene::new(clock.clone(), 100..9_100, takes).await;
        let run = scene.run(Scope::All, RunOptions::default()).await;
        for dies_after_ms in [300, 500, 700] {
            let ctx = scene.context(run).await;
            let dies = clock.sleep(Duration::from_millis(dies_after_ms));
            tokio::select! {
                _ = runner::work(ctx) => panic!("it ends before it is killed"),
                () = dies => {}
            }
        }
        let counts = scene.store.run(run).await.unwrap().unwrap().counts;
        assert!((1..9_000).contains(&counts.completed), "{counts:?}");
        let done = scene.work(run).await;
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 9_000));
        let wanted: Vec<_> = (100..9_100).map(|n| Value::Int(2 * n)).collect();
        assert_eq!(scene.values().await, wanted);
    });
}

#[test]
fn a_run_that_was_cancelled_behind_its_back_writes_nothing_more() {
    case(async |clock| {
        let scene = Scene::new(clock.clone(), 100..3_100, Duration::from_secs(1)).await;
        let run = scene.run(Scope::All, RunOptions::default()).await;
        let ctx = scene.context(run).await;
        let (ended, ()) = tokio::join!(runner::work(ctx), async {
            clock.sleep(Duration::from_millis(1_500)).await;
            let cancelled = RunStatus::Cancelled;
            scene.store.set_run_status(run, cancelled, None).await.unwrap();
        });
        let ended = ended.unwrap();
        assert_eq!(ended.status, RunStatus::Cancelled);
        let there = scene.store.count_cells(scene.column().id).await.unwrap();
        assert_eq!(there, [(CellState::Completed, ended.counts.completed)]);
        assert_eq!(ended.counts.completed, FIRST_ROWS as u64);
    });
}

#[test]
fn a_run_takes_no_more_cells_than_it_may() {
    case(async |clock| {
        let scene = Scene::new(clock, 100..2_100, NO_TIME).await;
        let first = RunOptions { first: Some(700), ..RunOptions::default() };
        let run = scene.run(Scope::All, first.clone()).await;
        let done = scene.work(run).await;
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 700));
        assert_eq!((done.counts.total, scene.filled(1)), (700, 700));
        // Those that are left out do not use it up.
        let column = [scene.table.columns[0].id];
        let late = json!({"_ht_id": {"gt": 300}});
        let late = paceline_model::Filter::parse(&scene.table, &late).unwrap();
        scene.store.update_rows(scene.table.id, late, &column, vec![Value::Int(1)]).await.unwrap();
        let first = RunOptions { first: Some(50), ..first };
        let run = scene.run(Scope::Stale, first).await;
        let done = scene.work(run).await;
        assert_eq!((done.counts.completed, done.counts.total), (50, 50));
        assert_eq!(scene.filled(2), 50);
    });
}

#[test]
fn a_cursor_that_somebody_else_moved_is_followed() {
    case(async |clock| {
        let scene = Scene::new(clock.clone(), 100..3_100, Duration::from_millis(100)).await;
        let run = scene.run(Scope::All, RunOptions::default()).await;
        let ctx = scene.context(run).await;
        let (done, ()) = tokio::join!(runner::work(ctx), async {
            clock.sleep(Duration::from_millis(50)).await;
            // As a write does whose answer was lost.
            let (after, cursor) = (RowId(0), RowId(100));
            let moved = FilledCells { after, cursor, cells: Vec::new(), left: 100 };
            scene.store.fill_cells(run, moved).await.unwrap();
        });
        let done = done.unwrap();
        assert_eq!((done.status, done.counts.completed), (RunStatus::Completed, 2_900));
        assert_eq!(done.counts.total, 2_900);
    });
}

#[test]
fn batches_grow_to_what_keeps_to_the_time_and_the_memory() {
    let ms = Duration::from_millis;
    let next = |size, bytes, took| next_size((size, size), bytes, took);
    assert_eq!(next(256, 1_000, Duration::ZERO), 1_024, "never fast");
    assert_eq!(next(8_000, 1_000, Duration::ZERO), limits::FILL_CELLS_MAX);
    assert_eq!(next(1_000, 1_000, ms(500)), 500);
    assert_eq!(next(1_000, 4 * BATCH_BYTES, ms(1)), 250);
    assert_eq!(next(256, 1_000, ms(60_000)), 1);
    assert_eq!(next_size((256, 0), 0, ms(9)), 256, "nothing was learnt");
    assert_eq!(next_size((1_024, 10), 10, ms(1)), 2_500);
}

#[test]
fn long_values_are_seen_wherever_they_are() {
    let long = "x".repeat(1_000);
    for value in [
        Value::Text(long.clone()),
        Value::Json(json!([1, {"a": long}])),
        Value::Json(json!({ long.as_str(): null })),
    ] {
        assert!((1_000..2_000).contains(&value_bytes(&value)), "{value:?}");
    }
    assert!(value_bytes(&Value::Int(1)) < 100);
}
