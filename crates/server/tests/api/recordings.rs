//! The recording of a run over the API: asked for with the run, fetched by a link, gone with its table.

use axum::body::{Body, to_bytes};
use http::Request;
use paceline_engine::Recording;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::support::{Says, TestApp, app};

const COLUMN: &str = "/api/tables/airports/columns/near";

/// A recorded run over three airports, with a secret in a header; the second call fails for good.
async fn recorded(app: &TestApp) -> i64 {
    app.airports().await;
    app.near(json!("conservative")).await.ok();
    let config = json!({
        "url": "https://vendor.example/near?lat={{lat}}&lon={{lon}}",
        "headers": {"Authorization": "Bearer secret-of-the-column"}
    });
    app.patch("/api/tables/airports/smart-columns/near", json!({"config": config})).await.ok();
    app.vendor.says([("lat=47.46", Says::Status(404))]);
    let run = app.post(&format!("{COLUMN}/run"), json!({"record": true})).await;
    let hints = run.body["hints"].as_array().unwrap();
    assert!(hints.iter().any(|hint| hint["operation"] == "get_recording"), "{hints:?}");
    app.settled(&run).await.ok()["id"].as_i64().unwrap()
}

async fn fetched(app: &TestApp, url: &str) -> (u16, String) {
    let request = Request::get(url).body(Body::empty()).unwrap();
    let response = app.router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn files(app: &TestApp) -> usize {
    let folder = app.app.dir.clone().unwrap().join("files");
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_recording_is_fetched_as_a_file_by_a_link_and_deleted() {
    app(|app| async move {
        let run = recorded(&app).await;
        let path = format!("/api/runs/{run}/recording");
        let told = app.get(&path).await;
        assert_eq!(told.ok()["status"], "completed_with_errors");
        let (status, text) = fetched(&app, told.data()["file"]["url"].as_str().unwrap()).await;
        assert_eq!((status, told.data()["file"]["bytes"].as_u64()), (200, Some(text.len() as u64)));
        assert!(!text.contains("secret-of-the-column"));
        let recording = Recording::read(text.as_bytes()).unwrap();
        assert_eq!((recording.cells.len(), recording.calls.len()), (3, 3));
        assert_eq!(recording.header.run.0, run);
        let failed = recording.cells.values().find_map(|cell| cell.error.clone());
        assert_eq!(failed.as_deref(), Some("HTTP_STATUS"));

        assert_eq!(app.delete(&path).await.ok()["run"], run);
        app.get(&path).await.refused(404, "NOT_FOUND", &["has no recording"]);
        app.delete(&path).await.refused(404, "NOT_FOUND", &["has no recording"]);
        app.get("/api/runs/77/recording").await.refused(404, "RUN_NOT_FOUND", &["77"]);
    });
}

#[test]
fn a_run_that_was_not_asked_to_be_recorded_is_not() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("conservative")).await.ok();
        let run = app.post(&format!("{COLUMN}/run"), json!({})).await;
        let run = app.settled(&run).await.ok()["id"].clone();
        let path = format!("/api/runs/{run}/recording");
        app.get(&path).await.refused(404, "NOT_FOUND", &["has no recording"]);
        let formula = json!({
            "name": "north", "type": "boolean", "kind": "formula", "config": {"formula": "lat > 0"}
        });
        app.post("/api/tables/airports/smart-columns", formula).await.ok();
        let column = "/api/tables/airports/columns/north/run";
        let refused = app.post(column, json!({"record": true})).await;
        refused.refused(400, "VALIDATION_ERROR", &["record", "calls nobody"]);
    });
}

#[test]
fn a_recording_stays_as_long_as_its_table_can_be_brought_back() {
    app(|app| async move {
        let run = recorded(&app).await;
        std::fs::write(app.app.dir.clone().unwrap().join("files/recording-99-1.jsonl"), "x")
            .unwrap();
        let swept = |app: &TestApp| {
            let app = app.clone();
            async move {
                let jobs = app.app.clone();
                let work = tokio::spawn(async move { jobs.work_on_jobs().await });
                app.clock.sleep(std::time::Duration::from_secs(301)).await;
                work.abort();
                files(&app)
            }
        };
        assert_eq!(swept(&app).await, 1, "that of a table that nobody knows goes");
        app.delete("/api/tables/airports?confirm=true").await.ok();
        assert_eq!(swept(&app).await, 1);
        app.clock.sleep(std::time::Duration::from_secs(31 * 24 * 3_600)).await;
        let now = app.clock.wall();
        app.engine.store().purge_tables(now).await.unwrap();
        assert_eq!(swept(&app).await, 0);
        let told = app.get(&format!("/api/runs/{run}/recording")).await;
        assert_ne!(told.body["success"], Json::Bool(true));
    });
}
