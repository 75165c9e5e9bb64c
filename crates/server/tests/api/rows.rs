//! `/api/tables/{table}/rows` and `.../rows/count`.

use serde_json::{Value as Json, json};

use crate::support::{TestApp, app};

/// A table `t` of a text, a number, a boolean and a JSON column.
async fn table(app: &TestApp) {
    let columns = json!([
        {"name": "name", "type": "text", "title": "Full Name"},
        {"name": "price", "type": "number"},
        {"name": "live", "type": "boolean"},
        {"name": "data", "type": "json"},
    ]);
    app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
}

async fn insert(app: &TestApp, rows: Json) -> crate::support::Answer {
    app.post("/api/tables/t/rows", json!({"rows": rows})).await
}

#[test]
fn rows_come_back_as_they_were_given() {
    app(|app| async move {
        table(&app).await;
        let rows = json!([
            {},
            {"price": 9_007_199_254_740_993_i64},
            {"name": "Ω \"quoted\"\n", "price": 3.5, "live": true, "data": {"b": [1, null], "a": 2}},
            {"Full Name": "by its title", "data": "text is JSON too"},
        ]);
        let inserted = insert(&app, rows).await;
        assert_eq!(*inserted.ok(), json!({"inserted": 4, "first_id": 1, "last_id": 4}));
        assert_eq!(inserted.meta()["rows_affected"], 4);

        let wanted = json!([
            {"_ht_id": 1, "name": null, "price": null, "live": null, "data": null},
            {"_ht_id": 2, "name": null, "price": 9_007_199_254_740_993_i64, "live": null, "data": null},
            {"_ht_id": 3, "name": "Ω \"quoted\"\n", "price": 3.5, "live": true, "data": {"b": [1, null], "a": 2}},
            {"_ht_id": 4, "name": "by its title", "price": null, "live": null, "data": "text is JSON too"},
        ]);
        let page = app.get("/api/tables/t/rows?columns=name,price,live,data").await;
        assert_eq!(*page.ok(), wanted);
        assert_eq!(page.meta()["next_cursor"], Json::Null);
        assert_eq!(*app.get("/api/tables/t/rows/count").await.ok(), json!({"count": 4}));

        let some = app.get("/api/tables/t/rows?columns=price,name").await;
        let third = "{\"_ht_id\":3,\"price\":3.5,\"name\":\"Ω \\\"quoted\\\"\\n\"}";
        assert_eq!(some.ok()[2].to_string(), third);
    });
}

#[test]
fn no_rows_are_no_mistake() {
    app(|app| async move {
        table(&app).await;
        let inserted = insert(&app, json!([])).await;
        assert_eq!(*inserted.ok(), json!({"inserted": 0, "first_id": null, "last_id": null}));
    });
}

#[test]
fn a_wrong_value_is_named_by_row_and_column_and_nothing_is_inserted() {
    app(|app| async move {
        table(&app).await;
        let rows = json!([{"name": "a"}, {"price": "three"}, {"live": 1, "price": [1]}]);
        let answer = insert(&app, rows).await;
        let error =
            answer.refused(400, "VALIDATION_ERROR", &["rows[1].price: ", "a number", "not text"]);
        let fields: Vec<_> =
            error["details"].as_array().unwrap().iter().map(|d| d["field"].clone()).collect();
        assert_eq!(fields, ["rows[1].price", "rows[2].live", "rows[2].price"]);
        assert!(error["attempted"].as_str().unwrap().contains("insert_rows (table \"t\")"));
        assert_eq!(app.get("/api/tables/t/rows/count").await.ok()["count"], 0);
    });
}

#[test]
fn many_wrong_values_are_told_up_to_a_limit() {
    app(|app| async move {
        table(&app).await;
        let rows: Vec<_> = (0..1000).map(|_| json!({"price": "x"})).collect();
        let answer = insert(&app, json!(rows)).await;
        let error = answer.refused(400, "VALIDATION_ERROR", &["rows[9].price", "and more"]);
        assert_eq!(error["details"].as_array().unwrap().len(), 10);
    });
}

