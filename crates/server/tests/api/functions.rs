//! Functions are kept with their versions.

use serde_json::json;

use crate::support::app;

#[test]
fn a_function_is_kept_with_its_versions() {
    app(|app| async move {
        let body = json!({"name": "clean", "source": "v => v.trim()", "description": "trims"});
        let made = app.post("/api/functions", body.clone()).await;
        assert_eq!(
            (&made.ok()["version"], &made.ok()["source"]),
            (&json!(1), &json!("v => v.trim()"))
        );
        app.post("/api/functions", body).await.refused(409, "CONFLICT", &["clean"]);
        let bad = json!({"name": "No", "source": ""});
        app.post("/api/functions", bad).await.refused(400, "VALIDATION_ERROR", &["name"]);

        let id = made.data()["id"].clone();
        let changed = json!({"source": "v => v.trim().toLowerCase()"});
        let changed = app.patch(&format!("/api/functions/{id}"), changed).await;
        assert_eq!(
            (&changed.ok()["version"], &changed.ok()["description"]),
            (&json!(2), &json!("trims"))
        );
        let first = app.get("/api/functions/clean?version=1").await;
        assert_eq!(
            (&first.ok()["version"], &first.ok()["source"]),
            (&json!(1), &json!("v => v.trim()"))
        );
        let now = app.get("/api/functions/clean").await;
        assert_eq!(now.ok(), changed.ok());
        app.get("/api/functions/clean?version=3").await.refused(
            400,
            "VALIDATION_ERROR",
            &["version"],
        );
        let listed = app.get("/api/functions").await;
        assert_eq!(
            (&listed.ok()[0]["name"], &listed.ok()[0]["bytes"]),
            (&json!("clean"), &json!(27))
        );

        let error = app.get("/api/functions/claen").await;
        assert_eq!(error.refused(404, "NOT_FOUND", &[])["did_you_mean"], "clean");
        app.delete("/api/functions/clean").await.refused(400, "CONFIRMATION_REQUIRED", &["clean"]);
        app.delete("/api/functions/clean?confirm=true").await.ok();
        app.get("/api/functions/clean").await.refused(404, "NOT_FOUND", &[]);
    });
}
