//! What a run is said to do before it does it, held to what it then does (spec R5).

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_engine::{Asked, BudgetSpec, Error, Plan, SmartSpec};
use paceline_model::{Caps, ColumnType, RunOptions, RunStatus, Scope, SmartKind, Value, limits};
use serde_json::{Value as Json, json};

use crate::support::{Scene, Server, config};

async fn plan(scene: &Scene, column: &str, scope: Scope) -> Plan {
    let table = scene.table().await;
    let asked = Asked { scope, options: &RunOptions::default(), dependents: false };
    scene.engine.plan(&table, column, asked).await.unwrap()
}

async fn check(scene: &Scene, token: Option<&str>, calls_max: u64) -> Result<(), Error> {
    let table = scene.table().await;
    let asked = Asked { scope: Scope::Empty, options: &RunOptions::default(), dependents: false };
    scene.engine.check_plan(&table, "a", asked, token, calls_max).await
}

/// 500 rows, one of 300 words each, every tenth without one.
async fn words(scene: &Scene) {
    let table = scene.table().await;
    let columns = ["n", "word"].map(|name| table.column(name).unwrap().id);
    let word = |n: i64| match n % 10 {
        0 => Value::Null,
        _ => Value::Text(format!("w{}", n % 300)),
    };
    let rows = (1..=500).map(|n| vec![Value::Int(n), word(n)]).collect();
    scene.engine.store().insert_rows(table.id, &columns, rows).await.unwrap();
}

#[test]
fn a_run_makes_the_calls_of_its_plan_and_takes_its_time() {
    let workloads: [(&str, Json, u64); 4] = [
        ("{{n}}", json!({}), 500),
        ("{{word}}", json!({"run_if": {"word": {"is_null": false}}, "price": 0.002}), 270),
        ("{{n}}", json!({"run_if": {"n": {"lte": 120}}}), 120),
        ("{{word ?? \"none\"}}", json!({"reuse": false}), 500),
    ];
    for (asks, more, calls) in workloads {
        SimClock::new().run(|clock| async move {
            let scene = Scene::new(&clock, Server::good(&clock), 0).await;
            words(&scene).await;
            scene.add("a", asks, more.clone()).await;
            // Nobody knows yet how long a call takes.
            let first = plan(&scene, "a", Scope::Empty).await;
            assert_eq!(
                (first.cells, first.calls, first.call_time),
                (500, calls, None),
                "{asks} {more}"
            );
            let one = RunOptions { first: Some(1), ..RunOptions::default() };
            let run =
                scene.engine.start_runs(&scene.table().await, &["a"], Scope::Empty, one).await;
            scene.wait(run.unwrap()).await;
            let plan = plan(&scene, "a", Scope::Empty).await;
            assert_eq!(plan.call_time, Some(Duration::from_millis(100)));

            let began = clock.now();
            let run = scene.run(&["a"], Scope::Empty).await.remove(0);
            let took = clock.now() - began;
            assert_eq!(run.status, RunStatus::Completed);
            assert_eq!(run.counts.calls, plan.calls, "{asks} {more}");
            let skipped: u64 = plan.skipped.values().sum();
            assert_eq!(run.counts.skipped, skipped);
            assert_eq!(run.counts.completed, plan.calls + plan.shared + plan.reused);
            let ratio = took.as_secs_f64() / plan.duration.as_secs_f64();
            assert!(
                (0.85..=1.15).contains(&ratio),
                "{asks} {more}: {took:?} of {:?}",
                plan.duration
            );
            let cost = more.get("price").map(|_| plan.calls * 2_000);
            assert_eq!(plan.cost_micros, cost);
            assert_eq!(run.counts.cost_micros, cost.unwrap_or(0));
        });
    }
}

/// A rate object.
fn rate(limits: &[&str], more: &Json) -> Json {
    let mut rate = json!({
        "limits": limits, "max_concurrent": 4, "retry_strategy": "fixed", "max_retries": 0,
        "retry_delay_ms": 1000, "cool_down_on_429": true
    });
    rate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    rate
}

async fn add(scene: &Scene, name: &str, smart: SmartKind, config: Json, rate_limit: Json) {
    let spec = SmartSpec {
        name: name.to_owned(),
        title: None,
        kind: ColumnType::Text,
        options: Vec::new(),
        smart,
        config,
        rate_limit,
    };
    scene.engine.add_smart_column(&scene.table().await, spec).await.unwrap();
}

