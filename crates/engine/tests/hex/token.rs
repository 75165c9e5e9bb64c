//! What columns with one token at one Hex share (spec G2), and what a cap allows them (spec R5).

use std::sync::Arc;

use paceline_clock::SimClock;
use paceline_engine::{Engine, SmartSpec};
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{ColumnType, RunStatus, Scope, SmartKind, Table};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{COLUMN, TokenFile, config, engine, fast, fast_reads, table};

/// A second column of the table, of other jobs.
async fn add_other(engine: &Engine, table: &Table, rate_limit: Json) -> Table {
    let other = SmartSpec {
        name: "other".to_owned(),
        title: None,
        kind: ColumnType::Json,
        options: Vec::new(),
        smart: SmartKind::Integration,
        config: config(json!({"params": {"other": "{{n}}"}})),
        rate_limit,
    };
    engine.add_smart_column(table, other).await.unwrap();
    engine.store().table("jobs").await.unwrap().unwrap()
}

#[test]
fn two_columns_with_one_token_keep_the_vendors_limits_together() {
    SimClock::new().run(|clock| async move {
        let vendor = HexVendor::new(HexConfig::default(), clock.clone()).unwrap();
        let vendor = Arc::new(vendor);
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let many = json!({"max_concurrent": 20});
        let table = table(&engine, 25, config(json!({})), many.clone()).await;
        let table = add_other(&engine, &table, many).await;
        let mut runs = Vec::new();
        for column in [COLUMN, "other"] {
            runs.push(engine.start_run(&table, column, Scope::All).await.unwrap().id);
        }
        // Twenty were started at once; the others wait for the minute.
        clock.sleep(std::time::Duration::from_secs(30)).await;
        let shared = engine.shared_budgets();
        let purposes = shared.iter().map(|one| one.key.rsplit(':').next().unwrap());
        assert_eq!(purposes.collect::<Vec<_>>(), ["overall", "reads", "triggers"]);
        let triggers = &shared[2];
        assert!(triggers.name.contains("https://hex.example"), "{}", triggers.name);
        assert_eq!(triggers.columns.len(), 2);
        let waiting: Vec<_> = triggers.waiting.iter().map(|(_, run, _)| *run).collect();
        // Of one project one job asks at a time, whichever column's: the others wait behind it.
        let known = waiting.iter().all(|run| runs.contains(run));
        assert!(!waiting.is_empty() && known, "{:?}", triggers.waiting);
        assert!(triggers.wait.is_some() && triggers.held_by.is_some(), "{triggers:?}");
        for run in runs {
            assert_eq!(engine.wait(run).await.unwrap().status, RunStatus::Completed);
        }
        let stats = vendor.stats();
        assert_eq!((stats.started, stats.refused), (50, 0));
    });
}

#[test]
fn a_cap_holds_the_next_trigger_back_and_nothing_of_those_under_way() {
    SimClock::new().run(|clock| async move {
        let vendor = HexVendor::new(HexConfig::default(), clock.clone()).unwrap();
        let vendor = Arc::new(vendor);
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let mut more = fast_reads();
        more["daily_caps"] = json!({"calls": 7});
        let table = table(&engine, 12, config(more), fast()).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let paused = engine.wait(run.id).await.unwrap();
        assert_eq!((paused.status, vendor.stats().started), (RunStatus::Paused, 7));
        let reason = paused.reason.unwrap();
        assert!(reason.contains("7 of 7 calls"), "{reason}");
        clock.sleep(std::time::Duration::from_secs(24 * 3600)).await;
        engine.resume_run(run.id).await.unwrap();
        let ended = engine.wait(run.id).await.unwrap();
        assert_eq!((ended.status, vendor.stats().started), (RunStatus::Completed, 12));
    });
}
