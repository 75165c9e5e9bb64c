//! A person's word on a cell whose outcome nobody knows, and the run that acts on it.

use std::sync::Arc;

use paceline_clock::{Clock, SimClock};
use paceline_engine::{Engine, Settle};
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{CellState, RowId, RunStatus, Scope, Table};
use paceline_store::SqliteStore;

use crate::support::{
    COLUMN, TokenFile, cells, code, config, engine, fast_reads, one_at_a_time, states, table,
    values,
};

/// Two jobs, both unknown: of the first nobody can tell whether its run or another user's is its own; the second was never
/// started.
async fn unknown(clock: &Clock) -> (Engine, Arc<HexVendor>, Table) {
    let faults = "drop-after-start:#1,foreign:#1,drop-before-start:#2".parse().unwrap();
    let hex = HexConfig { faults, ..HexConfig::default() };
    let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
    let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let engine = engine(&store, clock, &vendor, TokenFile::of("token"));
    let table = table(&engine, 2, config(fast_reads()), one_at_a_time()).await;
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

#[test]
fn a_run_that_may_be_another_unknown_job_s_is_nobody_s_before_that_one_was_looked_up() {
    SimClock::new().run(|clock| async move {
        // Rows 1 and 11 are of one project. Nothing was started for row 1; the run of row 11 is listed only later.
        let faults = "drop-before-start:#1,drop-after-start:#11,late-in-list=200000:#10";
        let hex = HexConfig { faults: faults.parse().unwrap(), ..HexConfig::default() };
        let vendor = Arc::new(HexVendor::new(hex, clock.clone()).unwrap());
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        // Row 1 is looked up before anybody works on row 11.
        let table = table(&engine, 11, config(fast_reads()), one_at_a_time()).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.unknown, 2);

        clock.sleep(std::time::Duration::from_secs(300)).await;
        assert_eq!(look_up(&engine, &table).await, RunStatus::CompletedWithErrors);
        let cells = cells(&engine, &table).await;
        assert_eq!((cells[0].state, cells[10].state), (CellState::Unknown, CellState::Completed));
        let own = values(&engine, &table).await[10]["runId"].clone();
        let stats = vendor.stats();
        let run = stats.run_list.iter().find(|run| run.run_id == own).unwrap();
        assert_eq!(run.input_params.as_ref().unwrap()["n"], 11);
    });
}