/// Columns of these names that call at what the budget `maps` allows.
async fn on_maps(scene: &Scene, limit: &str, columns: &[&str]) {
    let spec =
        BudgetSpec { rate: json!({"limits": [limit]}), host: None, daily_caps: Caps::default() };
    scene.engine.create_budget("maps", &spec).await.unwrap();
    for name in columns {
        let named = rate(&[], &json!({"budget": "maps"}));
        add(scene, name, SmartKind::Http, config(name, "{{n}}", json!({})), named).await;
    }
}

/// Runs a column and holds what its plan said to what it took.
async fn held_to_its_plan(scene: &Scene, column: &str, what: &str) -> Duration {
    let planned = plan(scene, column, Scope::Empty).await;
    let began = scene.clock.now();
    let run = scene.run(&[column], Scope::Empty).await.remove(0);
    assert_eq!(run.status, RunStatus::Completed, "{what}");
    let took = scene.clock.now() - began;
    close(took, planned.duration, what);
    took
}

fn close(took: Duration, planned: Duration, what: &str) {
    #[expect(
        clippy::print_stdout,
        reason = "how close a plan came, for those who ask with --nocapture"
    )]
    {
        println!("{what}: {took:?} of {planned:?}");
    }
    let ratio = took.as_secs_f64() / planned.as_secs_f64();
    assert!((0.85..=1.15).contains(&ratio), "{what}: {took:?} of {planned:?}");
}

#[test]
fn a_plan_knows_what_a_shared_budget_allows_and_what_is_used_of_it() {
    let server = |clock: &Clock| Server::good(clock);
    for (limit, rows) in [("10/s", 300), ("60/min", 150)] {
        SimClock::new().run(|clock| async move {
            let scene = Scene::new(&clock, server(&clock), rows).await;
            on_maps(&scene, limit, &["a", "b", "c"]).await;
            held_to_its_plan(&scene, "a", &format!("{limit}, alone")).await;
            held_to_its_plan(&scene, "b", &format!("{limit}, after another")).await;
        });
    }
}

#[test]
fn a_plan_after_a_restart_knows_what_others_used_of_a_shared_budget() {
    let dir = tempfile::tempdir().unwrap();
    let sim = SimClock::new();
    let open = |clock: &Clock| Scene::open(clock, Server::good(clock), dir.path());
    sim.run(|clock| async move {
        let scene = open(&clock);
        scene.fill(50).await;
        on_maps(&scene, "60/min", &["a", "b"]).await;
        scene.run(&["a"], Scope::All).await;
    });
    sim.run(|clock| async move {
        let scene = open(&clock);
        assert!(scene.engine.shared_budgets().is_empty(), "nothing has run yet");
        let took = held_to_its_plan(&scene, "b", "after a restart").await;
        assert!(took > Duration::from_secs(55), "it had to wait: {took:?}");
    });
}

#[test]
fn a_plan_counts_those_at_work_that_it_takes_turns_with() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 200).await;
        on_maps(&scene, "10/s", &["a", "b"]).await;
        scene.start(&["b"], Scope::All).await;
        clock.sleep(Duration::from_secs(5)).await;
        held_to_its_plan(&scene, "a", "beside another").await;
    });
}

#[test]
fn a_plan_of_a_waterfall_has_a_least_and_a_most() {
    let source = |name: &str, limit: &str| {
        let mut source = config(name, "{{n}}", json!({"name": name}));
        source["rate_limit"] = rate(&[limit], &json!({}));
        source
    };
    let one_key = |name: &str| {
        let mut source = config(name, "{{n}}", json!({"name": name}));
        source["rate_limit"] = rate(&[], &json!({"budget": "maps"}));
        source
    };
    for (what, sources) in [
        ("each its own", [source("first", "10/s"), source("second", "5/s")]),
        ("a shared one", [one_key("first"), one_key("second")]),
    ] {
        for knows in [true, false] {
            let sources = sources.clone();
            SimClock::new().run(|clock| async move {
                let server = Server::new(&clock, move |path, _| match path.starts_with("/first") {
                    true if !knows => (404, 100),
                    _ => (200, 100),
                });
                let scene = Scene::new(&clock, server, 200).await;
                on_maps(&scene, "10/s", &[]).await;
                let config = json!({"sources": sources});
                add(&scene, "a", SmartKind::Waterfall, config, rate(&["10/s"], &json!({}))).await;
                let planned = plan(&scene, "a", Scope::Empty).await;
                assert_eq!((planned.calls, planned.calls_max), (200, 400));
                let began = clock.now();
                let run = scene.run(&["a"], Scope::Empty).await.remove(0);
                assert_eq!(run.status, RunStatus::Completed, "{what}");
                let duration = if knows { planned.duration } else { planned.duration_max };
                close(clock.now() - began, duration, &format!("{what}, the first knows: {knows}"));
            });
        }
    }
}

