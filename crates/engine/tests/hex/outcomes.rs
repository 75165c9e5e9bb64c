//! Each end of a job, seen from its cell; and what stops a run.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_engine::Engine;
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{
    AttemptClass, CellState, ColumnId, RowId, Run, RunStatus, Scope, Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{
    COLUMN, TokenFile, cells, code, config, engine, fast, fast_reads, one_at_a_time, states, table,
    values,
};

/// A Hex with these faults, an engine on it, and a table of so many jobs.
struct Scene {
    engine: Engine,
    vendor: Arc<HexVendor>,
    table: Table,
    tokens: TokenFile,
    clock: Clock,
}

impl Scene {
    async fn new(clock: &Clock, rows: usize, faults: &str, more: Json) -> Self {
        let hex = HexConfig { faults: faults.parse().unwrap(), ..HexConfig::default() };
        Self::of(clock, rows, hex, more).await
    }

    async fn of(clock: &Clock, rows: usize, hex: HexConfig, more: Json) -> Self {
        Self::paced(clock, rows, hex, more, fast()).await
    }

    async fn paced(
        clock: &Clock,
        rows: usize,
        hex: HexConfig,
        more: Json,
        rate_limit: Json,
    ) -> Self {
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let tokens = TokenFile::of("first");
        let engine = engine(&store, clock, &vendor, tokens.clone());
        let mut settings = fast_reads();
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let table = table(&engine, rows, config(settings), rate_limit).await;
        Self { engine, vendor, table, tokens, clock: clock.clone() }
    }

    async fn run(&self) -> Run {
        let run = self.engine.start_run(&self.table, COLUMN, Scope::All).await.unwrap();
        self.engine.wait(run.id).await.unwrap()
    }

    fn column(&self) -> ColumnId {
        self.table.column(COLUMN).unwrap().id
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.engine.store()
    }
}

#[test]
fn each_way_a_run_ends_has_its_own_code_and_the_run_is_told() {
    for (fault, wanted, status) in [
        ("errored:1", "ERRORED", "ERRORED"),
        ("killed:1", "KILLED", "KILLED"),
        ("no-kernel:1", "NO_KERNEL", "UNABLE_TO_ALLOCATE_KERNEL"),
        ("stuck-running:1", "STUCK", "KILLED"),
        ("stuck-pending:1", "STUCK", "KILLED"),
    ] {
        SimClock::new().run(|clock| async move {
            let scene = Scene::new(&clock, 3, fault, json!({})).await;
            let run = scene.run().await;
            assert_eq!(run.status, RunStatus::CompletedWithErrors);
            for cell in cells(&scene.engine, &scene.table).await {
                assert_eq!((cell.state, code(&cell)), (CellState::Failed, wanted), "{cell:?}");
                assert_eq!(scene.store().note(scene.column(), cell.row).await.unwrap(), None);
            }
            for value in values(&scene.engine, &scene.table).await {
                assert_eq!(value["status"], status, "a failed run can be looked at: {value}");
            }
            assert_eq!(scene.vendor.stats().started, 3, "a failed run is not started again");
        });
    }
}

#[test]
fn a_run_that_completes_while_it_is_cancelled_is_a_success() {
    SimClock::new().run(|clock| async move {
        let faults = "stuck-running:1,completes-on-cancel:1";
        let scene = Scene::new(&clock, 2, faults, json!({"running_max_ms": 60_000})).await;
        assert_eq!(scene.run().await.status, RunStatus::Completed);
        assert_eq!(scene.vendor.stats().cancelled, 2);
    });
}

#[test]
fn a_project_without_a_published_version_costs_no_trigger() {
    SimClock::new().run(|clock| async move {
        let mut hex = HexConfig::default();
        // Rows 1 and 11 of the table are of the second project.
        hex.projects[1].published = false;
        let scene = Scene::of(&clock, 12, hex, json!({})).await;
        scene.run().await;
        let failed: Vec<_> = cells(&scene.engine, &scene.table)
            .await
            .into_iter()
            .filter(|cell| cell.state == CellState::Failed)
            .map(|cell| (cell.row.0, code(&cell).to_owned()))
            .collect();
        let code = || "UNPUBLISHED".to_owned();
        assert_eq!(failed, [(1, code()), (11, code())]);
        assert_eq!(scene.vendor.stats().started, 10);
    });
}

#[test]
fn a_row_without_a_value_fails_by_itself_and_costs_no_call() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, 3, "none", json!({})).await;
        let n = scene.table.column("n").unwrap().id;
        let project = scene.table.column("project_id").unwrap().id;
        let rows = vec![
            vec![Value::Null, Value::Int(4)],
            vec![Value::Text("two words".to_owned()), Value::Int(5)],
        ];
        scene.store().insert_rows(scene.table.id, &[project, n], rows).await.unwrap();
        let run = scene.run().await;
        assert_eq!((run.counts.completed, run.counts.failed, run.counts.calls), (3, 2, 3));
        let cells = cells(&scene.engine, &scene.table).await;
        assert_eq!((code(&cells[3]), code(&cells[4])), ("MISSING_VALUE", "INVALID_JOB"));
    });
}

