//! Spec R2: retrying failed cells takes them and what was computed from them, and nothing else.

use std::collections::BTreeMap;

use paceline_clock::SimClock;
use paceline_model::{RunStatus, Scope};
use serde_json::json;

use crate::support::{Scene, Server};

#[test]
fn failed_cells_and_their_dependents_are_retried_and_nothing_else() {
    SimClock::new().run(|clock| async move {
        let bad = ["/a/2", "/a/5", "/c/a3"];
        let server = Server::new(&clock, move |path, before| {
            let fails = before == 0 && bad.contains(&path) || path == "/a/5";
            (if fails { 404 } else { 200 }, 10)
        });
        let scene = Scene::new(&clock, server, 6).await;
        scene.add_diamond().await;
        // Of no concern to the others.
        scene.add("other", "{{n}}", json!({})).await;
        scene.run(&["a", "b", "c", "d", "other"], Scope::Empty).await;
        scene.server.forget();

        let table = scene.table().await;
        let runs = scene.engine.retry_failed(&table, "a").await.unwrap();
        let scopes: Vec<Scope> = runs.iter().map(|run| run.scope).collect();
        assert_eq!(scopes, [Scope::Failed, Scope::Following, Scope::Following, Scope::Following]);
        let runs = scene.wait(runs).await;
        // Row 2 works this time, row 5 fails again, and of row 3 nobody spoke.
        let wanted = ["/a/2", "/a/5", "/b/a2", "/c/a2", "/d/ba2/ca2"];
        let wanted: BTreeMap<String, usize> = wanted.map(|path| (path.to_owned(), 1)).into();
        assert_eq!(scene.server.counts(), wanted);
        assert_eq!(scene.values("d").await[1], "dba2ca2");
        assert_eq!(runs[0].status, RunStatus::CompletedWithErrors);
        assert!(runs[1..].iter().all(|run| run.counts.completed == 1), "{runs:?}");
        assert_eq!(scene.states("b").await[4], (5, "skipped UPSTREAM_FAILED".to_owned()));
        assert_eq!(scene.states("d").await[2], (3, "skipped UPSTREAM_FAILED".to_owned()));

        scene.server.forget();
        let runs = scene.engine.retry_failed(&table, "c").await.unwrap();
        scene.wait(runs).await;
        assert_eq!(scene.server.calls(), ["/c/a3", "/d/ba3/ca3"]);
    });
}

#[test]
fn a_run_with_its_dependents_redoes_what_moved() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 4).await;
        scene.add_diamond().await;
        let table = scene.table().await;
        let start = async || {
            let options = paceline_model::RunOptions::default();
            let runs =
                scene.engine.start_with_dependents(&table, "a", Scope::All, options).await.unwrap();
            scene.wait(runs).await
        };
        let runs = start().await;
        assert!(runs.iter().all(|run| run.counts.completed == 4), "{runs:?}");
        assert_eq!(scene.server.calls().len(), 16);
        scene.edit("n", 3, paceline_model::Value::Int(33)).await;
        scene.server.forget();
        start().await;
        let mut calls = scene.server.calls();
        // Two of them are made at once.
        calls.sort_unstable();
        assert_eq!(calls, ["/a/33", "/b/a33", "/c/a33", "/d/ba33/ca33"]);
    });
}

#[test]
fn a_cell_that_failed_with_what_is_now_different_follows_and_another_does_not() {
    SimClock::new().run(|clock| async move {
        // The column b has failed in row 2 for what it was given, and in row 3 as well.
        let server = Server::new(&clock, |path, _| {
            (if matches!(path, "/b/a2" | "/b/a3") { 422 } else { 200 }, 10)
        });
        let scene = Scene::new(&clock, server, 3).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{a}}", json!({})).await;
        scene.run(&["a", "b"], Scope::Empty).await;
        let failed = |row| (row, "failed HTTP_STATUS".to_owned());
        assert_eq!(scene.states("b").await[1..], [failed(2), failed(3)]);
        scene.edit("n", 2, paceline_model::Value::Int(20)).await;
        scene.server.forget();
        let options = paceline_model::RunOptions::default();
        let table = scene.table().await;
        let runs = scene.engine.start_with_dependents(&table, "a", Scope::All, options).await;
        let runs = scene.wait(runs.unwrap()).await;
        let mut calls = scene.server.calls();
        calls.sort_unstable();
        // Equal requests are not made again; what b failed with in row 3 is what there still is.
        assert_eq!(calls, ["/a/20", "/b/a20"]);
        assert_eq!(scene.values("b").await[1], "ba20");
        assert_eq!(scene.states("b").await[2], failed(3));
        assert_eq!(runs[1].counts.completed, 1, "{runs:?}");

        scene.edit("n", 3, paceline_model::Value::Int(30)).await;
        scene.run(&["a"], Scope::Stale).await;
        scene.server.forget();
        scene.run(&["b"], Scope::Stale).await;
        assert_eq!(scene.server.calls(), ["/b/a30"]);
    });
}
