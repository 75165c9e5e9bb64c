//! Columns that run by themselves (spec R1): nothing that came is missed, whatever stands in the way meanwhile, and nothing
//! is run that was there before.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_model::{Filter, Run, RunStatus, Scope, Value, limits};
use serde_json::{Value as Json, json};

use crate::automatic::{SOON, insert, watched};
use crate::support::{Scene, Server, config};

/// Gives a column another configuration behind the engine's back.
async fn rewrite(scene: &Scene, column: &str, config: Json) {
    let table = scene.table().await;
    let column = table.column(column).unwrap();
    let rate = column.smart.as_ref().unwrap().rate_limit.clone();
    scene.engine.store().update_smart_column(column.id, config, rate).await.unwrap();
}

async fn tell(scene: &Scene, column: &str, asks: &str, more: Json) {
    let config = config(column, asks, more);
    let table = scene.table().await;
    scene.engine.update_smart_column(&table, column, Some(config), None).await.unwrap();
}

async fn newest(scene: &Scene, column: &str) -> Run {
    let column = scene.table().await.column(column).unwrap().id;
    scene.engine.store().newest_run(column).await.unwrap().unwrap()
}

#[test]
fn a_run_that_cannot_begin_waits_for_a_person_and_keeps_no_other_column_from_running() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        let by_itself = json!({"auto_run": "on_insert"});
        scene.add("a", "{{n}}", by_itself.clone()).await;
        scene.add("c", "{{n}}", by_itself.clone()).await;
        rewrite(&scene, "a", config("a", "{{gone}}", by_itself.clone())).await;
        watched(&clock, &scene, async {
            insert(&scene, 1..=2).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.server.calls().len(), 2, "of the other column");
            let run = newest(&scene, "a").await;
            assert_eq!(run.status, RunStatus::Paused);
            let reason = run.reason.unwrap();
            assert!(reason.contains("gone") && reason.contains("resume"), "{reason}");
            insert(&scene, 3..=3).await;
            clock.sleep(SOON).await;
            rewrite(&scene, "a", config("a", "{{n}}", by_itself)).await;
            scene.engine.resume_run(run.id).await.unwrap();
        })
        .await;
        assert_eq!(scene.values("a").await, ["a1", "a2", "a3"]);
        assert_eq!(scene.values("c").await, ["c1", "c2", "c3"]);
    });
}

#[test]
fn rows_that_came_are_run_though_more_changed_than_is_told() {
    SimClock::new().run(|clock| async move {
        let old = limits::CHANGE_ROWS_MAX + 1;
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        let table = scene.table().await;
        for part in (1..=old as i64).collect::<Vec<_>>().chunks(1_000) {
            insert(&scene, part[0]..=part[part.len() - 1]).await;
        }
        scene.add("a", "{{n}}", json!({"auto_run": "on_change"})).await;
        let new = old as i64 + 1..=old as i64 + 5;
        insert(&scene, new.clone()).await;
        let word = table.column("word").unwrap().id;
        let all = Filter::All(Vec::new());
        let value = vec![Value::Text("seen".to_owned())];
        scene.engine.store().update_rows(table.id, all, &[word], value).await.unwrap();
        watched(&clock, &scene, async {}).await;
        let wanted: Vec<String> = new.map(|n| format!("/a/{n}")).collect();
        let mut calls = scene.server.calls();
        calls.sort_unstable();
        assert_eq!(calls, wanted);
    });
}

#[test]
fn what_comes_after_thousands_of_changes_is_run_at_once() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 1).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        for n in 0..3_000 {
            scene.edit("n", 1, Value::Int(n)).await;
        }
        insert(&scene, 7..=7).await;
        watched(&clock, &scene, async {}).await;
        assert_eq!(scene.server.calls(), ["/a/7"]);
    });
}

#[test]
fn what_came_is_found_by_its_rows_where_its_changes_are_gone() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 2).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        scene.add("b", "{{n}}", json!({"auto_run": "on_change"})).await;
        scene.run(&["b"], Scope::Empty).await;
        insert(&scene, 3..=4).await;
        scene.edit("n", 2, Value::Int(20)).await;
        scene.server.forget();
        let table = scene.table().await;
        let (changes, _) = scene.engine.store().changes_after(table.id, 0, 1).await.unwrap();
        for column in ["a", "b"] {
            // As far as the second row, of which no change is kept any more.
            let name = format!("automatic_seen:{}", table.column(column).unwrap().id);
            let kept = format!("{} 2", changes[0].sequence - 1);
            scene.engine.store().set_setting(&name, &kept).await.unwrap();
        }
        watched(&clock, &scene, async {}).await;
        let mut calls = scene.server.calls();
        calls.sort_unstable();
        assert_eq!(calls, ["/a/3", "/a/4", "/b/20", "/b/3", "/b/4"]);
        watched(&clock, &scene, insert(&scene, 5..=5)).await;
        assert_eq!(scene.server.calls().len(), 7);
    });
}

