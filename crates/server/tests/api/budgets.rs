//! Budgets with a name, and caps, over REST (spec G2, R5).

use serde_json::{Value as Json, json};

use crate::support::{TestApp, app};

fn rate(budget: &str) -> Json {
    json!({
        "requests_per_second": 1, "max_concurrent": 1, "retry_strategy": "fixed", "max_retries": 0,
        "retry_delay_ms": 100, "cool_down_on_429": true, "budget": budget,
    })
}

async fn maps(app: &TestApp) {
    app.airports().await;
    let maps = json!({"name": "maps", "rate": {"limits": ["60/min"]}, "daily_caps": {"calls": 2}});
    app.post("/api/budgets", maps).await.ok();
}

#[test]
fn a_named_budget_is_made_named_shown_changed_and_deleted() {
    app(|app| async move {
        maps(&app).await;
        let again = json!({"name": "maps", "rate": {"limits": ["60/min"]}});
        assert_ne!(app.post("/api/budgets", again).await.status, 200);
        let wrong = json!({"name": "other", "rate": {"limits": ["often"]}});
        let wrong = app.post("/api/budgets", wrong).await;
        wrong.refused(400, "VALIDATION_ERROR", &["rate.limits[0]"]);
        let wrong = json!({"daily_caps": {"cals": 5}});
        let wrong = app.patch("/api/budgets/maps", wrong).await;
        wrong.refused(400, "VALIDATION_ERROR", &["daily_caps"]);
        app.near(rate("map")).await.refused(
            400,
            "VALIDATION_ERROR",
            &["rate_limit.budget", "maps"],
        );
        app.near(rate("maps")).await.ok();
        let shown = app.get("/api/budgets/shared").await;
        let shown = &shown.ok()[0];
        assert_eq!((&shown["name"], &shown["status"]), (&json!("maps"), &Json::Null));
        assert_eq!(shown["columns"], json!(["airports.near"]));
        assert_eq!(shown["daily_caps"], json!({"calls": 2}));
        let kept = app.delete("/api/budgets/maps?confirm=true").await;
        kept.refused(409, "CONFLICT", &["airports.near"]);
        app.delete("/api/budgets/maps").await.refused(400, "CONFIRMATION_REQUIRED", &[]);
        let free = json!({"rate_limit": "gentle"});
        app.patch("/api/tables/airports/smart-columns/near", free).await.ok();
        app.delete("/api/budgets/maps?confirm=true").await.ok();
        assert_eq!(*app.get("/api/budgets/shared").await.ok(), json!([]));
    });
}

#[test]
fn a_run_that_has_reached_a_cap_says_so_and_goes_on_when_it_is_raised() {
    app(|app| async move {
        maps(&app).await;
        app.near(rate("maps")).await.ok();
        let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
        let paused = app.settled(&run).await;
        assert_eq!(paused.data()["status"], "paused");
        let reason = paused.data()["reason"].as_str().unwrap();
        assert!(reason.contains("2 of 2 calls") && reason.contains("maps"), "{reason}");
        let shown = app.get("/api/budgets/shared").await;
        assert_eq!(shown.ok()[0]["spent_today"]["calls"], 2);
        assert_eq!(shown.ok()[0]["status"]["limits"][0]["limit"], "60/min");

        let wider = json!({"daily_caps": {"calls": 100}});
        app.patch("/api/budgets/maps", wider).await.ok();
        let id = run.data()["id"].as_i64().unwrap();
        let resume = format!("/api/runs/{id}/resume");
        let wrong = app.post(&resume, json!({"caps": {"cents": 1}})).await;
        wrong.refused(400, "VALIDATION_ERROR", &["caps"]);
        app.post(&resume, json!({"caps": {"calls": 100}})).await.ok();
        assert_eq!(app.settled(&run).await.data()["status"], "completed");
    });
}
