//! What the documentation of the contract leaves open or says twice (hypertab.md a9), as it is settled here: one test for
//! each of the holes about rates, rows, names and paging. How the governor keeps 2 to 5 is proved by its own tests.

use std::time::Duration;

use paceline_server::operations;
use serde_json::{Value as Json, json};

use crate::support::{Says, TestApp, app};

/// Fills the column; answers the run at its end and how long it took.
async fn filled(app: &TestApp) -> (Json, Duration) {
    let began = app.clock.now();
    let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
    let run = app.settled(&run).await.ok().clone();
    (run, app.clock.now() - began)
}

fn rate(changes: Json) -> Json {
    let mut rate = json!({
        "requests_per_second": 10, "max_concurrent": 5, "retry_strategy": "fixed",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true
    });
    rate.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    rate
}

#[test]
fn hole_1_six_calls_at_once_is_the_limit_unless_the_operator_raises_it() {
    app(|app| async move {
        app.airports().await;
        let answer = app.near(rate(json!({"max_concurrent": 7}))).await;
        answer.refused(400, "VALIDATION_ERROR", &["rate_limit.max_concurrent", "1 to 6"]);
        app.near(rate(json!({"max_concurrent": 6, "requests_per_second": 500}))).await.ok();
        let (run, _) = filled(&app).await;
        assert_eq!(run["status"], "completed");
    });
}

#[test]
fn hole_2_a_limit_belongs_to_its_column() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        // What columns share needs a name of its own, which is not taken silently for something else.
        let answer = app
            .patch(
                "/api/tables/airports/smart-columns/near",
                json!({"rate_limit": rate(json!({"budget": "shared"}))}),
            )
            .await;
        answer.refused(400, "VALIDATION_ERROR", &["rate_limit.budget"]);
    });
}

#[test]
fn hole_3_a_few_bad_rows_do_not_trip_the_breaker() {
    app(|app| async move {
        app.airports().await;
        app.near(rate(json!({"max_retries": 0}))).await.ok();
        app.vendor.says([("lat=47.46", Says::Status(400)), ("lat=35.76", Says::Status(400))]);
        let (run, _) = filled(&app).await;
        assert_eq!(run["status"], "completed_with_errors", "two of three failed, and it went on");
        assert_eq!(run["counts"]["failed"], 2);
    });
}

#[test]
fn hole_4_and_5_a_429_costs_no_retry_and_is_waited_for() {
    app(|app| async move {
        app.airports().await;
        app.near(rate(json!({"max_retries": 0}))).await.ok();
        app.vendor.says([("lat=47.46", Says::Status(429))]);
        let vendor = app.vendor.clone();
        let clock = app.clock.clone();
        tokio::spawn(async move {
            clock.sleep(Duration::from_secs(3)).await;
            vendor.says([]);
        });
        let (run, took) = filled(&app).await;
        assert_eq!(run["status"], "completed", "no cell is lost to a refusal");
        assert!(took >= Duration::from_secs(3), "{took:?}");
        assert!(app.vendor.calls().len() > 3, "it was called again");
    });
}

#[test]
fn hole_6_presets_are_kept_by_their_names_and_have_every_value() {
    for preset in ["aggressive", "moderate", "conservative", "gentle"] {
        app(|app| async move {
            app.airports().await;
            assert_eq!(app.near(json!(preset)).await.ok()["smart"]["rate_limit"], preset);
            app.vendor.says([("lat=47.46", Says::Status(500))]);
            let (run, took) = filled(&app).await;
            assert_eq!(run["status"], "completed_with_errors");
            // 3 retries after 1, 2 and 4 s, or 5 of up to 5 s.
            assert!(took >= Duration::from_secs(5), "{preset}: a base delay of a second: {took:?}");
        });
    }
}

#[test]
fn hole_7_the_default_preset_is_conservative() {
    app(|app| async move {
        app.airports().await;
        assert_eq!(app.near(Json::Null).await.ok()["smart"]["rate_limit"], "conservative");
    });
}

#[test]
fn hole_8_cursor_and_offset_and_all_rows_at_once() {
    app(|app| async move {
        app.airports().await;
        let ids = |rows: &Json| {
            rows.as_array().unwrap().iter().map(|row| row["_ht_id"].clone()).collect::<Vec<_>>()
        };
        let first = app.get("/api/tables/airports/rows?limit=2").await;
        let next = app.get(first.body["hints"][0]["path"].as_str().unwrap()).await;
        assert_eq!(ids(next.ok()), [3]);
        assert_eq!(ids(app.get("/api/tables/airports/rows?limit=2&offset=2").await.ok()), [3]);
        assert_eq!(ids(app.get("/api/tables/airports/rows?limit=0").await.ok()), [1, 2, 3]);
    });
}

#[test]
fn hole_9_names_that_tie_or_are_too_short_are_not_corrected() {
    app(|app| async move {
        let columns = json!([
            {"name": "price_a", "type": "number"}, {"name": "price_b", "type": "number"},
            {"name": "id", "type": "number"}, {"name": "city", "type": "text"},
        ]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
        let insert = |row: Json| app.post("/api/tables/t/rows", json!({"rows": [row]}));
        let tie = insert(json!({"price_c": 1})).await;
        tie.refused(404, "COLUMN_NOT_FOUND", &["rows[0].price_c", "price_a, price_b"]);
        insert(json!({"ie": 1})).await.refused(404, "COLUMN_NOT_FOUND", &["rows[0].ie"]);
        insert(json!({"cit": "x"})).await.ok();
        insert(json!({"ci": "x"})).await.refused(404, "COLUMN_NOT_FOUND", &["rows[0].ci"]);
        insert(json!({"cite_": "x"})).await.refused(404, "COLUMN_NOT_FOUND", &[]);
    });
}

#[test]
fn hole_10_an_insert_makes_no_call() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let inserted =
            app.post("/api/tables/airports/rows", json!({"rows": [{"iata": "X"}]})).await;
        assert_eq!(inserted.body["hints"][0]["operation"], "run_column", "said, not done");
        app.clock.sleep(Duration::from_secs(60)).await;
        assert!(app.vendor.calls().is_empty());
    });
}

#[test]
fn hole_11_kinds_that_are_not_there_are_told_with_those_that_are() {
    app(|app| async move {
        app.airports().await;
        let body = json!({"name": "x", "type": "json", "kind": "magic", "config": {}});
        let answer = app.post("/api/tables/airports/smart-columns", body).await;
        answer.refused(400, "VALIDATION_ERROR", &["kind: ", "http", "integration"]);
        let mut names: Vec<&str> = operations().map(|operation| operation.name).collect();
        names.dedup();
        assert_eq!(names.len(), operations().count(), "one name for one thing");
    });
}
