//! The chapter of the system, and what a server tells whoever watches it: readiness and metrics.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Request, StatusCode};
use paceline_model::limits::Settings;
use paceline_server::ServerConfig;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::sick_store::{Sick, with_store};
use crate::support::{READ_KEY, Says, TestApp, app, app_with};

#[test]
fn limits_are_listed_with_what_holds_on_this_server() {
    let limits = Settings { column_concurrent_max: 50, ..Settings::default() };
    app_with(ServerConfig { limits, ..ServerConfig::default() }, |app| async move {
        let answer = app.get("/api/limits").await;
        let line = |name: &str| {
            let lines = answer.ok().as_array().unwrap();
            lines.iter().find(|line| line["name"] == name).unwrap().clone()
        };
        assert_eq!(line("column_concurrent_max")["value"], 50);
        assert_eq!(
            line("insert_rows_max"),
            json!({
                "name": "insert_rows_max", "value": 10_000, "unit": "rows", "source": "seed B",
                "about": "Rows of one insert call, of one call to an incoming webhook, and of one transaction of an import or a pull.", "settable": true,
            })
        );
        assert_eq!(line("name_bytes_max")["settable"], false);
        let seed = [
            ("mcp_page_rows_max", 100),
            ("export_inline_rows_max", 50_000),
            ("proxy_timeout_max", 60),
            ("proxy_reply_bytes_max", 102_400),
            ("function_timeout", 30),
            ("websockets_per_table_and_client", 1),
        ];
        for (name, value) in seed {
            assert_eq!(line(name)["value"], value, "{name}");
        }
    });
}

#[test]
fn stats_count_what_is_there() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("aggressive")).await.ok();
        app.vendor.says([("140.39", Says::Status(404))]);
        let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
        assert_eq!(app.get("/api/stats").await.ok()["runs_at_work"], 1);
        app.settled(&run).await.ok();
        let answer = app.get("/api/stats").await;
        let stats = answer.ok();
        assert_eq!((&stats["tables"], &stats["rows"]), (&json!(1), &json!(3)));
        assert_eq!((&stats["columns"], &stats["smart_columns"]), (&json!(4), &json!(1)));
        assert_eq!(stats["cells"], json!({"completed": 2, "failed": 1}));
        assert_eq!(stats["runs_at_work"], 0);
        assert!(stats["disk_bytes"].as_u64().unwrap() > 10_000, "{stats:#}");
    });
}

/// Three rows, two of which fail, in two ways.
async fn with_failures(app: &TestApp) {
    app.airports().await;
    app.near(json!("aggressive")).await.ok();
    app.vendor.says([("140.39", Says::Status(404)), ("8.55", Says::Status(400))]);
    let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
    app.settled(&run).await.ok();
}

