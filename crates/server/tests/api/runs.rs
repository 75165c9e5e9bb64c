//! Runs: the whole path from a table to its values, and everything that can be done with a run on the way.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value as Json, json};

use crate::support::{Says, TestApp, app, request};

const COLUMN: &str = "/api/tables/airports/columns/near";

async fn filled(app: &TestApp, rate: Json) {
    app.airports().await;
    app.near(rate).await.ok();
}

fn rate(concurrent: u32, retries: u32) -> Json {
    json!({
        "requests_per_second": 100,
        "max_concurrent": concurrent,
        "retry_strategy": "fixed",
        "max_retries": retries,
        "retry_delay_ms": 1000,
        "cool_down_on_429": true,
    })
}

#[test]
fn what_a_person_writes_into_a_smart_column_is_locked_until_it_is_unlocked() {
    app(|app| async move {
        filled(&app, json!("conservative")).await;
        let edit = json!({"ids": [2], "values": {"near": {"mine": true}}});
        let answer = app.patch("/api/tables/airports/rows", edit).await;
        assert_eq!(answer.ok()["updated"], 1);
        assert_eq!(answer.body["meta"]["locked"], json!(["near"]));

        let counts = async |scope: &str| {
            let run = app.post(&format!("{COLUMN}/run"), json!({"scope": scope})).await;
            app.settled(&run).await.ok()["counts"]["completed"].clone()
        };
        assert_eq!(counts("all").await, 2);
        let value = async || app.get("/api/tables/airports/rows/2").await.ok()["near"].clone();
        assert_eq!(value().await, json!({"mine": true}));
        assert_eq!(counts("stale").await, 0);

        let unlocked = app.post(&format!("{COLUMN}/unlock"), json!({})).await;
        assert_eq!(unlocked.ok()["unlocked"], 1);
        assert_eq!(counts("stale").await, 1);
        assert_ne!(value().await, json!({"mine": true}));
    });
}

#[test]
fn a_lookup_says_that_the_other_table_has_moved_and_keeps_it_from_being_deleted() {
    app(|app| async move {
        for (table, column) in [("codes", "code"), ("people", "code")] {
            let columns =
                json!([{"name": column, "type": "text"}, {"name": "label", "type": "text"}]);
            app.post("/api/tables", json!({"name": table, "columns": columns})).await.ok();
            let rows = json!({"rows": [{"code": "a", "label": "one"}]});
            app.post(&format!("/api/tables/{table}/rows"), rows).await.ok();
        }
        let config = json!({"table": "codes", "match": {"code": "{{code}}"}, "value": "labl"});
        let mut column =
            json!({"name": "full", "type": "text", "kind": "lookup", "config": config});
        let columns = "/api/tables/people/columns";
        let smart = "/api/tables/people/smart-columns";
        let refused = app.post(smart, column.clone()).await;
        let told = refused.refused(400, "VALIDATION_ERROR", &["config.value", "labl"]);
        assert_eq!(told["did_you_mean"], "label");
        column["config"]["value"] = json!("label");
        app.post(smart, column).await.ok();
        let run = app.post(&format!("{columns}/full/run"), json!({})).await;
        app.settled(&run).await.ok();
        let story =
            async || app.get(&format!("{columns}/full/cells/1/attempts")).await.ok().clone();
        assert!(!story().await["because"].as_str().unwrap().contains("stale"));
        let edit = json!({"ids": [1], "values": {"label": "two"}});
        app.patch("/api/tables/codes/rows", edit).await.ok();
        let because = story().await["because"].clone();
        let stale = "stale: the rows of table codes give something else for it now";
        assert!(because.as_str().unwrap().ends_with(stale), "{because}");
        let refused = app.delete("/api/tables/codes?confirm=true").await;
        refused.refused(409, "CONFLICT", &["people.full"]);
        let run = app.post(&format!("{columns}/full/run"), json!({"scope": "stale"})).await;
        assert_eq!(app.settled(&run).await.ok()["counts"]["completed"], 1);
        assert_eq!(app.get("/api/tables/people/rows/1").await.ok()["full"], "two");
    });
}

