//! Tables and columns get other names, go, and come back: `/api/tables/{table}`, `.../columns` and `/api/deleted-tables`.

use http::Method;
use serde_json::{Value as Json, json};

use crate::support::{Answer, TestApp, app, request};

async fn delete(app: &TestApp, path: &str) -> Answer {
    app.send(request(Method::DELETE, path, None)).await
}

fn columns(table: &Answer) -> Vec<&str> {
    table.ok()["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect()
}

/// A smart column with a secret, whose templates use `iata` and the title of `lat`.
async fn tagged(app: &TestApp) {
    let body = json!({
        "name": "tagged", "type": "json", "kind": "http", "rate_limit": "gentle",
        "config": {
            "url": "https://vendor.example/{{iata}}?lat={{lat ?? 0}}",
            "method": "PUT",
            "headers": {"authorization": "Bearer {{iata}}-secret"},
            "body": {"code": "{{iata}}", "deep": ["{{ iata }}"]},
        },
    });
    app.post("/api/tables/airports/smart-columns", body).await.ok();
}

#[test]
fn a_renamed_column_takes_its_templates_and_secrets_along() {
    app(|app| async move {
        app.airports().await;
        tagged(&app).await;
        app.patch("/api/tables/airports/columns/iata", json!({"name": "code", "title": "Code"}))
            .await
            .ok();
        let table = app.get("/api/tables/airports").await;
        let smart = &table.ok()["columns"][3]["smart"];
        assert_eq!(smart["config"]["url"], "https://vendor.example/{{code}}?lat={{lat ?? 0}}");
        assert_eq!(smart["config"]["body"], json!({"code": "{{code}}", "deep": ["{{ code }}"]}));
        assert_eq!(smart["version"], 1, "the calls are the same");

        // Its own name, and that of its table: the secret still opens, and the values still come.
        app.patch("/api/tables/airports/columns/tagged", json!({"name": "marked"})).await.ok();
        app.patch("/api/tables/airports", json!({"name": "places"})).await.ok();
        let run = app.post("/api/tables/places/columns/marked/run", json!({})).await;
        assert_eq!(app.settled(&run).await.ok()["status"], "completed");
        assert!(app.vendor.calls().contains(&"https://vendor.example/BOS?lat=42.36".to_owned()));
        app.get("/api/tables/airports").await.refused(404, "TABLE_NOT_FOUND", &[]);
    });
}

#[test]
fn a_table_restored_under_another_name_opens_its_secrets() {
    app(|app| async move {
        app.airports().await;
        tagged(&app).await;
        let gone = delete(&app, "/api/tables/airports?confirm=true").await;
        assert_eq!(gone.ok()["kept_until"], "2026-01-31T00:00:00.000000Z");
        let hint = gone.body["hints"][0].clone();
        let answer = app.get("/api/tables/airports/rows").await;
        answer.refused(410, "TABLE_DELETED", &["airports", "deleted at 2026-01-01"]);
        assert_eq!(answer.body["hints"][0]["path"], hint["path"], "the way back");

        app.airports().await;
        let taken = app.post(hint["path"].as_str().unwrap(), json!({})).await;
        taken.refused(409, "TABLE_ALREADY_EXISTS", &["airports"]);
        let back = app.post(hint["path"].as_str().unwrap(), json!({"name": "first"})).await;
        assert_eq!(back.ok()["name"], "first");
        assert_eq!(*app.get("/api/deleted-tables").await.ok(), json!([]));
        let run = app.post("/api/tables/first/columns/tagged/run", json!({})).await;
        assert_eq!(app.settled(&run).await.ok()["counts"]["completed"], 3);
    });
}

#[test]
fn deleting_wants_a_word_and_says_what_would_go() {
    app(|app| async move {
        app.airports().await;
        let answer = delete(&app, "/api/tables/airports").await;
        answer.refused(400, "CONFIRMATION_REQUIRED", &["3 rows", "30 days"]);
        // In the body as well.
        let body = Some(json!({"confirm": true}).to_string());
        app.send(request(Method::DELETE, "/api/tables/airports", body)).await.ok();
        assert_eq!(*app.get("/api/tables").await.ok(), json!([]));
        let deleted = app.get("/api/deleted-tables").await;
        assert_eq!(deleted.ok()[0]["name"], "airports");
    });
}

#[test]
fn a_column_that_a_smart_one_needs_stays() {
    app(|app| async move {
        app.airports().await;
        tagged(&app).await;
        for used in ["iata", "lat"] {
            let path = format!("/api/tables/airports/columns/{used}?confirm=true");
            delete(&app, &path).await.refused(409, "CONFLICT", &[used, "tagged"]);
        }
        let unconfirmed = delete(&app, "/api/tables/airports/columns/lon").await;
        unconfirmed.refused(400, "CONFIRMATION_REQUIRED", &["lon", "3 rows"]);
        assert_eq!(
            *delete(&app, "/api/tables/airports/columns/lon?confirm=true").await.ok(),
            json!({"deleted": "lon"})
        );
        delete(&app, "/api/tables/airports/columns/tagged?confirm=true").await.ok();
        delete(&app, "/api/tables/airports/columns/iata?confirm=true").await.ok();
        assert_eq!(columns(&app.get("/api/tables/airports").await), ["lat"]);
        let last = delete(&app, "/api/tables/airports/columns/lat?confirm=true").await;
        last.refused(409, "CONFLICT", &["lat"]);
    });
}

#[test]
fn columns_are_added_with_options_that_rows_must_keep_to() {
    app(|app| async move {
        app.airports().await;
        let path = "/api/tables/airports/columns";
        let stage =
            json!({"name": "stage", "type": "select", "config": {"options": ["lead", "customer"]}});
        assert_eq!(app.post(path, stage.clone()).await.ok()["config"], stage["config"]);
        let rows = |value: &str| json!({"rows": [{"stage": value}]});
        app.post("/api/tables/airports/rows", rows("lead")).await.ok();
        let answer = app.post("/api/tables/airports/rows", rows("custmer")).await;
        answer.refused(400, "VALIDATION_ERROR", &["rows[0].stage", "did you mean \"customer\"?"]);

        let stage = format!("{path}/stage");
        let fewer = json!({"config": {"options": ["customer"]}});
        app.patch(&stage, fewer).await.refused(409, "CONFLICT", &["lead"]);
        let more = json!({"config": {"options": ["lead", "customer", "partner"]}});
        app.patch(&stage, more).await.ok();
        app.post("/api/tables/airports/rows", rows("partner")).await.ok();
    });
}

#[test]
fn what_a_column_cannot_be_is_told_by_field() {
    let cases = [
        (
            json!({"name": "a", "type": "text", "config": {"options": ["x"]}}),
            "config.options: belongs to select",
        ),
        (json!({"name": "a", "type": "select"}), "config.options: is required"),
        (
            json!({"name": "a", "type": "select", "config": {"options": []}}),
            "config.options: is not a list of 1 to 1000",
        ),
        (
            json!({"name": "a", "type": "select", "config": {"options": ["x", 1]}}),
            "config.options: item 1 is not text",
        ),
        (
            json!({"name": "a", "type": "multi_select", "config": {"options": ["x", "x"]}}),
            "\"x\" stands there twice",
        ),
        (
            json!({"name": "a", "type": "text", "config": {"url": "x"}}),
            "config.url: there is no such field",
        ),
    ];
    app(|app| async move {
        app.airports().await;
        for (column, words) in cases {
            let answer = app.post("/api/tables/airports/columns", column.clone()).await;
            answer.refused(400, "VALIDATION_ERROR", &[words]);
            let answer = app.post("/api/tables", json!({"name": "t", "columns": [column]})).await;
            answer.refused(400, "VALIDATION_ERROR", &[words]);
        }
        for (path, body, code) in [
            ("lat", json!({"name": "lon"}), "COLUMN_ALREADY_EXISTS"),
            ("lat", json!({"title": "lon"}), "COLUMN_ALREADY_EXISTS"),
            ("lat", json!({"name": "_ht_lat"}), "RESERVED_PREFIX"),
            ("lat", json!({"name": "Lat"}), "INVALID_COLUMN_NAME"),
            ("_ht_id", json!({"name": "id"}), "SYSTEM_COLUMN_IMMUTABLE"),
            ("lat", json!({}), "VALIDATION_ERROR"),
            ("latt", json!({"name": "x"}), "COLUMN_NOT_FOUND"),
        ] {
            let answer = app.patch(&format!("/api/tables/airports/columns/{path}"), body).await;
            assert_eq!(answer.body["error"]["code"], code, "{:#}", answer.body);
        }
    });
}

#[test]
fn static_and_smart_columns_are_made_together_or_not_at_all() {
    let table = |url: &str| {
        json!({"name": "t", "columns": [
            {"name": "near", "type": "json", "kind": "http", "config": {"url": url}, "rate_limit": "gentle"},
            {"name": "city", "type": "text"},
            {"name": "class", "type": "select", "kind": "http",
             "config": {"url": "https://vendor.example/{{near.id}}", "options": ["a", "b"]}},
        ]})
    };
    app(|app| async move {
        let answer = app.post("/api/tables", table("https://vendor.example/{{citty}}")).await;
        let error = answer.refused(400, "VALIDATION_ERROR", &["columns[0].config.url", "citty"]);
        assert_eq!(error["did_you_mean"], "city");
        assert_eq!(*app.get("/api/tables").await.ok(), json!([]), "nothing was made");

        let made = app.post("/api/tables", table("https://vendor.example/{{city}}")).await;
        assert_eq!(columns(&made), ["near", "city", "class"]);
        let class = &made.data()["columns"][2];
        assert_eq!(class["config"]["options"], json!(["a", "b"]));
        assert_eq!(class["smart"]["rate_limit"], "conservative");
        assert_eq!(class["smart"]["config"], json!({"url": "https://vendor.example/{{near.id}}"}));
        app.post("/api/tables/t/rows", json!({"rows": [{"city": "Bern"}]})).await.ok();
        let run = app.post("/api/tables/t/columns/near/run", json!({})).await;
        app.settled(&run).await.ok();
        let row = app.get("/api/tables/t/rows/1").await;
        assert_eq!(row.ok()["near"], json!({"asked": "https://vendor.example/Bern"}));

        let plain = json!([{"name": "a", "type": "text", "rate_limit": "gentle"}]);
        let answer = app.post("/api/tables", json!({"name": "u", "columns": plain})).await;
        answer.refused(400, "VALIDATION_ERROR", &["columns[0].rate_limit", "kind"]);
    });
}

#[test]
fn a_table_changes_its_description_and_its_name_and_nothing_else() {
    app(|app| async move {
        app.airports().await;
        let changed =
            app.patch("/api/tables/airports", json!({"description": "where planes land"})).await;
        assert_eq!(changed.ok()["description"], "where planes land");
        assert_eq!(changed.data()["name"], "airports");
        app.post("/api/tables", json!({"name": "t", "columns": [{"name": "a", "type": "text"}]}))
            .await
            .ok();
        for (body, code) in [
            (json!({"name": "t"}), "TABLE_ALREADY_EXISTS"),
            (json!({"name": "T"}), "INVALID_TABLE_NAME"),
            (json!({"name": "_ht_t"}), "RESERVED_PREFIX"),
            (json!({}), "VALIDATION_ERROR"),
        ] {
            let answer = app.patch("/api/tables/airports", body).await;
            assert_eq!(answer.body["error"]["code"], code, "{:#}", answer.body);
        }
        assert_eq!(app.get("/api/tables/airports").await.ok()["name"], Json::from("airports"));
    });
}
