//! Rows flow from column to column (spec C4): in the order of the graph, none waiting for another.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_model::{RunOptions, RunStatus, Scope};
use serde_json::json;

use crate::support::{Scene, Server};

#[test]
fn a_diamond_is_filled_in_its_order_with_one_call_per_cell() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 10).await;
        scene.add_diamond().await;
        let runs = scene.run(&["d", "c", "b", "a"], Scope::Empty).await;
        let table = scene.table().await;
        let name = |id| table.columns.iter().find(|column| column.id == id).unwrap().name.clone();
        let order: Vec<String> = runs.iter().map(|run| name(run.column)).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
        for run in &runs {
            assert_eq!((run.status, run.counts.completed), (RunStatus::Completed, 10), "{run:?}");
            assert_eq!(run.counts.calls, 10);
        }
        assert_eq!(scene.values("d").await[6], "dba7ca7");
        assert_eq!(scene.server.calls().len(), 40);
        assert!(scene.server.counts().values().all(|count| *count == 1));
    });
}

#[test]
fn a_slow_row_holds_up_no_other() {
    SimClock::new().run(|clock| async move {
        let server =
            Server::new(&clock, |path, _| (200, if path == "/a/1" { 60_000 } else { 100 }));
        let scene = Scene::new(&clock, server, 20).await;
        scene.add_diamond().await;
        let began = clock.now();
        let runs = scene.run(&["a", "b", "c", "d"], Scope::Empty).await;
        assert!(runs.iter().all(|run| run.counts.completed == 20), "{runs:?}");
        let took = |n: u32| {
            let path = format!("/d/ba{n}/ca{n}");
            scene.server.called_at(&path).unwrap() - began
        };
        for n in 2..=20 {
            assert!(took(n) < Duration::from_secs(5), "row {n}: {:?}", took(n));
        }
        assert!(took(1) > Duration::from_secs(60));
        assert!(clock.now() - began < Duration::from_secs(62));
    });
}

#[test]
fn a_run_that_was_started_later_waits_for_what_it_needs() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 10).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{n}}", json!({"depends_on": ["a"]})).await;
        let first = scene.start(&["a"], Scope::Empty).await;
        let second = scene.start(&["b"], Scope::Empty).await;
        assert_eq!(second[0].options.after, [first[0].id]);
        scene.wait(first).await;
        let second = scene.wait(second).await;
        assert_eq!(second[0].counts.completed, 10);
        for n in 1..=10 {
            let at = |column: &str| scene.server.called_at(&format!("/{column}/{n}")).unwrap();
            assert!(at("b") >= at("a") + Duration::from_millis(100), "row {n}");
        }
    });
}

#[test]
fn a_paused_run_is_waited_for_and_a_cancelled_one_is_not() {
    SimClock::new().run(|clock| async move {
        let server =
            Server::new(&clock, |path, _| (200, if path.starts_with("/a") { 10_000 } else { 10 }));
        let scene = Scene::new(&clock, server, 12).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{a}}", json!({})).await;
        let runs = scene.start(&["a", "b"], Scope::Empty).await;
        let (a, b) = (runs[0].id, runs[1].id);
        clock.sleep(Duration::from_millis(10_500)).await;
        scene.engine.pause_run(a).await.unwrap();
        clock.sleep(Duration::from_secs(3_600)).await;
        let waits = scene.engine.progress(b).unwrap();
        assert_eq!(
            waits.waits_for.as_deref(),
            Some(&*format!("run {a} of column a, which is paused"))
        );
        // What was in flight at the pause ended, and its rows went on.
        assert_eq!(waits.counts.completed, 8);
        scene.engine.cancel_run(a).await.unwrap();
        let b = scene.engine.wait(b).await.unwrap();
        assert_eq!((b.status, b.counts.completed, b.counts.skipped), (RunStatus::Completed, 8, 4));
        let states = scene.states("b").await;
        assert_eq!(states[11], (12, "skipped UPSTREAM_EMPTY".to_owned()));
    });
}

#[test]
fn runs_that_cannot_begin_together_leave_nothing_behind() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 3).await;
        scene.add_diamond().await;
        let open = scene.start(&["b"], Scope::Empty).await;
        let table = scene.table().await;
        let options = RunOptions::default();
        let error =
            scene.engine.start_runs(&table, &["a", "b"], Scope::Empty, options).await.unwrap_err();
        assert_eq!(error.code(), "CONFLICT");
        assert!(error.to_string().starts_with("column b: "), "{error}");
        let runs = scene.engine.store().runs(table.id, 10).await.unwrap();
        let of_a = table.column("a").unwrap().id;
        assert!(runs.iter().filter(|run| run.column == of_a).all(|run| run.status.is_final()));
        scene.wait(open).await;
        assert!(scene.server.calls().iter().all(|path| !path.starts_with("/a")));
    });
}