#[test]
fn many_calls_need_a_plan_that_still_holds() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 20).await;
        scene.add("a", "{{n}}", json!({})).await;
        assert!(check(&scene, None, 20).await.is_ok());
        let error = check(&scene, None, 19).await.unwrap_err();
        assert!(matches!(error, Error::PlanNeeded { calls_max: 19 }), "{error}");
        assert_eq!(error.code(), "PLAN_REQUIRED");

        let token = plan(&scene, "a", Scope::Empty).await.token;
        assert!(check(&scene, Some(&token), 0).await.is_ok());
        for wrong in ["", "nonsense", "12.34", &token[1..]] {
            let error = check(&scene, Some(wrong), 0).await.unwrap_err();
            assert_eq!(error.code(), "PLAN_OUTDATED", "{wrong}");
        }
        // An input of one row is another one, then as it was.
        scene.edit("n", 7, Value::Int(700)).await;
        assert_eq!(check(&scene, Some(&token), 0).await.unwrap_err().code(), "PLAN_OUTDATED");
        scene.edit("n", 7, Value::Int(7)).await;
        assert!(check(&scene, Some(&token), 0).await.is_ok());

        let table = scene.table().await;
        let other = json!({"url": "http://vendor.example/other/{{n}}"});
        scene.engine.update_smart_column(&table, "a", Some(other), None).await.unwrap();
        assert_eq!(check(&scene, Some(&token), 0).await.unwrap_err().code(), "PLAN_OUTDATED");

        let token = plan(&scene, "a", Scope::Empty).await.token;
        clock.sleep(limits::PLAN_LIFETIME + Duration::from_secs(1)).await;
        let error = check(&scene, Some(&token), 0).await.unwrap_err();
        assert!(error.to_string().contains("min old"), "{error}");
        assert_eq!(scene.server.calls(), [""; 0]);
    });
}

#[test]
fn the_first_so_many_stale_cells_are_planned_as_they_are_run() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        words(&scene).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.run(&["a"], Scope::Empty).await;
        for row in [300, 301, 400, 450] {
            scene.edit("n", row, Value::Int(10_000 + row)).await;
        }
        let options = RunOptions { first: Some(3), ..RunOptions::default() };
        let asked = Asked { scope: Scope::Stale, options: &options, dependents: false };
        let table = scene.table().await;
        let planned = scene.engine.plan(&table, "a", asked).await.unwrap();
        assert_eq!((planned.calls, planned.unchanged), (3, 397), "{planned:?}");
        let refused = scene.engine.check_plan(&table, "a", asked, None, 2).await.unwrap_err();
        assert!(matches!(refused, Error::PlanNeeded { .. }), "{refused}");
        scene.engine.check_plan(&table, "a", asked, Some(&planned.token), 2).await.unwrap();
        let runs = scene.engine.start_runs(&table, &["a"], Scope::Stale, options).await.unwrap();
        assert_eq!(scene.wait(runs).await[0].counts.calls, 3);
    });
}

#[test]
fn what_follows_is_planned_too_whoever_calls() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 20).await;
        // b and c are computed from a, d from both.
        scene.add_diamond().await;
        let options = RunOptions::default();
        let asked = |dependents| Asked { scope: Scope::Empty, options: &options, dependents };
        let table = scene.table().await;
        let alone = scene.engine.plan(&table, "a", asked(false)).await.unwrap();
        assert_eq!((alone.calls, alone.following_calls_max), (20, 0));
        let all = scene.engine.plan(&table, "a", asked(true)).await.unwrap();
        assert_eq!((all.calls, all.following_calls_max), (20, 60));
        let check = async |dependents, token: Option<&str>, calls_max| {
            scene.engine.check_plan(&table, "a", asked(dependents), token, calls_max).await
        };
        check(false, None, 20).await.unwrap();
        let refused = check(true, None, 79).await.unwrap_err();
        assert!(matches!(refused, Error::PlanNeeded { calls_max: 79 }), "{refused}");
        check(true, None, 80).await.unwrap();
        check(true, Some(&all.token), 0).await.unwrap();
        // The plan of the column alone lets nothing follow.
        let refused = check(true, Some(&alone.token), 0).await.unwrap_err();
        assert!(matches!(refused, Error::PlanOutdated(_)), "{refused}");
    });
}