#[test]
fn wrong_names_are_named_with_what_was_meant() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let cases = [
            (json!({"lt": 1}), 404, "COLUMN_NOT_FOUND", vec!["rows[1].lt", "no column"]),
            (json!({"zzzzzz": 1}), 404, "COLUMN_NOT_FOUND", vec!["rows[1].zzzzzz", "airports"]),
            (json!({"_ht_id": 1}), 400, "SYSTEM_COLUMN_IMMUTABLE", vec!["rows[1]._ht_id"]),
        ];
        for (row, status, code, words) in cases {
            let body = json!({"rows": [{"iata": "X"}, row]});
            app.post("/api/tables/airports/rows", body).await.refused(status, code, &words);
        }
        assert_eq!(app.get("/api/tables/airports/rows/count").await.ok()["count"], 3);
    });
}

#[test]
fn a_value_for_a_smart_column_comes_with_its_row_and_is_locked() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let path = "/api/tables/airports/rows";
        let rows =
            json!([{"iata": "X", "near": {"mine": 1}}, {"iata": "Y"}, {"iata": "Z", "near": null}]);
        let answer = app.post(path, json!({"rows": rows})).await;
        assert_eq!(answer.ok()["inserted"], 3);
        assert_eq!(answer.body["meta"]["locked"], json!(["near"]));
        let rows = json!([{"iata": "Y", "near": {"mine": 2}}, {"iata": "W", "near": {"mine": 3}}]);
        let upsert = json!({"rows": rows, "upsert_by": ["iata"]});
        let answer = app.post(path, upsert).await;
        assert_eq!((&answer.ok()["inserted"], &answer.ok()["updated"]), (&json!(1), &json!(1)));
        assert_eq!(answer.body["meta"]["locked"], json!(["near"]));
        let empty = json!({"rows": [{"iata": "V", "near": null}]});
        assert_eq!(app.post(path, empty).await.body["meta"].get("locked"), None);

        // A run takes the three that were there, and Z and V, which have no place; the others stay as they came.
        let run = app.post("/api/tables/airports/columns/near/run", json!({"scope": "all"})).await;
        let counts = app.settled(&run).await.ok()["counts"].clone();
        assert_eq!((&counts["completed"], &counts["failed"]), (&json!(3), &json!(2)));
        let rows = app.get(path).await;
        let rows = rows.ok().as_array().unwrap();
        for (iata, mine) in [("X", 1), ("Y", 2), ("W", 3)] {
            let row = rows.iter().find(|row| row["iata"] == iata).unwrap();
            assert_eq!(row["near"], json!({"mine": mine}), "{iata}");
            assert_eq!(row["_ht_cells"]["near"]["state"], "completed", "{iata}");
        }
        // Of the wrong type it is refused, as any other value is.
        let score = json!({"name": "score", "type": "number", "kind": "formula", "config": {"formula": "1"}});
        app.post("/api/tables/airports/smart-columns", score).await.ok();
        let wrong = json!({"rows": [{"iata": "U", "score": "high"}]});
        app.post(path, wrong).await.refused(400, "VALIDATION_ERROR", &["rows[0].score"]);
        let unknown = json!({"rows": [], "upsert_by": ["score"]});
        app.post(path, unknown).await.refused(400, "VALIDATION_ERROR", &["smart column"]);
    });
}

#[test]
fn one_column_twice_in_a_row_is_refused() {
    app(|app| async move {
        table(&app).await;
        let answer = insert(&app, json!([{"name": "a", "Full Name": "b"}])).await;
        answer.refused(400, "VALIDATION_ERROR", &["rows[0].Full Name", "second time"]);
    });
}

#[test]
fn a_batch_over_the_limit_is_refused_whole_with_the_number() {
    app(|app| async move {
        table(&app).await;
        let rows: Vec<_> = (0..10_001).map(|n| json!({"price": n})).collect();
        let answer = insert(&app, json!(rows)).await;
        let error = answer.refused(400, "BATCH_TOO_LARGE", &["10001", "10000"]);
        assert!(error["fix"].as_str().unwrap().contains("2 calls"));
        assert_eq!(app.get("/api/tables/t/rows/count").await.ok()["count"], 0);

        insert(&app, json!(rows[..10_000])).await.ok();
        assert_eq!(app.get("/api/tables/t/rows/count").await.ok()["count"], 10_000);
    });
}