#[test]
fn parameters_keep_their_types_and_what_has_no_value_is_not_sent() {
    SimClock::new().run(|clock| async move {
        let params = json!({
            "n": "{{n}}", "text": "no. {{n}}", "list": ["{{n}}", true],
            "nothing": "{{project_id.nowhere ?? null}}", "deep": {"n": "{{n}}"}
        });
        let scene = Scene::new(&clock, 1, "none", json!({"params": params})).await;
        assert_eq!(scene.run().await.status, RunStatus::Completed);
        let sent = scene.vendor.stats().run_list[0].input_params.clone();
        let wanted = json!({"n": 1, "text": "no. 1", "list": [1, true], "deep": {"n": 1}});
        assert_eq!(sent, Some(wanted));
    });
}

#[test]
fn refusals_for_the_rate_wait_as_the_seed_says_and_use_up_no_retry() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, 1, "429-on-start:#1..6", json!({})).await;
        let began = clock.now();
        let run = scene.run().await;
        assert_eq!((run.status, run.counts.throttled), (RunStatus::Completed, 6));
        // 30, 60, 120, 240, 480, 960 s, and up to 5 s of chance each.
        let waited = (clock.now() - began).as_secs();
        assert!((1_890..=1_930).contains(&waited), "{waited} s");
        let attempts = scene.store().attempts(scene.column(), RowId(1)).await.unwrap();
        let classes: Vec<_> = attempts.iter().map(|attempt| attempt.class).collect();
        assert_eq!(classes[..6], [AttemptClass::Throttled; 6]);
        assert_eq!((classes.len(), classes[6]), (7, AttemptClass::Success));
    });
}

#[test]
fn an_answer_that_was_lost_is_looked_up_and_never_asked_for_again() {
    let after = "drop-after-start:#1,hang-after-start:#2,500-after-start:#3,502-after-start:#4,\
                 504-after-start:#5,garbled-after-start:#6";
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, 8, after, json!({})).await;
        let run = scene.run().await;
        assert_eq!(
            run.status,
            RunStatus::Completed,
            "{:?}",
            cells(&scene.engine, &scene.table).await
        );
        let stats = scene.vendor.stats();
        assert_eq!((stats.started, stats.double_started, run.counts.calls), (8, 0, 8));
    });
}

#[test]
fn what_cannot_be_told_is_unknown_with_the_runs_that_it_may_be() {
    SimClock::new().run(|clock| async move {
        let faults = "drop-after-start:#1,foreign:#1,drop-before-start:#2".parse().unwrap();
        let hex = HexConfig { faults, ..HexConfig::default() };
        let scene = Scene::paced(&clock, 2, hex, json!({}), one_at_a_time()).await;
        let run = scene.run().await;
        assert_eq!((run.status, run.counts.unknown), (RunStatus::CompletedWithErrors, 2));
        let cells = cells(&scene.engine, &scene.table).await;
        let stats = scene.vendor.stats();
        let said = &cells[0].error.as_ref().unwrap().message;
        for run in stats.run_list.iter().filter(|run| run.project_id.ends_with('2')) {
            assert!(said.contains(&run.run_id), "{said}");
        }
        assert!(cells.iter().all(|cell| code(cell) == "OUTCOME_UNKNOWN"), "{cells:?}");
        for cell in &cells {
            assert!(scene.store().note(scene.column(), cell.row).await.unwrap().is_some());
        }
        let attempts = scene.store().attempts(scene.column(), RowId(2)).await.unwrap();
        assert_eq!(attempts[0].class, AttemptClass::Unknown);
    });
}

