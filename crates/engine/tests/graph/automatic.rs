//! Columns that run by themselves (spec R1): over rows that came or changed, never over what was there before, and not
//! against a person's word.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_model::{RunStatus, Scope, Value};
use serde_json::json;

use crate::support::{Scene, Server};

/// Long enough for a look, and for the calls of a few rows.
pub(crate) const SOON: Duration = Duration::from_secs(3);

pub(crate) async fn insert(scene: &Scene, numbers: std::ops::RangeInclusive<i64>) {
    let table = scene.table().await;
    let column = table.column("n").unwrap().id;
    let rows = numbers.map(|n| vec![Value::Int(n)]).collect();
    scene.engine.store().insert_rows(table.id, &[column], rows).await.unwrap();
}

/// Watches the tables until the work is done.
pub(crate) async fn watched(clock: &Clock, scene: &Scene, work: impl Future<Output = ()>) {
    tokio::select! {
        () = scene.engine.run_automatically() => {}
        () = async { work.await; clock.sleep(SOON).await; } => {}
    }
}

#[test]
fn rows_that_come_are_run_and_those_before_are_not() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 5).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        scene.add("b", "{{a}}", json!({"auto_run": "on_insert"})).await;
        watched(&clock, &scene, async {
            clock.sleep(SOON).await;
            assert_eq!(scene.server.calls(), [""; 0]);
            insert(&scene, 6..=8).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.values("b").await[5..], ["ba6", "ba7", "ba8"]);
            // Not told to run on changes.
            scene.edit("n", 6, Value::Int(60)).await;
        })
        .await;
        assert_eq!(scene.server.calls().len(), 6);
        assert_eq!(scene.values("a").await[..5], [""; 5]);
    });
}

#[test]
fn rows_that_change_are_made_anew_with_what_follows_from_them() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_change"})).await;
        scene.add("b", "{{a}}", json!({"auto_run": "on_change"})).await;
        watched(&clock, &scene, async {
            insert(&scene, 1..=3).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.values("b").await, ["ba1", "ba2", "ba3"]);
            scene.edit("n", 2, Value::Int(20)).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.values("b").await, ["ba1", "ba20", "ba3"]);
            // An edit that changes nothing costs nothing.
            scene.edit("n", 3, Value::Int(3)).await;
        })
        .await;
        assert_eq!(scene.server.calls().len(), 8);
    });
}

#[test]
fn what_came_while_nobody_watched_is_taken_up_once() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        insert(&scene, 1..=2).await;
        insert(&scene, 3..=4).await;
        watched(&clock, &scene, async {}).await;
        assert_eq!(scene.server.calls().len(), 4);
        watched(&clock, &scene, async {}).await;
        assert_eq!(scene.server.calls().len(), 4);
    });
}

#[test]
fn a_tables_switch_holds_and_what_came_meanwhile_stays() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        let table = scene.table().await.id;
        assert!(scene.engine.is_automatic(table).await.unwrap());
        scene.engine.set_automatic(table, false).await.unwrap();
        assert!(!scene.engine.is_automatic(table).await.unwrap());
        watched(&clock, &scene, insert(&scene, 1..=2)).await;
        assert_eq!(scene.server.calls(), [""; 0]);
        scene.engine.set_automatic(table, true).await.unwrap();
        watched(&clock, &scene, insert(&scene, 3..=3)).await;
        assert_eq!(scene.server.calls(), ["/a/3"]);
    });
}

#[test]
fn a_person_who_cancels_is_obeyed() {
    SimClock::new().run(|clock| async move {
        // Slow enough to be cancelled in the middle.
        let scene = Scene::new(&clock, Server::new(&clock, |_, _| (200, 1_000)), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        watched(&clock, &scene, async {
            insert(&scene, 1..=40).await;
            clock.sleep(SOON).await;
            let table = scene.table().await.id;
            let run = scene.engine.store().runs(table, 1).await.unwrap().remove(0);
            assert!(run.options.automatic);
            let run = scene.engine.cancel_run(run.id).await.unwrap();
            assert_eq!(run.status, RunStatus::Cancelled);
            let calls = scene.server.calls().len();
            insert(&scene, 41..=42).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.server.calls().len(), calls, "it was told to stop");
            scene.engine.set_automatic(table, true).await.unwrap();
            scene.server.forget();
            insert(&scene, 43..=44).await;
            clock.sleep(SOON).await;
        })
        .await;
        let mut calls = scene.server.calls();
        calls.sort_unstable();
        assert_eq!(calls, ["/a/43", "/a/44"]);
    });
}

#[test]
fn what_was_skipped_for_want_of_a_value_runs_when_the_value_is_there() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{a}}", json!({"auto_run": "on_change"})).await;
        watched(&clock, &scene, async {
            insert(&scene, 1..=2).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.states("b").await[0].1, "skipped UPSTREAM_EMPTY");
            scene.run(&["a"], Scope::Empty).await;
        })
        .await;
        assert_eq!(scene.values("b").await, ["ba1", "ba2"]);
    });
}