#[test]
fn from_a_table_to_its_values() {
    app(|app| async move {
        filled(&app, json!("conservative")).await;
        let before = app.get("/api/tables/airports/rows").await;
        assert_eq!(before.ok()[0]["_ht_cells"], json!({"near": {"state": "idle"}}));

        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let data = run.ok();
        assert_eq!(
            (&data["table"], &data["column"], &data["scope"]),
            (&json!("airports"), &json!("near"), &json!("empty"))
        );
        assert_eq!(data["status"], "running");
        assert_eq!(data["counts"]["total"], 3);
        assert!(data["progress"]["elapsed_ms"].is_number(), "{data:#}");

        let ended = app.settled(&run).await;
        assert_eq!(ended.ok()["status"], "completed");
        assert_eq!(
            (&ended.data()["counts"]["completed"], &ended.data()["counts"]["calls"]),
            (&json!(3), &json!(3))
        );
        assert_eq!(ended.data()["progress"], Json::Null, "it is not at work any more");

        let rows = app.get(ended.body["hints"][0]["path"].as_str().unwrap()).await;
        let first = &rows.ok()[0];
        assert_eq!(
            first["near"],
            json!({"asked": "https://vendor.example/near?lat=42.36&lon=-71.01"})
        );
        assert_eq!(first["_ht_cells"], json!({"near": {"state": "completed"}}));

        let story = app.get(&format!("{COLUMN}/cells/2/attempts")).await;
        let story = story.ok();
        assert_eq!((&story["state"], &story["error"]), (&json!("completed"), &Json::Null));
        assert_eq!(story["attempts"].as_array().unwrap().len(), 1);
        assert_eq!(
            (&story["attempts"][0]["status"], &story["attempts"][0]["class"]),
            (&json!(200), &json!("success"))
        );
        assert!(
            story["attempts"][0]["sent_at"].as_str().unwrap()
                < story["attempts"][0]["seen_at"].as_str().unwrap()
        );
    });
}