#[test]
fn a_token_that_is_renewed_in_time_stops_nothing() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, 12, "rotate:#20", json!({})).await;
        let run = scene.engine.start_run(&scene.table, COLUMN, Scope::All).await.unwrap();
        // The first one has been read; the file is rewritten before Hex revokes it.
        clock.sleep(Duration::from_millis(500)).await;
        scene.tokens.write("second");
        let run = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 12));
        assert_eq!(scene.vendor.stats().faults["rotate"], 1);
    });
}

#[test]
fn a_refused_token_pauses_the_run_fails_nothing_and_goes_on_when_it_is_renewed() {
    SimClock::new().run(|clock| async move {
        let hex = HexConfig { tokens: vec!["second".to_owned()], ..HexConfig::default() };
        let scene = Scene::of(&clock, 12, hex, json!({})).await;
        let run = scene.run().await;
        assert_eq!(run.status, RunStatus::Paused);
        let reason = run.reason.unwrap();
        assert!(reason.contains("credentials") && reason.contains("resume"), "{reason}");
        assert!(!reason.contains("first"), "{reason}");
        assert_eq!(states(&scene.engine, &scene.table).await.len(), 0);

        scene.tokens.write("second");
        scene.engine.resume_run(run.id).await.unwrap();
        let run = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 12));
        assert_eq!(scene.vendor.stats().started, 12);
    });
}

#[test]
fn a_token_that_is_revoked_in_the_middle_loses_no_job() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, 12, "rotate:#30", json!({})).await;
        let run = scene.run().await;
        assert_eq!((run.status, run.counts.failed), (RunStatus::Paused, 0), "{:?}", run.reason);
        let begun = scene.vendor.stats().started;
        assert!((1..12).contains(&begun), "in the middle: {begun}");
        scene.tokens.write("second");
        scene.engine.resume_run(run.id).await.unwrap();
        let run = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 12));
        let stats = scene.vendor.stats();
        assert_eq!((stats.started, stats.double_started), (12, 0));
    });
}

#[test]
fn a_pause_is_answered_at_once_and_the_runs_are_watched_on_afterwards() {
    SimClock::new().run(|clock| async move {
        let mut hex = HexConfig::default();
        for project in &mut hex.projects {
            project.run = "1800000".parse().unwrap();
        }
        let more = json!({"running_max_ms": 7_200_000});
        let scene = Scene::of(&clock, 7, hex, more).await;
        let run = scene.engine.start_run(&scene.table, COLUMN, Scope::All).await.unwrap();
        scene.clock.sleep(Duration::from_secs(600)).await;
        let jobs = scene.engine.progress(run.id).unwrap().jobs.unwrap();
        assert_eq!((jobs.triggered, jobs.running), (5, 5), "five at once, for half an hour");
        let paused_at = clock.now();
        scene.engine.pause_run(run.id).await.unwrap();
        assert_eq!(scene.engine.wait(run.id).await.unwrap().status, RunStatus::Paused);
        assert!(clock.now() - paused_at < Duration::from_secs(5));

        clock.sleep(Duration::from_secs(300)).await;
        scene.engine.resume_run(run.id).await.unwrap();
        let run = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 7));
        assert_eq!((scene.vendor.stats().started, run.counts.calls), (7, 7));
    });
}

#[test]
fn a_cancelled_run_leaves_notes_from_which_the_next_one_watches_on() {
    SimClock::new().run(|clock| async move {
        let mut hex = HexConfig::default();
        for project in &mut hex.projects {
            project.run = "600000".parse().unwrap();
        }
        let scene = Scene::of(&clock, 3, hex, json!({})).await;
        let run = scene.engine.start_run(&scene.table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(60)).await;
        scene.engine.cancel_run(run.id).await.unwrap();
        scene.engine.wait(run.id).await.unwrap();
        let next = scene.engine.start_run(&scene.table, COLUMN, Scope::Empty).await.unwrap();
        let next = scene.engine.wait(next.id).await.unwrap();
        assert_eq!((next.status, next.counts.calls), (RunStatus::Completed, 0));
        assert_eq!(scene.vendor.stats().started, 3);
    });
}
