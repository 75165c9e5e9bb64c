//! "Why is this cell empty?", for every reason that there is.

use std::time::Duration;

use paceline_model::RunId;
use serde_json::{Value as Json, json};

use super::{Called, Client};
use crate::support::{Says, TestApp, app};

async fn explain(client: &Client, column: &str, row: u64) -> Called {
    let of = json!({"table": "airports", "column": column, "row": row});
    let called = client.call("hypertab_explain_cell", of).await;
    assert!(!called.is_error, "{:#}", called.body);
    let because = called.body["data"]["because"].as_str().unwrap();
    assert!(because.len() > 20, "{because}");
    assert_eq!(called.body["hints"].as_array().unwrap().len(), 1, "a next step");
    called
}

impl Called {
    #[track_caller]
    fn tells(&self, state: &str, words: &[&str], hint: &str) {
        assert_eq!(self.body["data"]["state"], state, "{:#}", self.body);
        let because = self.body["data"]["because"].as_str().unwrap();
        for word in words {
            assert!(because.contains(word), "{word:?} is not in {because:?}");
        }
        assert_eq!(self.body["hints"][0]["tool"], format!("hypertab_{hint}"), "{:#}", self.body);
    }
}

async fn start(client: &Client) -> RunId {
    let of = json!({"table": "airports", "column": "near"});
    let run = client.data("hypertab_run_column", of).await;
    RunId(run["id"].as_i64().unwrap())
}

async fn ready(app: &TestApp, rate: Json) -> Client {
    app.airports().await;
    app.near(rate).await.ok();
    Client::of(app)
}

#[test]
fn cells_that_no_call_fills() {
    app(|app| async move {
        let client = ready(&app, json!("gentle")).await;
        let rows = json!({"table": "airports", "rows": [{"iata": "LHR"}]});
        client.data("hypertab_insert_rows", rows).await;
        let empty = explain(&client, "lat", 4).await;
        empty.tells("plain", &["no call fills it", "nobody has written"], "get_table_schema");
        let full = explain(&client, "iata", 4).await;
        full.tells("plain", &["somebody wrote"], "get_table_schema");
        assert!(!client.follow(&empty.body["hints"][0]).await.is_error);
    });
}

#[test]
fn cells_that_wait_for_a_run_or_in_one() {
    app(|app| async move {
        let client = ready(&app, json!("gentle")).await;
        explain(&client, "near", 1).await.tells("idle", &["no run of this column"], "run_column");

        let run = start(&client).await;
        let waits = explain(&client, "near", 3).await;
        waits.tells("idle", &["is at work", "0 of 3", "not come to it yet"], "get_run");
        let rows = json!({"table": "airports", "rows": [{"iata": "LHR"}]});
        app.clock.sleep(Duration::from_millis(10)).await;
        client.data("hypertab_insert_rows", rows).await;
        explain(&client, "near", 4).await.tells("idle", &["inserted after run 1"], "get_run");

        app.engine.wait(run).await.unwrap();
        explain(&client, "near", 1).await.tells("completed", &["succeeded"], "get_table_schema");
        let newer = explain(&client, "near", 4).await;
        newer.tells("idle", &["inserted after run 1"], "run_column");
        assert!(!client.follow(&newer.body["hints"][0]).await.is_error);
    });
}

#[test]
fn cells_of_a_run_that_a_person_stopped() {
    app(|app| async move {
        let client = ready(&app, json!("gentle")).await.with_toolsets("all");
        let run = start(&client).await;
        client.data("hypertab_pause_run", json!({"run": run.0})).await;
        app.engine.wait(run).await.unwrap();
        let paused = explain(&client, "near", 3).await;
        paused.tells(
            "idle",
            &["run 1, which would fill it, is paused", "by a person"],
            "retry_failed_cells",
        );
        client.data("hypertab_cancel_run", json!({"run": run.0})).await;
        explain(&client, "near", 3).await.tells("idle", &["run 1 was cancelled"], "run_column");
    });
}

#[test]
fn cells_behind_a_breaker_or_a_refused_key() {
    app(|app| async move {
        let client = ready(&app, json!("gentle")).await;
        app.vendor.says([("", Says::Status(401))]);
        let run = start(&client).await;
        app.engine.wait(run).await.unwrap();
        let status = client.data("hypertab_get_run", json!({"run": run.0})).await;
        assert_eq!(status["status"], "paused", "{status:#}");
        for row in 1..=3 {
            let told = explain(&client, "near", row).await;
            let because = told.body["data"]["because"].as_str().unwrap();
            assert!(because.contains("paused") && because.contains("401"), "{because}");
            assert_eq!(told.body["hints"][0]["tool"], "hypertab_retry_failed_cells");
        }
        app.vendor.says([]);
        let told = explain(&client, "near", 3).await;
        assert!(!client.follow(&told.body["hints"][0]).await.is_error);
    });
}

#[test]
fn cells_that_were_tried() {
    app(|app| async move {
        let client = ready(&app, json!("conservative")).await;
        let rows = json!({"table": "airports", "rows": [{"iata": "LHR"}]});
        client.data("hypertab_insert_rows", rows).await;
        app.vendor.says([("lat=42.36", Says::Status(404))]);
        let run = start(&client).await;
        app.engine.wait(run).await.unwrap();
        let failed = explain(&client, "near", 1).await;
        failed.tells("failed", &["given up", "404"], "retry_failed_cells");
        assert_eq!(failed.body["data"]["attempts"][0]["status"], 404);
        explain(&client, "near", 4).await.tells(
            "failed",
            &["{{lat}} has no value"],
            "retry_failed_cells",
        );

        let update = json!({"table": "airports", "column": "near", "rate_limit": "moderate"});
        client.data("hypertab_update_smart_column", update).await;
        let older = explain(&client, "near", 2).await;
        older.tells("completed", &["version 1", "at 2 by now"], "get_table_schema");
    });
}

#[test]
fn a_call_that_gave_nothing() {
    app(|app| async move {
        app.airports().await;
        let client = Client::of(&app);
        let column = json!({
            "table": "airports", "name": "near", "type": "json", "kind": "http",
            "config": {"url": "https://vendor.example/{{lat}}", "extract": "$.found"},
        });
        client.data("hypertab_add_smart_column", column).await;
        app.vendor.says([("42.36", Says::Body(r#"{"found": null}"#))]);
        let run = start(&client).await;
        app.engine.wait(run).await.unwrap();
        explain(&client, "near", 2).await.tells(
            "failed",
            &["nothing at $.found"],
            "retry_failed_cells",
        );
        let told = explain(&client, "near", 1).await;
        assert_eq!(told.body["data"]["value"], Json::Null);
        assert!(
            told.body["data"]["because"].as_str().unwrap().contains("extract"),
            "{:#}",
            told.body
        );
    });
}

#[test]
fn a_call_whose_outcome_nobody_knows() {
    app(|app| async move {
        app.airports().await;
        let client = Client::of(&app);
        let column = json!({
            "table": "airports", "name": "near", "type": "json", "kind": "http",
            "config": {"url": "https://vendor.example/{{lat}}", "method": "POST", "repeatable": false},
        });
        client.data("hypertab_add_smart_column", column).await;
        app.vendor.says([("", Says::Status(502))]);
        let run = start(&client).await;
        app.engine.wait(run).await.unwrap();
        let told = explain(&client, "near", 1).await;
        told.tells("unknown", &["nobody knows", "not sent again"], "call_operation");
    });
}