#[test]
fn a_column_waits_for_rows_that_another_is_kept_from() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 40).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        scene.add("b", "{{a}}", json!({"auto_run": "on_insert"})).await;
        let run = scene.start(&["a"], Scope::All).await.remove(0);
        scene.engine.pause_run(run.id).await.unwrap();
        scene.engine.wait(run.id).await.unwrap();
        watched(&clock, &scene, async {
            insert(&scene, 41..=42).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.states("b").await, []);
            scene.engine.resume_run(run.id).await.unwrap();
        })
        .await;
        let done = |row| (row, "completed".to_owned());
        assert_eq!(scene.states("b").await, [done(41), done(42)]);
    });
}

#[test]
fn a_column_begins_after_those_it_needs_whichever_was_made_first() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        let by_itself = || json!({"auto_run": "on_insert"});
        scene.add("b", "{{n}}", by_itself()).await;
        scene.add("a", "{{n}}", by_itself()).await;
        tell(&scene, "b", "{{a}}", by_itself()).await;
        watched(&clock, &scene, insert(&scene, 1..=40)).await;
        assert_eq!(scene.values("b").await[..2], ["ba1", "ba2"]);
        assert_eq!(scene.server.calls().len(), 80);
        let called = |path: &str| scene.server.called_at(path).unwrap();
        assert!(called("/b/a1") < called("/a/40"), "a row goes on as soon as it can");
    });
}

#[test]
fn a_busy_table_keeps_no_column_waiting_for_good() {
    SimClock::new().run(|clock| async move {
        // A run of a few rows takes longer than it takes for more to come.
        let scene = Scene::new(&clock, Server::new(&clock, |_, _| (200, 900)), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_change"})).await;
        scene.add("b", "{{a}}", json!({"auto_run": "on_change"})).await;
        watched(&clock, &scene, async {
            for n in 1..=60 {
                insert(&scene, n..=n).await;
                scene.edit("n", n, Value::Int(n + 1_000)).await;
                clock.sleep(Duration::from_millis(500)).await;
            }
            let filled = scene.values("b").await.iter().filter(|value| !value.is_empty()).count();
            assert!(filled > 20, "{filled}");
            clock.sleep(Duration::from_secs(60)).await;
        })
        .await;
        let wanted: Vec<String> = (1..=60).map(|n| format!("ba{}", n + 1_000)).collect();
        assert_eq!(scene.values("b").await, wanted);
    });
}

#[test]
fn what_came_while_a_column_was_not_told_to_run_stays_as_it_is() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 0).await;
        let by_itself = || json!({"auto_run": "on_insert"});
        scene.add("a", "{{n}}", by_itself()).await;
        watched(&clock, &scene, async {
            tell(&scene, "a", "{{n}}", json!({})).await;
            insert(&scene, 1..=3).await;
            clock.sleep(SOON).await;
            tell(&scene, "a", "{{n}}", by_itself()).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.server.calls(), [""; 0]);
            insert(&scene, 4..=4).await;
        })
        .await;
        assert_eq!(scene.server.calls(), ["/a/4"]);
    });
}

#[test]
fn a_column_told_later_takes_nothing_that_another_has_still_to_take() {
    SimClock::new().run(|clock: Clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 40).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_insert"})).await;
        let run = scene.start(&["a"], Scope::All).await.remove(0);
        scene.engine.pause_run(run.id).await.unwrap();
        scene.engine.wait(run.id).await.unwrap();
        watched(&clock, &scene, async {
            insert(&scene, 41..=42).await;
            clock.sleep(SOON).await;
            scene.add("b", "{{n}}", json!({"auto_run": "on_insert"})).await;
            insert(&scene, 43..=43).await;
        })
        .await;
        let of_b = scene.server.calls().into_iter().filter(|path| path.starts_with("/b/"));
        assert_eq!(of_b.collect::<Vec<_>>(), ["/b/43"]);
    });
}

#[test]
fn a_row_that_failed_is_run_again_when_what_it_failed_with_is_corrected() {
    SimClock::new().run(|clock| async move {
        let refused = |path: &str, _| if path.ends_with("13") { (422, 10) } else { (200, 10) };
        let scene = Scene::new(&clock, Server::new(&clock, refused), 0).await;
        scene.add("a", "{{n}}", json!({"auto_run": "on_change"})).await;
        watched(&clock, &scene, async {
            insert(&scene, 12..=13).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.states("a").await[1].1, "failed HTTP_STATUS");
            scene.server.forget();
            // Nothing that it is made from: it would fail again.
            scene.edit("word", 2, Value::Text("x".to_owned())).await;
            clock.sleep(SOON).await;
            assert_eq!(scene.server.calls(), [""; 0]);
            scene.edit("n", 2, Value::Int(14)).await;
        })
        .await;
        assert_eq!(scene.values("a").await, ["a12", "a14"]);
        assert_eq!(scene.server.calls(), ["/a/14"]);
    });
}
