//! Rows that are left out, with the reason (spec C5): because of their condition, or of the columns that they need.

use paceline_clock::SimClock;
use paceline_model::{RunStatus, Scope, Value};
use serde_json::json;

use crate::support::{Scene, Server, config};

#[test]
fn failure_and_skipping_go_down_the_graph_with_their_reason() {
    SimClock::new().run(|clock| async move {
        let server = Server::new(&clock, |path, _| (if path == "/a/2" { 404 } else { 200 }, 10));
        let scene = Scene::new(&clock, server, 3).await;
        scene.add_diamond().await;
        let runs = scene.run(&["a", "b", "c", "d"], Scope::Empty).await;
        assert_eq!(runs[0].status, RunStatus::CompletedWithErrors);
        for run in &runs[1..] {
            assert_eq!((run.counts.completed, run.counts.skipped), (2, 1), "{run:?}");
            assert_eq!(run.status, RunStatus::Completed);
        }
        assert_eq!(scene.states("b").await[1], (2, "skipped UPSTREAM_FAILED".to_owned()));
        let message = scene.message("b", 2).await;
        assert!(message.starts_with("column a failed in this row (HTTP_STATUS)"), "{message}");
        assert_eq!(scene.states("d").await[1], (2, "skipped UPSTREAM_SKIPPED".to_owned()));
        let message = scene.message("d", 2).await;
        assert!(message.starts_with("column b was skipped in this row"), "{message}");
        assert_eq!(scene.server.calls().len(), 3 + 2 + 2 + 2);
    });
}

#[test]
fn a_row_whose_condition_does_not_hold_is_skipped_and_says_which() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 5).await;
        let condition = json!({"n": {"gte": 2, "lt": 5}, "or": [{"n": {"neq": 3}}, {"word": "x"}]});
        scene.add("a", "{{n}}", json!({"run_if": condition})).await;
        let runs = scene.run(&["a"], Scope::Empty).await;
        assert_eq!((runs[0].counts.completed, runs[0].counts.skipped), (2, 3));
        assert_eq!(scene.server.calls(), ["/a/2", "/a/4"]);
        assert_eq!(scene.states("a").await[0].1, "skipped CONDITION");
        let told = |of: &str| format!("run_if does not hold: {of}");
        assert_eq!(scene.message("a", 1).await, told("{\"n\":{\"gte\":2}}"));
        assert!(scene.message("a", 3).await.contains("{\"or\":["));
        assert_eq!(scene.message("a", 5).await, told("{\"n\":{\"lt\":5}}"));
    });
}

#[test]
fn a_condition_on_a_state_is_asked_of_rows_whose_column_failed() {
    SimClock::new().run(|clock| async move {
        let server = Server::new(&clock, |path, _| (if path == "/a/2" { 404 } else { 200 }, 10));
        let scene = Scene::new(&clock, server, 3).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{n}}", json!({"run_if": {"a": {"state": "failed"}}})).await;
        scene.run(&["a", "b"], Scope::Empty).await;
        let states: Vec<String> = scene.states("b").await.into_iter().map(|(_, s)| s).collect();
        assert_eq!(states, ["skipped CONDITION", "completed", "skipped CONDITION"]);
    });
}

#[test]
fn a_column_that_was_not_run_is_named_unless_the_template_can_do_without() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 1).await;
        scene.add("a", "{{n}}", json!({})).await;
        scene.add("b", "{{a}}", json!({})).await;
        scene.add("c", "{{a ?? \"none\"}}", json!({})).await;
        scene.add("e", "{{n}}", json!({"depends_on": ["a"]})).await;
        scene.add("f", "{{word}}", json!({})).await;
        for column in ["b", "c", "e", "f"] {
            scene.run(&[column], Scope::Empty).await;
        }
        let told = "column a has no value in this row yet; run a first";
        assert_eq!(scene.message("b", 1).await, told);
        assert_eq!(scene.message("e", 1).await, told);
        assert_eq!(scene.states("b").await, [(1, "skipped UPSTREAM_EMPTY".to_owned())]);
        assert_eq!(scene.states("f").await, [(1, "failed MISSING_VALUE".to_owned())]);
        assert_eq!(scene.server.calls(), ["/c/none"]);
    });
}

#[test]
fn a_condition_is_asked_again_when_what_it_looks_at_has_moved() {
    SimClock::new().run(|clock| async move {
        let scene = Scene::new(&clock, Server::good(&clock), 2).await;
        scene.try_add("a", config("a", "{{n}}", json!({"run_if": {"word": "go"}}))).await.unwrap();
        scene.run(&["a"], Scope::All).await;
        scene.edit("word", 2, Value::Text("go".to_owned())).await;
        let runs = scene.run(&["a"], Scope::All).await;
        assert_eq!((runs[0].counts.completed, runs[0].counts.skipped), (1, 1));
        assert_eq!(scene.server.calls(), ["/a/2"]);
    });
}
