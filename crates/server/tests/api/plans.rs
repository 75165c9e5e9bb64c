//! Runs that make many calls need a plan that was seen, whichever way they are asked for (spec R5). Each hint is followed as
//! it stands.

use http::Method;
use paceline_server::ServerConfig;
use serde_json::json;

use crate::support::{Answer, Says, TestApp, app_with, request};

const COLUMN: &str = "/api/tables/airports/columns/near";

/// No run of more than two calls begins without a plan.
fn strict() -> ServerConfig {
    let mut config = ServerConfig::default();
    config.limits.run_unplanned_calls_max = 2;
    config
}

/// Makes the call of an answer's hint.
async fn follow(app: &TestApp, answer: &Answer, operation: &str) -> Answer {
    let hints = answer.body["hints"].as_array().unwrap();
    let hint = hints.iter().find(|hint| hint["operation"] == operation);
    let hint = hint.unwrap_or_else(|| panic!("no hint {operation}: {:#}", answer.body));
    assert_eq!(hint["method"], "POST");
    app.post(hint["path"].as_str().unwrap(), hint["body"].clone()).await
}

#[test]
fn a_run_of_many_calls_needs_its_plan_and_a_retry_too() {
    app_with(strict(), |app| async move {
        app.airports().await;
        app.near(json!("aggressive")).await.ok();
        let few = app.post(&format!("{COLUMN}/run"), json!({"first": 2})).await;
        app.settled(&few).await.ok();

        // All three fail when they are run again.
        app.vendor.says([("", Says::Status(422))]);
        let all = json!({"scope": "all", "dependents": false});
        let fresh = json!({"config": {"url": "https://vendor.example/again/{{iata}}"}});
        app.patch("/api/tables/airports/smart-columns/near", fresh).await.ok();
        let refused = app.post(&format!("{COLUMN}/run"), all).await;
        refused.refused(409, "PLAN_REQUIRED", &["more than 2 calls"]);
        let planned = follow(&app, &refused, "plan_run").await;
        assert_eq!((&planned.ok()["calls"], &planned.data()["cells"]), (&json!(3), &json!(3)));
        let run = follow(&app, &planned, "run_column").await;
        run.ok();
        assert_eq!(app.settled(&run).await.ok()["counts"]["failed"], 3);

        let refused = app.send(request(Method::POST, &format!("{COLUMN}/retry"), None)).await;
        refused.refused(409, "PLAN_REQUIRED", &["more than 2 calls"]);
        let planned = follow(&app, &refused, "plan_run").await;
        assert_eq!(
            (&planned.ok()["calls"], &planned.data()["following_calls_max"]),
            (&json!(3), &json!(0))
        );
        let run = follow(&app, &planned, "run_column").await;
        assert_eq!(run.ok()["scope"], "failed");
        assert_eq!(app.settled(&run).await.ok()["counts"]["total"], 3);
    });
}

#[test]
fn columns_that_follow_count() {
    app_with(strict(), |app| async move {
        app.airports().await;
        app.near(json!("aggressive")).await.ok();
        let further = json!({
            "name": "further", "type": "json", "kind": "http", "rate_limit": "aggressive",
            "config": {"url": "https://vendor.example/further/{{near}}"},
        });
        app.post("/api/tables/airports/smart-columns", further).await.ok();
        let two = json!({"first": 2, "dependents": true});
        let refused = app.post(&format!("{COLUMN}/run"), two).await;
        refused.refused(409, "PLAN_REQUIRED", &["more than 2 calls"]);
        let planned = follow(&app, &refused, "plan_run").await;
        assert_eq!(
            (&planned.ok()["calls"], &planned.data()["following_calls_max"]),
            (&json!(2), &json!(2))
        );
        let run = follow(&app, &planned, "run_column").await;
        assert_eq!(run.ok()["followed_by"].as_array().unwrap().len(), 1);
    });
}