#[test]
fn rows_that_would_blow_up_in_memory_are_refused() {
    app(|app| async move {
        let columns: Vec<_> =
            (0..1_000).map(|n| json!({"name": format!("c{n}"), "type": "number"})).collect();
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
        let wide: serde_json::Map<_, _> = (0..1_000).map(|n| (format!("c{n}"), json!(1))).collect();
        let rows: Vec<_> =
            std::iter::once(Json::Object(wide)).chain((1..10_000).map(|_| json!({}))).collect();
        insert(&app, json!(rows)).await.refused(
            400,
            "BATCH_TOO_LARGE",
            &["10000 rows", "1000 columns"],
        );
    });
}

#[test]
fn rows_must_be_a_list_of_objects() {
    app(|app| async move {
        table(&app).await;
        let cases = [
            (json!({"rows": {"name": "a"}}), "rows: an object is not a list of objects"),
            (json!({"rows": [{"name": "a"}, ["b"]]}), "rows[1]: a list of 1 is not an object"),
            (json!({}), "rows: is required"),
            (json!({"row": []}), "did you mean \"rows\"?"),
            (json!({"rows": [], "table": "other"}), "table: belongs into the path"),
        ];
        for (body, words) in cases {
            app.post("/api/tables/t/rows", body).await.refused(400, "VALIDATION_ERROR", &[words]);
        }
    });
}

#[test]
fn pages_follow_one_another_without_gap_or_overlap() {
    app(|app| async move {
        table(&app).await;
        let rows: Vec<_> = (1..=95).map(|n| json!({"price": n})).collect();
        insert(&app, json!(rows)).await.ok();
        for (limit, pages) in [(10, 10), (19, 5), (94, 2), (95, 1), (96, 1), (10_000, 1)] {
            let mut path = format!("/api/tables/t/rows?limit={limit}");
            let (mut seen, mut count) = (Vec::new(), 0);
            loop {
                let page = app.get(&path).await;
                seen.extend(
                    page.ok().as_array().unwrap().iter().map(|row| row["price"].as_i64().unwrap()),
                );
                count += 1;
                let Some(hint) = page.body["hints"].get(0) else { break };
                path = hint["path"].as_str().unwrap().to_owned();
            }
            assert_eq!(seen, (1..=95).collect::<Vec<_>>(), "limit {limit}");
            assert_eq!(count, pages, "limit {limit}");
        }
        assert_eq!(
            app.get("/api/tables/t/rows").await.ok().as_array().unwrap().len(),
            25,
            "the default"
        );
    });
}

#[test]
fn a_page_of_large_values_ends_early_and_goes_on() {
    app(|app| async move {
        table(&app).await;
        let value = "x".repeat(1024 * 1024);
        for _ in 0..2 {
            let rows: Vec<_> = (0..9).map(|_| json!({"name": value})).collect();
            insert(&app, json!(rows)).await.ok();
        }
        let first = app.get("/api/tables/t/rows?limit=40").await;
        let rows = first.ok().as_array().unwrap().len();
        assert_eq!(rows, 15, "sixteen and their names are over 16 MiB");
        let next = app.get(first.body["hints"][0]["path"].as_str().unwrap()).await;
        assert_eq!(next.ok()[0]["_ht_id"], 16);
    });
}

#[test]
fn a_query_that_makes_no_sense_is_refused_by_field() {
    app(|app| async move {
        app.airports().await;
        table(&app).await;
        insert(&app, json!([{}, {}])).await.ok();
        let foreign = app.get("/api/tables/t/rows?limit=1").await.meta()["next_cursor"].clone();
        let foreign = format!("cursor={}", foreign.as_str().unwrap());
        let cases = [
            ("limit=10001", "limit: 10001"),
            ("limit=ten", "limit: \"ten\""),
            ("limit=-1", "limit: \"-1\""),
            ("limit=1&limit=2", "limit: is given twice"),
            ("cursor=abc", "cursor: is not a cursor"),
            (foreign.as_str(), "cursor: is not a cursor"),
            ("limti=5", "did you mean \"limit\"?"),
            ("columns=iata,iata", "columns: \"iata\" is named twice"),
            ("table=other", "table: does not belong into the query"),
        ];
        for (query, words) in cases {
            let answer = app.get(&format!("/api/tables/airports/rows?{query}")).await;
            answer.refused(400, "VALIDATION_ERROR", &[words]);
        }
        let answer = app.get("/api/tables/airports/rows?columns=itaa").await;
        assert_eq!(answer.refused(404, "COLUMN_NOT_FOUND", &["itaa"])["did_you_mean"], "iata");
    });
}
