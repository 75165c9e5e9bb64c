//! Spec G2 for waterfalls: each source passes the budget that it names, or that its secret and host share with others.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock, Tick};
use paceline_engine::{BudgetSpec, Engine, SmartSpec};
use paceline_model::{Caps, ColumnType, RunStatus, Scope, SmartKind, Table};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Vendor, add, call, engine, rate, rate_with, table};

/// A source that calls `/{name}/{{n}}`, with a key perhaps, and perhaps a rate of its own.
fn source(name: &str, key: Option<&str>, rate_limit: Option<Json>) -> Json {
    let mut source = call(name, key, &json!({"name": name}));
    source["rate_limit"] = rate_limit.unwrap_or_default();
    source
}

async fn add_waterfall(
    engine: &Engine,
    table: &Table,
    sources: &[Json],
    rate_limit: Json,
) -> paceline_engine::Result<Table> {
    let spec = SmartSpec {
        name: "found".to_owned(),
        title: None,
        kind: ColumnType::Json,
        options: Vec::new(),
        smart: SmartKind::Waterfall,
        config: json!({"sources": sources}),
        rate_limit,
    };
    engine.add_smart_column(table, spec).await?;
    Ok(engine.store().table(&table.name).await?.unwrap())
}

/// A vendor of so many calls a second, whose `/first/` never knows anything.
fn vendor(per_second: usize) -> Arc<Vendor> {
    let limit = Some((per_second, Duration::from_secs(1)));
    Vendor::new(limit, |_, path| if path.starts_with("/first/") { 404 } else { 200 })
}

async fn name_budget(engine: &Engine, limit: &str, caps: Caps) {
    let rate = json!({"limits": [limit]});
    let spec = BudgetSpec { rate, host: Some("vendor.example".to_owned()), daily_caps: caps };
    engine.create_budget("vendor", &spec).await.unwrap();
}

/// One life of a process with a waterfall of two sources and a column beside it, all on one named budget.
fn life(dir: &Path, at: Tick, die_after: Duration, vendor: &Arc<Vendor>) -> (Tick, bool) {
    SimClock::starting_at(at).run(|clock: Clock| async move {
        let store = SqliteStore::open(dir, clock.clone()).unwrap();
        let engine = engine(&store, &clock, vendor);
        let mut runs = Vec::new();
        if engine.store().tables().await.unwrap().is_empty() {
            name_budget(&engine, "10/s", Caps::default()).await;
            let named = rate_with(&[], 5, &json!({"budget": "vendor"}));
            let made = table(&engine, "rows", 60).await;
            let own = Some(rate_with(&["10/s"], 3, &json!({"budget": "vendor"})));
            let sources = [source("first", None, own), source("second", None, None)];
            let made = add_waterfall(&engine, &made, &sources, named.clone()).await.unwrap();
            let made = add(&engine, &made, "beside", call("beside", None, &json!({})), named).await;
            for column in ["found", "beside"] {
                runs.push(engine.start_run(&made, column, Scope::All).await.unwrap());
            }
        } else {
            runs.extend(engine.resume_left_behind().await.unwrap());
        }
        let all = async {
            for run in runs {
                let run = engine.wait(run.id).await.unwrap();
                assert_eq!(run.status, RunStatus::Completed, "{:?}", run.reason);
            }
        };
        let ended = tokio::select! {
            () = all => true,
            () = clock.sleep(die_after) => false,
        };
        (clock.now(), ended)
    })
}

#[test]
fn sources_that_name_a_budget_pass_it_with_everybody_else_and_over_restarts() {
    for deaths_ms in [&[][..], &[2_312, 541, 1_777]] {
        let dir = tempfile::tempdir().unwrap();
        let vendor = vendor(10);
        let mut now = Tick::SYSTEM_START;
        for ms in deaths_ms {
            now = life(dir.path(), now, Duration::from_millis(*ms), &vendor).0;
        }
        let (end, ended) = life(dir.path(), now, Duration::from_secs(10_000), &vendor);
        assert!(ended, "the last life ends every run");
        assert_eq!(vendor.refused(), 0, "{deaths_ms:?}");
        if deaths_ms.is_empty() {
            let took = (end - Tick::SYSTEM_START).as_secs_f64();
            assert_eq!(vendor.calls(), 180, "two sources and one column of 60 rows");
            assert!(took < 18.5, "180 calls at 10/s took {took:.1} s");
        }
    }
}

#[test]
fn two_sources_with_one_key_share_what_it_allows_without_being_told_to() {
    let vendor = vendor(10);
    let seen = Arc::clone(&vendor);
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        let made = table(&engine, "rows", 40).await;
        let sources = ["first", "second"].map(|name| source(name, Some("key"), None));
        let made = add_waterfall(&engine, &made, &sources, rate(&["10/s"], 5)).await.unwrap();
        let run = engine.start_run(&made, "found", Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(3_050)).await;

        let [shared] = &engine.shared_budgets()[..] else { panic!("one budget") };
        assert_eq!(shared.columns.len(), 1, "a column is told once");
        let [(column, of, calls)] = shared.waiting[..] else { panic!("{:?}", shared.waiting) };
        assert_eq!((column, of), (made.column("found").unwrap().id, run.id));
        assert!(calls > 0 && shared.wait.is_some() && shared.held_by.is_some(), "{shared:?}");
        let own = engine.budgets();
        let sources: Vec<_> = own.iter().map(|one| (one.purpose, one.source.as_deref())).collect();
        assert_eq!(sources, [("calls", Some("first")), ("calls", Some("second"))]);
        assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
    });
    assert_eq!((vendor.refused(), vendor.calls()), (0, 80));
}

#[test]
fn a_source_is_held_to_the_budget_that_it_names_and_to_its_caps() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let seen = vendor(100);
        let engine = engine(&store, &clock, &seen);
        name_budget(&engine, "50/s", Caps { calls: Some(30), ..Caps::default() }).await;
        let made = table(&engine, "rows", 40).await;
        let named = |name: &str| Some(rate_with(&[], 5, &json!({"budget": name})));
        let plain = rate(&["100/s"], 5);
        for (wrong, words) in [
            (source("first", None, named("vendr")), "did you mean \"vendor\""),
            (
                {
                    let mut other = source("first", None, named("vendor"));
                    other["url"] = json!("http://other.example/{{n}}");
                    other
                },
                "calls other.example",
            ),
        ] {
            let error = add_waterfall(&engine, &made, &[wrong], plain.clone()).await.unwrap_err();
            let text = error.to_string();
            assert!(text.contains("source first") && text.contains(words), "{text}");
        }
        let sources = [source("first", None, None), source("second", None, named("vendor"))];
        let made = add_waterfall(&engine, &made, &sources, plain).await.unwrap();
        let users = engine.columns_of_budget("vendor").await.unwrap();
        assert_eq!((users.len(), users[0].1.as_str()), (1, "found"));
        let run = engine.start_run(&made, "found", Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!((run.status, seen.calls()), (RunStatus::Paused, 30));
        assert!(run.reason.unwrap().contains("30 of 30 calls"));
    });
}
