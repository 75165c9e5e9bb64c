//! Calls that are not made (spec C9): equal ones of one run, those that an earlier run made, and those of which nothing
//! has moved.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_engine::Moved;
use paceline_model::{RowId, RunStatus, Scope, Value};
use serde_json::json;

use crate::support::{Scene, Server, config};

/// Rows whose word is one of 700: 30 % of 1,000 ask what another one asks.
async fn words(scene: &Scene) {
    let table = scene.table().await;
    let columns = ["n", "word"].map(|name| table.column(name).unwrap().id);
    let row = |n: i64| vec![Value::Int(n), Value::Text(format!("w{}", n % 700))];
    let rows = (1..=1_000).map(row).collect();
    scene.engine.store().insert_rows(table.id, &columns, rows).await.unwrap();
}

#[test]
fn equal_requests_are_made_once_in_a_run_and_never_again() {
    SimClock::new().run(|clock| async move {
        // Slow enough that equal ones meet under way.
        let scene = Scene::new(&clock, Server::new(&clock, |_, _| (200, 2_000)), 0).await;
        words(&scene).await;
        scene.add("a", "{{word}}", json!({})).await;
        let runs = scene.run(&["a"], Scope::All).await;
        assert_eq!((runs[0].status, runs[0].counts.completed), (RunStatus::Completed, 1_000));
        assert_eq!(runs[0].counts.calls, 700);
        let distinct: BTreeSet<String> = scene.server.calls().into_iter().collect();
        assert_eq!((distinct.len(), scene.server.calls().len()), (700, 700));
        let values = scene.values("a").await;
        assert!((0..1_000).all(|at| values[at] == format!("aw{}", (at + 1) % 700)));
        let again = scene.run(&["a"], Scope::All).await;
        assert_eq!((again[0].counts.completed, again[0].counts.calls), (1_000, 0));
        let stale = scene.run(&["a"], Scope::Stale).await;
        assert_eq!((stale[0].counts.total, stale[0].counts.ended()), (0, 0));
        assert_eq!(scene.server.calls().len(), 700);
    });
}

#[test]
fn equal_requests_fail_together() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::new(&clock, |_, _| (404, 100)), 9).await;
        scene.add("a", "same", json!({})).await;
        let runs = scene.run(&["a"], Scope::All).await;
        assert_eq!((runs[0].counts.failed, runs[0].counts.calls), (9, 1));
        assert!(scene.states("a").await.iter().all(|(_, state)| state == "failed HTTP_STATUS"));
    });
}

#[test]
fn who_waits_for_an_equal_request_waits_through_its_retries_and_a_pause() {
    SimClock::new().run(|clock| async move {
        let server = Server::new(&clock, |_, before| (if before == 0 { 429 } else { 200 }, 1_000));
        let scene = Scene::new(&clock, server, 9).await;
        scene.add("a", "same", json!({})).await;
        let run = scene.start(&["a"], Scope::All).await.remove(0);
        clock.sleep(Duration::from_millis(1_500)).await;
        scene.engine.pause_run(run.id).await.unwrap();
        let paused = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((paused.status, paused.counts.ended()), (RunStatus::Paused, 0));
        scene.engine.resume_run(run.id).await.unwrap();
        let run = scene.engine.wait(run.id).await.unwrap();
        assert_eq!((run.counts.completed, run.counts.calls), (9, 2));
    });
}

#[test]
fn what_may_not_be_repeated_or_is_not_to_be_reused_is_called_for_every_row() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 5).await;
        scene.add("a", "same", json!({"method": "POST"})).await;
        scene.add("b", "same", json!({"reuse": false})).await;
        scene.add("c", "same", json!({"method": "POST", "reuse": true})).await;
        for (column, calls) in [("a", 5), ("b", 5), ("c", 1)] {
            let runs = scene.run(&[column], Scope::All).await;
            assert_eq!((runs[0].counts.completed, runs[0].counts.calls), (5, calls), "{column}");
        }
        let again = scene.run(&["b"], Scope::All).await;
        assert_eq!(again[0].counts.calls, 5);
    });
}

#[test]
fn one_changed_prompt_makes_exactly_its_cells_and_what_follows_from_them_stale() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 6).await;
        scene.add_diamond().await;
        scene.run(&["a", "b", "c", "d"], Scope::Empty).await;
        scene.server.forget();
        let runs = scene.run(&["a", "b", "c", "d"], Scope::Stale).await;
        assert!(runs.iter().all(|run| run.counts.total == 0), "{runs:?}");
        assert_eq!(scene.server.calls(), [""; 0]);

        let table = scene.table().await;
        let other = json!({"url": "http://vendor.example/bb/{{a}}"});
        scene.engine.update_smart_column(&table, "b", Some(other), None).await.unwrap();
        let runs = scene.run(&["a", "b", "c", "d"], Scope::Stale).await;
        let calls: Vec<u64> = runs.iter().map(|run| run.counts.calls).collect();
        assert_eq!(calls, [0, 6, 0, 6]);
        assert_eq!(scene.values("d").await[2], "dbba3ca3");
    });
}

#[test]
fn a_stale_cell_knows_what_moved_and_another_name_moves_nothing() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 3).await;
        let text = |word: &str| Value::Text(word.to_owned());
        for row in 1..=3 {
            scene.edit("word", row, text("one")).await;
        }
        scene.add("a", "{{n}}/{{word}}", json!({})).await;
        scene.run(&["a"], Scope::Empty).await;
        scene.edit("word", 2, text("two")).await;
        let table = scene.table().await;
        let moved = async |row| {
            let table = scene.table().await;
            scene.engine.staleness(&table, "a", RowId(row)).await.unwrap()
        };
        assert_eq!(moved(1).await, []);
        assert_eq!(moved(2).await, [Moved::Input("word".to_owned())]);

        let change = paceline_model::ColumnChange {
            name: Some("term".to_owned()),
            ..paceline_model::ColumnChange::default()
        };
        let word = table.column("word").unwrap().id;
        scene.engine.update_column(table.id, word, change).await.unwrap();
        assert_eq!(moved(1).await, []);
        assert_eq!(moved(2).await, [Moved::Input("term".to_owned())]);
        scene.server.forget();
        let runs = scene.run(&["a"], Scope::Stale).await;
        assert_eq!((runs[0].counts.completed, runs[0].counts.total), (1, 1));
        assert_eq!(scene.server.calls(), ["/a/2/two"]);

        let other = config("a", "{{term}}", json!({}));
        let table = scene.table().await;
        scene.engine.update_smart_column(&table, "a", Some(other), None).await.unwrap();
        assert_eq!(moved(1).await, [Moved::Configuration]);
    });
}
