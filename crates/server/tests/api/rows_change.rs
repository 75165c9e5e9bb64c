//! Rows in with misspelt names, rows updated where they are there already, rows changed and deleted.

use http::Method;
use serde_json::{Value as Json, json};

use crate::support::{Answer, TestApp, app, request};

const ROWS: &str = "/api/tables/leads/rows";

async fn leads(app: &TestApp) {
    let columns = json!([
        {"name": "email", "type": "email", "title": "E-mail"},
        {"name": "company", "type": "text"},
        {"name": "price", "type": "number"},
        {"name": "prize", "type": "number"},
    ]);
    app.post("/api/tables", json!({"name": "leads", "columns": columns})).await.ok();
}

async fn insert(app: &TestApp, body: Json) -> Answer {
    app.post(ROWS, body).await
}

async fn delete(app: &TestApp, query: &str) -> Answer {
    app.send(request(Method::DELETE, &format!("{ROWS}?{query}"), None)).await
}

async fn companies(app: &TestApp) -> Vec<Json> {
    let page = app.get(&format!("{ROWS}?columns=company")).await;
    page.ok().as_array().unwrap().iter().map(|row| row["company"].clone()).collect()
}

#[test]
fn misspelt_names_are_corrected_and_told() {
    app(|app| async move {
        leads(&app).await;
        let rows = json!([{"emial": "a@example.com", "Compnay": "A"}, {"email": "b@example.com", "compayn": "B"}]);
        let inserted = insert(&app, json!({"rows": rows})).await;
        assert_eq!(inserted.ok()["inserted"], 2);
        let corrected = json!({"emial": "email", "Compnay": "company", "compayn": "company"});
        assert_eq!(inserted.meta()["corrected"], corrected);
        assert_eq!(inserted.meta()["ignored"], Json::Null);
        assert_eq!(companies(&app).await, ["A", "B"]);
        let twice = insert(&app, json!({"rows": [{"email": "a@b", "emial": "c@d"}]})).await;
        twice.refused(400, "VALIDATION_ERROR", &["rows[0].emial", "second time"]);
    });
}

#[test]
fn unknown_names_are_refused_or_ignored_by_word() {
    app(|app| async move {
        leads(&app).await;
        let rows = json!([{"company": "A", "favourite_colour": "red"}, {"company": "B", "x": 1}]);
        let answer = insert(&app, json!({"rows": rows})).await;
        let error = answer.refused(404, "COLUMN_NOT_FOUND", &["rows[0].favourite_colour"]);
        assert!(error["fix"].as_str().unwrap().contains("ignore_unknown: true"));
        assert!(companies(&app).await.is_empty());

        let inserted = insert(&app, json!({"rows": rows, "ignore_unknown": true})).await;
        assert_eq!(inserted.ok()["inserted"], 2);
        assert_eq!(inserted.meta()["ignored"], json!(["favourite_colour", "x"]));
        assert_eq!(companies(&app).await, ["A", "B"]);
    });
}

#[test]
fn a_row_that_is_there_is_updated_by_its_key() {
    app(|app| async move {
        leads(&app).await;
        let rows =
            json!([{"email": "a@b", "company": "A", "price": 1}, {"email": "c@d", "company": "C"}]);
        insert(&app, json!({"rows": rows})).await.ok();
        let rows = json!([{"email": "c@d", "company": "C2"}, {"email": "e@f", "company": "E"}]);
        let upserted = insert(&app, json!({"rows": rows, "upsert_by": ["email"]})).await;
        assert_eq!(
            *upserted.ok(),
            json!({"inserted": 1, "updated": 1, "first_id": 3, "last_id": 3})
        );
        assert_eq!(upserted.meta()["rows_affected"], 2);
        assert_eq!(companies(&app).await, ["A", "C2", "E"]);

        for (key, words) in [
            (json!(["company", "company"]), "named twice"),
            (json!(["price"]), "given by none of the rows"),
            (json!([]), "upsert_by"),
        ] {
            let answer = insert(&app, json!({"rows": [{"company": "A"}], "upsert_by": key})).await;
            answer.refused(400, "VALIDATION_ERROR", &[words]);
        }
        let answer = insert(&app, json!({"rows": [], "upsert_by": ["emial"]})).await;
        assert_eq!(answer.refused(404, "COLUMN_NOT_FOUND", &[])["did_you_mean"], "email");
    });
}