#[test]
fn failed_cells_are_listed_page_by_page_with_counts_by_code() {
    app(|app| async move {
        with_failures(&app).await;
        let first = app.get("/api/tables/airports/errors?limit=1").await;
        let data = first.ok();
        assert_eq!((&data["failed"], &data["all_counted"]), (&json!(2), &json!(true)));
        let counted: u64 = data["codes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["count"].as_u64().unwrap())
            .sum();
        assert_eq!(counted, 2, "{data:#}");
        assert_eq!(
            (&data["errors"][0]["row"], &data["errors"][0]["column"]),
            (&json!(2), &json!("near"))
        );
        assert!(data["errors"][0]["message"].as_str().unwrap().contains("400"), "{data:#}");

        let cursor = first.body["meta"]["next_cursor"].as_str().unwrap();
        let second = app.get(&format!("/api/tables/airports/errors?limit=1&cursor={cursor}")).await;
        assert_eq!(second.ok()["errors"][0]["row"], 3);
        assert_eq!(second.body["meta"]["next_cursor"], Json::Null);
        assert!(second.ok().get("codes").is_none(), "counted once, on the first page");

        let of_column = app.get("/api/tables/airports/errors?column=near").await;
        assert_eq!(of_column.ok()["errors"].as_array().unwrap().len(), 2);
        app.get("/api/tables/airports/errors?column=iata").await.refused(
            400,
            "VALIDATION_ERROR",
            &[],
        );
        for cursor in ["x", "ZXJyb3JzLjEuMS54", "ZXJyb3JzLjk5LjEuMQ"] {
            let path = format!("/api/tables/airports/errors?cursor={cursor}");
            app.get(&path).await.refused(400, "VALIDATION_ERROR", &[]);
        }
    });
}

#[test]
fn a_table_without_smart_columns_has_no_errors() {
    app(|app| async move {
        app.airports().await;
        let answer = app.get("/api/tables/airports/errors").await;
        let none = json!({"errors": [], "failed": 0, "codes": [], "all_counted": true});
        assert_eq!(*answer.ok(), none);
    });
}

#[test]
fn budgets_tell_what_holds_a_column_back() {
    app(|app| async move {
        app.airports().await;
        let rate = json!({
            "requests_per_second": 1, "max_concurrent": 1, "retry_strategy": "fixed",
            "max_retries": 0, "retry_delay_ms": 100, "cool_down_on_429": true,
        });
        app.near(rate.clone()).await.ok();
        let before = app.get("/api/budgets").await;
        assert_eq!(before.ok()[0]["budgets"], json!([]), "nothing was called yet");
        assert_eq!(before.ok()[0]["rate_limit"], rate);

        let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
        app.clock.sleep(Duration::from_millis(300)).await;
        let answer = app.get("/api/budgets?table=airports").await;
        let budget = &answer.ok()[0]["budgets"][0];
        assert_eq!(
            (&budget["purpose"], &budget["breaker"]),
            (&json!("calls"), &json!("admitting"))
        );
        assert_eq!(budget["limits"][0]["limit"], "1/s");
        assert_eq!(budget["limits"][0]["used"], 1);
        assert!(budget["waiting_ms"].as_f64().unwrap() > 0.0, "{budget:#}");
        assert_eq!(budget["held_by"], "1/s");
        app.settled(&run).await.ok();
        app.get("/api/budgets?table=airport").await.refused(404, "TABLE_NOT_FOUND", &[]);
    });
}

/// The status and text of a path that is outside the catalogue.
async fn text(app: &TestApp, path: &str, key: Option<&str>) -> (StatusCode, String) {
    let mut request = Request::get(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let response = app.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[test]
fn metrics_count_requests_rows_and_calls_for_holders_of_a_key() {
    app(|app| async move {
        assert_eq!(text(&app, "/metrics", None).await.0, StatusCode::UNAUTHORIZED);
        with_failures(&app).await;
        app.get("/api/tables/nowhere").await.refused(404, "TABLE_NOT_FOUND", &[]);
        text(&app, "/some/secret/path", Some(READ_KEY)).await;
        let (status, told) = text(&app, "/metrics", Some(READ_KEY)).await;
        assert_eq!(status, StatusCode::OK);
        let lines = [
            r#"paceline_requests_total{operation="create_table",status="200"} 1"#,
            r#"paceline_requests_total{operation="get_table_schema",status="404"} 1"#,
            r#"paceline_requests_total{operation="none",status="404"} 1"#,
            r#"paceline_request_duration_seconds_count{operation="insert_rows"} 1"#,
            r#"paceline_rows_affected_total{operation="insert_rows"} 3"#,
            r#"paceline_calls_total{kind="http",class="success"} 1"#,
            r#"paceline_calls_total{kind="http",class="row_caused"} 2"#,
            r#"paceline_runs{status="completed_with_errors"} 1"#,
            "paceline_throttled_total 0",
            "paceline_calls_in_flight 0",
            "paceline_websockets 0",
            "# EOF",
        ];
        for line in lines {
            assert!(told.lines().any(|told| told == line), "{line} is not in\n{told}");
        }
        assert!(!told.contains("airports") && !told.contains("secret"), "names of ours only");
    });
}

#[test]
fn a_server_is_ready_while_its_store_answers() {
    app(|app| async move {
        let (status, body) = text(&app, "/readyz", None).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(body.contains("\"status\":\"ready\""), "{body}");
    });
}

#[test]
fn a_server_whose_store_hangs_or_fails_is_not_ready_and_says_so_within_a_second() {
    for (sick, code) in
        [(Sick::Hanging, "NOT_READY"), (Sick::Broken, "NOT_READY"), (Sick::Busy, "DATABASE_BUSY")]
    {
        with_store(sick, async |app| {
            let began = app.clock.now();
            let (status, body) = text(&app, "/readyz", None).await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
            assert!(body.contains(code) && !body.contains("SELECT"), "{body}");
            assert!(app.clock.now() - began <= Duration::from_secs(1));
            assert_eq!(
                text(&app, "/healthz", None).await.0,
                StatusCode::OK,
                "it lives all the same"
            );
        });
    }
}
