//! A person's word on a cell whose outcome nobody knows, and the run that acts on it.

use std::sync::Arc;

use paceline_clock::{Clock, SimClock};
use paceline_engine::{Engine, Settle};
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{CellState, RowId, RunStatus, Scope, Table};
use paceline_store::SqliteStore;

use crate::support::{
    COLUMN, TokenFile, cells, code, config, engine, fast, fast_reads, states, table, values,
};

/// Two jobs, both unknown: of the first nobody can tell whether its run or another user's is its own; the second was never
/// started.
async fn unknown(clock: &Clock) -> (Engine, Arc<HexVendor>, Table) {
    let faults = "drop-after-start:#1,foreign:#1,drop-before-start:#2".parse().unwrap();
    let hex = HexConfig { faults, ..HexConfig::default() };
    let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
    let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let engine = engine(&store, clock, &vendor, TokenFile::of("token"));
    let table = table(&engine, 2, config(fast_reads()), fast()).await;
    let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
    let run = engine.wait(run.id).await.unwrap();
    assert_eq!(run.counts.unknown, 2);
    (engine, vendor, table)
}

async fn look_up(engine: &Engine, table: &Table) -> RunStatus {
    let run = engine.start_run(table, COLUMN, Scope::Unknown).await.unwrap();
    engine.wait(run.id).await.unwrap().status
}

#[test]
fn attached_and_sent_again_both_complete_and_nothing_starts_twice() {
    SimClock::new().run(|clock| async move {
        let (engine, vendor, table) = unknown(&clock).await;
        let own = vendor.stats().run_list.iter().find(|run| !run.foreign).unwrap().run_id.clone();
        engine.settle(&table, COLUMN, RowId(1), Settle::Attach(own.clone())).await.unwrap();
        engine.settle(&table, COLUMN, RowId(2), Settle::Resend).await.unwrap();
        assert_eq!(states(&engine, &table).await["unknown"], 2, "until a run acts on it");
        assert_eq!(look_up(&engine, &table).await, RunStatus::Completed);
        assert_eq!(values(&engine, &table).await[0]["runId"], own);
        let stats = vendor.stats();
        assert_eq!((stats.started, stats.double_started), (2, 0));
    });
}

#[test]
fn what_nobody_settled_is_looked_up_again_and_stays_unknown() {
    SimClock::new().run(|clock| async move {
        let (engine, vendor, table) = unknown(&clock).await;
        assert_eq!(look_up(&engine, &table).await, RunStatus::CompletedWithErrors);
        assert_eq!(states(&engine, &table).await["unknown"], 2);
        assert_eq!(vendor.stats().started, 1);
    });
}

#[test]
fn failed_is_so_at_once_and_a_retry_starts_it() {
    SimClock::new().run(|clock| async move {
        let (engine, vendor, table) = unknown(&clock).await;
        engine.settle(&table, COLUMN, RowId(2), Settle::Failed).await.unwrap();
        let cell = cells(&engine, &table).await.remove(1);
        assert_eq!((cell.state, code(&cell)), (CellState::Failed, "SETTLED_AS_FAILED"));
        let retry = engine.start_run(&table, COLUMN, Scope::Failed).await.unwrap();
        assert_eq!(engine.wait(retry.id).await.unwrap().status, RunStatus::Completed);
        assert_eq!((vendor.stats().started, vendor.stats().double_started), (2, 0));
    });
}

#[test]
fn what_is_not_unknown_is_not_settled() {
    SimClock::new().run(|clock| async move {
        let (engine, _, table) = unknown(&clock).await;
        for (row, wanted) in [(RowId(99), "CONFLICT"), (RowId(-1), "CONFLICT")] {
            let error = engine.settle(&table, COLUMN, row, Settle::Resend).await.unwrap_err();
            assert_eq!(error.code(), wanted, "{error}");
        }
        let error = engine.settle(&table, "n", RowId(1), Settle::Failed).await.unwrap_err();
        assert_eq!(error.code(), "VALIDATION_ERROR", "{error}");
    });
}

#[test]
fn a_wrong_run_is_not_believed() {
    SimClock::new().run(|clock| async move {
        let (engine, vendor, table) = unknown(&clock).await;
        let nobody = "00000000-0000-4000-8000-00000000dead".to_owned();
        engine.settle(&table, COLUMN, RowId(1), Settle::Attach(nobody)).await.unwrap();
        assert_eq!(look_up(&engine, &table).await, RunStatus::CompletedWithErrors);
        assert_eq!(states(&engine, &table).await["unknown"], 2);
        assert_eq!(vendor.stats().started, 1);
    });
}