#[test]
fn a_cell_that_failed_says_why_and_is_retried_alone() {
    app(|app| async move {
        filled(&app, rate(1, 1)).await;
        app.vendor.says([("lat=47.46", Says::Status(500)), ("lat=35.76", Says::Status(404))]);
        let run = app.post(&format!("{COLUMN}/run"), json!({"scope": "all"})).await;
        let ended = app.settled(&run).await;
        assert_eq!(ended.ok()["status"], "completed_with_errors");
        assert_eq!(ended.data()["counts"]["failed"], 2);
        let hint = &ended.body["hints"][0];
        assert_eq!(hint["operation"], "retry_failed_cells");

        let row = &app.get("/api/tables/airports/rows").await.ok()[1].clone();
        assert_eq!(row["near"], Json::Null);
        assert_eq!(row["_ht_cells"]["near"]["state"], "failed");
        assert_eq!(row["_ht_cells"]["near"]["error"]["code"], "HTTP_STATUS");

        let story = app.get(&format!("{COLUMN}/cells/2/attempts")).await;
        let statuses: Vec<_> = story.ok()["attempts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| a["status"].clone())
            .collect();
        assert_eq!(statuses, [500, 500]);
        assert!(story.data()["error"]["message"].as_str().unwrap().contains("500"));
        assert_eq!(story.body["hints"][0]["operation"], "retry_failed_cells");

        app.vendor.says([]);
        let before = app.vendor.calls().len();
        let retried = app.send(request(Method::POST, hint["path"].as_str().unwrap(), None)).await;
        assert_eq!(retried.ok()["scope"], "failed");
        let ended = app.settled(&retried).await;
        assert_eq!(
            (&ended.ok()["status"], &ended.data()["counts"]["total"]),
            (&json!("completed"), &json!(2))
        );
        assert_eq!(app.vendor.calls().len() - before, 2, "the failed ones and nothing else");
    });
}

#[test]
fn a_refused_key_pauses_the_run_with_its_reason_and_retry_lets_it_go_on() {
    app(|app| async move {
        filled(&app, rate(1, 0)).await;
        let rows: Vec<_> = (0..5).map(|n| json!({"lat": n, "lon": n})).collect();
        app.post("/api/tables/airports/rows", json!({"rows": rows})).await.ok();
        app.vendor.says([("", Says::Status(401))]);
        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let paused = app.settled(&run).await;
        assert_eq!(paused.ok()["status"], "paused");
        assert!(paused.data()["reason"].as_str().unwrap().contains("401"), "{}", paused.body);
        assert_eq!(paused.body["hints"][0]["operation"], "resume_run");

        // A new run would be a conflict, and says which run is in the way.
        let again = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        again.refused(409, "CONFLICT", &[&run.data()["id"].to_string()]);
        app.get(again.body["hints"][0]["path"].as_str().unwrap()).await.ok();

        app.vendor.says([]);
        let resumed = app.send(request(Method::POST, &format!("{COLUMN}/retry"), None)).await;
        assert_eq!(resumed.ok()["id"], run.data()["id"]);
        assert_eq!(resumed.meta()["resumed"], true);
        assert!(
            resumed.body["hints"][0]["why"].as_str().unwrap().contains("was paused and goes on")
        );
        let ended = app.settled(&resumed).await;
        let failed_before = ended.ok()["counts"]["failed"].as_u64().unwrap();

        let retried = app.send(request(Method::POST, &format!("{COLUMN}/retry"), None)).await;
        assert_eq!(retried.ok()["counts"]["total"].as_u64(), Some(failed_before));
        app.settled(&retried).await;
        let rows = app.get("/api/tables/airports/rows").await;
        assert!(
            rows.ok().as_array().unwrap().iter().all(|row| row["near"].is_object()),
            "{:#}",
            rows.body
        );
    });
}

#[test]
fn a_run_is_paused_resumed_and_cancelled() {
    app(|app| async move {
        filled(&app, rate(1, 0)).await;
        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let path = format!("/api/runs/{}", run.ok()["id"]);
        app.clock.sleep(Duration::from_millis(50)).await;
        let live = app.get(&path).await;
        assert_eq!(
            (&live.ok()["status"], &live.data()["progress"]["in_flight"]),
            (&json!("running"), &json!(1))
        );

        let pausing = app.send(request(Method::POST, &format!("{path}/pause"), None)).await;
        pausing.ok();
        assert!(pausing.body["hints"][0]["why"].as_str().unwrap().contains("in flight"));
        let paused = app.settled(&run).await;
        assert_eq!(
            (&paused.ok()["status"], &paused.data()["counts"]["completed"]),
            (&json!("paused"), &json!(1))
        );
        assert_eq!(app.vendor.calls().len(), 1, "nothing new started");

        let resumed = app.send(request(Method::POST, &format!("{path}/resume"), None)).await;
        assert_eq!(resumed.ok()["status"], "running");
        app.clock.sleep(Duration::from_millis(50)).await;
        let cancelled = app.send(request(Method::POST, &format!("{path}/cancel"), None)).await;
        assert_eq!(cancelled.ok()["status"], "cancelled");
        assert_eq!(cancelled.body["hints"][0]["operation"], "run_column");
        app.settled(&run).await;
        let rows = app.get("/api/tables/airports/rows").await;
        let states: Vec<_> = rows
            .ok()
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["_ht_cells"]["near"]["state"].clone())
            .collect();
        assert_eq!(states, ["completed", "idle", "idle"], "the late reply is not applied");

        for verb in ["pause", "resume"] {
            let answer = app.send(request(Method::POST, &format!("{path}/{verb}"), None)).await;
            answer.refused(409, "CONFLICT", &["cancelled"]);
        }
        let again = app.send(request(Method::POST, &format!("{path}/cancel"), None)).await;
        assert_eq!(again.ok()["status"], "cancelled", "once more is no mistake");
    });
}

#[test]
fn a_column_is_not_changed_while_it_is_being_filled() {
    app(|app| async move {
        filled(&app, rate(1, 0)).await;
        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let path = "/api/tables/airports/smart-columns/near";
        let answer = app.patch(path, json!({"rate_limit": "gentle"})).await;
        answer.refused(409, "CONFLICT", &["near", "pause"]);
        app.settled(&run).await;
        app.patch(path, json!({"rate_limit": "gentle"})).await.ok();
    });
}

