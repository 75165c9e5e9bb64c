//! What jobs must not take from each other: two columns with one project, a run that is cancelled and the one after it.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_engine::Settle;
use paceline_engine::SmartSpec;
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{CellState, ColumnType, RowId, RunStatus, Scope, SmartKind};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{
    COLUMN, TokenFile, cells, code, config, engine, fast, fast_reads, one_at_a_time, states, table,
    values,
};

#[test]
fn a_run_of_one_column_is_not_taken_for_a_lost_one_of_another() {
    SimClock::new().run(|clock| async move {
        let faults = "drop-before-start:#1".parse().unwrap();
        let hex = HexConfig { faults, net: "50".parse().unwrap(), ..HexConfig::default() };
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let table = table(&engine, 1, config(fast_reads()), one_at_a_time()).await;
        let other = SmartSpec {
            name: "other".to_owned(),
            title: None,
            kind: ColumnType::Json,
            options: Vec::new(),
            smart: SmartKind::Integration,
            config: config(json!({"params": {"other": "{{n}}"}, "poll_limits": ["1000/s"], "overall_limits": ["2000/s"]})),
            rate_limit: fast(),
        };
        engine.add_smart_column(&table, other).await.unwrap();
        let table = engine.store().table("jobs").await.unwrap().unwrap();
        let first = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_secs(1)).await;
        let second = engine.start_run(&table, "other", Scope::All).await.unwrap();
        assert_eq!(engine.wait(second.id).await.unwrap().counts.completed, 1);
        let first = engine.wait(first.id).await.unwrap();
        assert_eq!(vendor.stats().started, 1, "the second column's");
        assert_eq!((first.counts.completed, first.counts.unknown), (0, 1), "{:?}", values(&engine, &table).await);
    });
}

#[test]
fn a_job_that_was_refused_while_its_run_was_cancelled_is_not_unknown() {
    SimClock::new().run(|clock| async move {
        let faults = "429-on-start:#1".parse().unwrap();
        let hex = HexConfig { faults, net: "1000".parse().unwrap(), ..HexConfig::default() };
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let table = table(&engine, 1, config(fast_reads()), one_at_a_time()).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        for _ in 0..55 {
            clock.sleep(Duration::from_millis(100)).await;
        }
        engine.cancel_run(run.id).await.unwrap();
        engine.wait(run.id).await.unwrap();
        let run = engine.start_run(&table, COLUMN, Scope::Empty).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!(
            (run.status, vendor.stats().started),
            (RunStatus::Completed, 1),
            "{:?}",
            cells(&engine, &table).await
        );
    });
}

#[test]
fn a_job_whose_run_was_cancelled_here_goes_on_with_the_run_that_it_has() {
    for after_ms in [0, 1_000, 2_500, 4_500, 10_000] {
        SimClock::new().run(|clock| async move {
            let mut hex = HexConfig { net: "1000".parse().unwrap(), ..HexConfig::default() };
            hex.projects.iter_mut().for_each(|project| project.run = "60000".parse().unwrap());
            let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
            let table = table(&engine, 3, config(fast_reads()), fast()).await;
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            clock.sleep(Duration::from_millis(after_ms)).await;
            engine.cancel_run(run.id).await.unwrap();
            engine.wait(run.id).await.unwrap();
            let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
            let run = engine.wait(run.id).await.unwrap();
            assert_eq!(run.counts.completed, 3, "{after_ms}: {:?}", cells(&engine, &table).await);
            assert_eq!(
                (vendor.stats().started, vendor.stats().double_started),
                (3, 0),
                "{after_ms}"
            );
        });
    }
}

#[test]
fn only_what_can_be_a_run_is_attached() {
    SimClock::new().run(|clock| async move {
        let faults = "drop-before-start:#1".parse().unwrap();
        let hex = HexConfig { faults, ..HexConfig::default() };
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let table = table(&engine, 1, config(fast_reads()), one_at_a_time()).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.unknown, 1);
        for bad in ["", ".", "..", "a b", &"x".repeat(201), "ü"] {
            let attach = Settle::Attach(bad.to_owned());
            let error = engine.settle(&table, COLUMN, RowId(1), attach).await.unwrap_err();
            assert!(error.to_string().contains("run"), "{bad:?}: {error}");
        }
        let cell = cells(&engine, &table).await.remove(0);
        assert_eq!((cell.state, code(&cell)), (CellState::Unknown, "OUTCOME_UNKNOWN"));
        assert_eq!(states(&engine, &table).await["unknown"], 1);
    });
}