#[test]
fn rows_are_changed_by_filter_or_by_id() {
    app(|app| async move {
        leads(&app).await;
        let rows: Vec<_> =
            (1..=4).map(|n| json!({"company": format!("C{n}"), "price": n})).collect();
        insert(&app, json!({"rows": rows})).await.ok();
        let body = json!({"where": {"price": {"gt": 2}}, "values": {"comapny": "big", "prize": 1}});
        let updated = app.patch(ROWS, body).await;
        assert_eq!(*updated.ok(), json!({"updated": 2}));
        assert_eq!(updated.meta()["corrected"], json!({"comapny": "company"}));
        assert_eq!(companies(&app).await, ["C1", "C2", "big", "big"]);
        app.patch(ROWS, json!({"ids": [1, 99], "values": {"company": null}})).await.ok();
        assert_eq!(companies(&app).await, [json!(null), json!("C2"), json!("big"), json!("big")]);

        let every = json!({"where": {}, "values": {"price": 0}});
        app.patch(ROWS, every).await.refused(400, "CONFIRMATION_REQUIRED", &["all 4 rows"]);
        let every = json!({"where": {}, "values": {"price": 0}, "confirm": true});
        assert_eq!(app.patch(ROWS, every).await.ok()["updated"], 4);

        for (body, code, words) in [
            (json!({"values": {"price": 1}}), "VALIDATION_ERROR", "where: is required"),
            (json!({"where": {}, "ids": [1], "values": {"price": 1}}), "VALIDATION_ERROR", "ids: "),
            (json!({"ids": [], "values": {"price": 1}}), "VALIDATION_ERROR", "1 to 10000"),
            (json!({"ids": [0], "values": {"price": 1}}), "VALIDATION_ERROR", "item 0"),
            (json!({"ids": [1], "values": {}}), "VALIDATION_ERROR", "no column"),
            (json!({"ids": [1], "values": {"price": "1"}}), "VALIDATION_ERROR", "values.price: "),
            (
                json!({"ids": [1], "values": {"_ht_id": 1}}),
                "SYSTEM_COLUMN_IMMUTABLE",
                "values._ht_id",
            ),
            (
                json!({"where": {"pricee": 1}, "values": {"price": 1}}),
                "INVALID_FILTER",
                "did you mean",
            ),
        ] {
            app.patch(ROWS, body).await.refused(400, code, &[words]);
        }
    });
}

#[test]
fn rows_are_deleted_only_with_a_word() {
    app(|app| async move {
        leads(&app).await;
        let rows: Vec<_> =
            (1..=5).map(|n| json!({"company": format!("C{n}"), "price": n})).collect();
        insert(&app, json!({"rows": rows})).await.ok();
        let filter = format!("where={}", percent(&json!({"price": {"gte": 4}})));
        let answer = delete(&app, &filter).await;
        answer.refused(400, "CONFIRMATION_REQUIRED", &["2 of the 5 rows"]);
        assert_eq!(companies(&app).await.len(), 5);
        let again = answer.body["hints"][0]["path"].as_str().unwrap();
        assert_eq!(
            *app.send(request(Method::DELETE, again, None)).await.ok(),
            json!({"deleted": 2})
        );
        assert_eq!(delete(&app, "ids=1,2,77&confirm=true").await.ok()["deleted"], 2);
        assert_eq!(companies(&app).await, ["C3"]);
        let body = Some(json!({"where": {}, "confirm": true}).to_string());
        assert_eq!(app.send(request(Method::DELETE, ROWS, body)).await.ok()["deleted"], 1);
        delete(&app, "confirm=true").await.refused(
            400,
            "VALIDATION_ERROR",
            &["where: is required"],
        );
    });
}

fn percent(json: &Json) -> String {
    url::form_urlencoded::byte_serialize(json.to_string().as_bytes()).collect()
}

#[test]
fn one_row_is_read_by_its_id() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let row = app.get("/api/tables/airports/rows/2").await;
        let wanted = json!({
            "_ht_id": 2, "iata": "ZRH", "lat": 47.46, "lon": 8.55, "near": null,
            "_ht_created_at": "2026-01-01T00:00:00.000000Z", "_ht_updated_at": "2026-01-01T00:00:00.000000Z",
            "_ht_status": "idle", "_ht_error": null, "_ht_cells": {"near": {"state": "idle"}},
        });
        assert_eq!(*row.ok(), wanted);
        let some = app.get("/api/tables/airports/rows/2?columns=iata,_ht_status").await;
        assert_eq!(*some.ok(), json!({"_ht_id": 2, "iata": "ZRH", "_ht_status": "idle"}));
        let answer = app.get("/api/tables/airports/rows/4").await;
        answer.refused(404, "ROW_NOT_FOUND", &["no row 4"]);
    });
}