#[test]
fn runs_are_listed_newest_first() {
    app(|app| async move {
        filled(&app, rate(6, 0)).await;
        assert_eq!(*app.get("/api/tables/airports/runs").await.ok(), json!([]));
        for scope in ["all", "failed", "empty"] {
            let run = app.post(&format!("{COLUMN}/run"), json!({"scope": scope})).await;
            run.ok();
            app.settled(&run).await;
        }
        let listed = app.get("/api/tables/airports/runs").await;
        let scopes: Vec<_> =
            listed.ok().as_array().unwrap().iter().map(|run| run["scope"].clone()).collect();
        assert_eq!(scopes, ["empty", "failed", "all"]);
        let one = app.get("/api/tables/airports/runs?limit=1").await;
        assert_eq!(one.ok().as_array().unwrap().len(), 1);
    });
}

#[test]
fn what_is_not_there_is_said_to_be_missing() {
    app(|app| async move {
        filled(&app, json!("gentle")).await;
        app.get("/api/runs/77").await.refused(404, "RUN_NOT_FOUND", &["77"]);
        app.get("/api/runs/x").await.refused(400, "VALIDATION_ERROR", &["run: \"x\""]);
        for verb in ["pause", "resume", "cancel"] {
            let answer =
                app.send(request(Method::POST, &format!("/api/runs/77/{verb}"), None)).await;
            answer.refused(404, "RUN_NOT_FOUND", &["77"]);
        }
        let answer =
            app.send(request(Method::POST, "/api/tables/airports/columns/naer/run", None)).await;
        assert_eq!(answer.refused(404, "COLUMN_NOT_FOUND", &["naer"])["did_you_mean"], "near");
        let answer =
            app.send(request(Method::POST, "/api/tables/airports/columns/iata/run", None)).await;
        answer.refused(400, "VALIDATION_ERROR", &["iata", "not a smart column"]);
        let answer = app.post(&format!("{COLUMN}/run"), json!({"scope": "fialed"})).await;
        assert_eq!(answer.refused(400, "VALIDATION_ERROR", &["scope"])["did_you_mean"], "failed");

        app.get(&format!("{COLUMN}/cells/4/attempts")).await.refused(
            404,
            "ROW_NOT_FOUND",
            &["no row 4"],
        );
        app.get(&format!("{COLUMN}/cells/0/attempts")).await.refused(
            400,
            "VALIDATION_ERROR",
            &["row: 0"],
        );
        let idle = app.get(&format!("{COLUMN}/cells/3/attempts")).await;
        assert_eq!((&idle.ok()["state"], &idle.data()["attempts"]), (&json!("idle"), &json!([])));
        assert_eq!(idle.status, StatusCode::OK);
        assert!(app.vendor.calls().is_empty());
    });
}

#[test]
fn another_columns_paused_run_is_left_alone() {
    app(|app| async move {
        filled(&app, rate(1, 0)).await;
        let other = json!({
            "name": "other",
            "type": "json",
            "kind": "http",
            "config": {"url": "https://vendor.example/other/{{iata}}"},
        });
        app.post("/api/tables/airports/smart-columns", other).await.ok();
        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let path = format!("/api/runs/{}", run.ok()["id"]);
        app.send(request(Method::POST, &format!("{path}/pause"), None)).await.ok();
        app.settled(&run).await;

        let retry = "/api/tables/airports/columns/other/retry";
        let retried = app.send(request(Method::POST, retry, None)).await;
        assert_eq!(
            (&retried.ok()["column"], &retried.meta()["resumed"]),
            (&json!("other"), &Json::Null)
        );
        app.settled(&retried).await;
        assert_eq!(app.get(&path).await.ok()["status"], "paused");
    });
}
#[test]
fn two_that_resume_at_once_set_one_run_to_work_once() {
    app(|app| async move {
        filled(&app, rate(1, 0)).await;
        let run = app.send(request(Method::POST, &format!("{COLUMN}/run"), None)).await;
        let path = format!("/api/runs/{}", run.ok()["id"]);
        app.send(request(Method::POST, &format!("{path}/pause"), None)).await.ok();
        app.settled(&run).await;
        let resume = || app.send(request(Method::POST, &format!("{path}/resume"), None));
        let (one, other) = tokio::join!(resume(), resume());
        assert_eq!((one.ok()["id"].clone(), other.ok()["id"].clone()), (json!(1), json!(1)));
        let ended = app.settled(&run).await;
        assert_eq!(ended.ok()["counts"]["completed"], 3);
        assert_eq!(app.vendor.calls().len(), 3);
    });
}
