//! Rows out: filters, orders, cursors, and streams of all rows.

use std::collections::BTreeMap;

use axum::body::Body;
use futures_util::StreamExt;
use http::{Method, Response};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::support::{Answer, Says, TestApp, app, request};

const ROWS: &str = "/api/tables/t/rows";

/// 60 rows: `n` from 1 to 60, `tag` of three kinds and sometimes none, `data` with a path in it.
async fn table(app: &TestApp) {
    let columns = json!([
        {"name": "n", "type": "number"},
        {"name": "tag", "type": "text"},
        {"name": "data", "type": "json"},
    ]);
    app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
    let tag = |n: i32| ["red", "green", "blue"].get(n as usize % 4).copied();
    let rows: Vec<Json> =
        (1..=60).map(|n| json!({"n": n, "tag": tag(n), "data": {"deep": [n * 10]}})).collect();
    app.post(ROWS, json!({"rows": rows})).await.ok();
}

fn query(arguments: &[(&str, Json)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in arguments {
        query.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    format!("{ROWS}?{}", query.finish())
}

fn numbers(answer: &Answer) -> Vec<i64> {
    answer.ok().as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect()
}

#[test]
fn filters_find_rows_over_get_and_over_post() {
    let cases = [
        (json!({"n": {"gte": 58}}), vec![58, 59, 60]),
        (json!({"n": 7}), vec![7]),
        (json!({"tag": {"contains": "EE"}, "n": {"lt": 8}}), vec![1, 5]),
        (json!({"or": [{"n": 1}, {"n": {"between": [3, 4]}}]}), vec![1, 3, 4]),
        (json!({"tag": {"is_null": true}, "n": {"lte": 8}}), vec![3, 7]),
        (json!({"data.deep[0]": {"in": [50, 70]}}), vec![5, 7]),
        (json!({"_ht_id": {"in": [2, 3]}}), vec![2, 3]),
    ];
    app(|app| async move {
        table(&app).await;
        for (filter, wanted) in cases {
            let found = app.get(&query(&[("where", filter.clone())])).await;
            assert_eq!(numbers(&found), wanted, "{filter}");
            let found = app.post(&format!("{ROWS}/query"), json!({"where": filter})).await;
            assert_eq!(numbers(&found), wanted, "{filter}");
            let counted = query(&[("where", filter.clone())]).replace("/rows?", "/rows/count?");
            assert_eq!(app.get(&counted).await.ok()["count"], wanted.len(), "{filter}");
        }
    });
}

#[test]
fn pages_in_any_order_follow_one_another_without_gap_or_overlap() {
    app(|app| async move {
        table(&app).await;
        let mut everything: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for order in [
            json!({"tag": "desc", "n": "asc"}),
            json!({"n": "desc"}),
            json!({"_ht_updated_at": "asc"}),
        ] {
            for limit in [1, 7, 59, 60, 61] {
                let mut path = query(&[
                    ("order_by", order.clone()),
                    ("limit", limit.into()),
                    ("columns", "n".into()),
                ]);
                let mut seen = Vec::new();
                loop {
                    let page = app.get(&path).await;
                    seen.extend(numbers(&page));
                    let Some(hint) = page.body["hints"].get(0) else { break };
                    path = hint["path"].as_str().unwrap().to_owned();
                }
                assert_eq!(seen.len(), 60, "{order} {limit}");
                let known = everything.entry(order.to_string()).or_insert_with(|| seen.clone());
                assert_eq!(*known, seen, "{order} {limit}");
            }
        }
        let by_number = &everything[&json!({"n": "desc"}).to_string()];
        assert!(by_number.is_sorted_by(|a, b| a > b));
        let by_tag = &everything[&json!({"tag": "desc", "n": "asc"}).to_string()];
        assert_eq!(by_tag[..2], [4, 8], "red first");
        assert_eq!(by_tag[59], 59, "and without a tag last");
    });
}

#[test]
fn a_cursor_goes_on_though_rows_come_and_go() {
    app(|app| async move {
        table(&app).await;
        let first =
            app.get(&query(&[("order_by", json!({"n": "asc"})), ("limit", 5.into())])).await;
        assert_eq!(numbers(&first), [1, 2, 3, 4, 5]);
        // The row that the page ended with is gone, and one before it is new.
        app.send(request(Method::DELETE, &format!("{ROWS}?ids=5&confirm=true"), None)).await.ok();
        app.post(ROWS, json!({"rows": [{"n": 0}]})).await.ok();
        let next = app.get(first.body["hints"][0]["path"].as_str().unwrap()).await;
        assert_eq!(numbers(&next), [6, 7, 8, 9, 10]);
    });
}

#[test]
fn a_cursor_of_another_query_is_refused() {
    app(|app| async move {
        table(&app).await;
        let asked = [("where", json!({"n": {"gt": 1}})), ("order_by", json!({"n": "desc"}))];
        let first = app.get(&query(&[&asked[..], &[("limit", 2.into())]].concat())).await;
        let cursor = ("cursor", first.meta()["next_cursor"].clone());
        app.get(&query(&[&asked[..], std::slice::from_ref(&cursor)].concat())).await.ok();
        for other in [
            vec![],
            vec![asked[0].clone()],
            vec![asked[1].clone()],
            vec![("where", json!({"n": {"gt": 2}})), asked[1].clone()],
        ] {
            let answer =
                app.get(&query(&[&other[..], std::slice::from_ref(&cursor)].concat())).await;
            answer.refused(400, "VALIDATION_ERROR", &["cursor: ", "this where and this order_by"]);
            app.get(answer.body["hints"][0]["path"].as_str().unwrap()).await.ok();
        }
        let both = app.get(&query(&[&asked[..], &[cursor, ("offset", 1.into())]].concat())).await;
        both.refused(400, "VALIDATION_ERROR", &["offset: ", "cursor"]);
    });
}

#[test]
fn long_sort_keys_do_not_make_a_cursor_long() {
    app(|app| async move {
        let columns = json!([{"name": "n", "type": "number"}, {"name": "s", "type": "text"}]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
        let rows: Vec<Json> =
            (0..4).map(|n| json!({"n": n, "s": format!("{}{n}", "x".repeat(100_000))})).collect();
        app.post(ROWS, json!({"rows": rows})).await.ok();
        let asked =
            [("order_by", json!({"s": "desc"})), ("columns", json!("n")), ("limit", 2.into())];
        let first = app.get(&query(&asked)).await;
        assert_eq!(numbers(&first), [3, 2]);
        let path = first.body["hints"][0]["path"].as_str().unwrap();
        assert!(path.len() < 300, "{path}");
        assert_eq!(numbers(&app.get(path).await), [1, 0]);
        app.send(request(Method::DELETE, &format!("{ROWS}?ids=3&confirm=true"), None)).await.ok();
        let answer = app.get(path).await;
        answer.refused(400, "VALIDATION_ERROR", &["cursor: the row that it names was deleted"]);
    });
}

#[test]
fn offsets_leave_rows_out() {
    app(|app| async move {
        table(&app).await;
        let page = app.get(&query(&[("offset", 55.into()), ("limit", 3.into())])).await;
        assert_eq!(numbers(&page), [56, 57, 58]);
        let next = app.get(page.body["hints"][0]["path"].as_str().unwrap()).await;
        assert_eq!(numbers(&next), [59, 60]);
        assert!(numbers(&app.get(&query(&[("offset", 60.into())])).await).is_empty());
    });
}

#[test]
fn the_status_of_a_row_is_that_of_its_cells() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let status = async |query: &str| {
            let rows = app.get(&format!("/api/tables/airports/rows?{query}")).await;
            let rows = rows.ok().as_array().unwrap().clone();
            rows.iter()
                .map(|row| row["_ht_status"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(status("").await, ["idle", "idle", "idle"]);
        app.vendor.says([("lat=47.46", Says::Status(400))]);
        let run = app.post("/api/tables/airports/columns/near/run", json!({})).await;
        app.settled(&run).await.ok();
        assert_eq!(status("").await, ["completed", "failed", "completed"]);
        let by_id = "order_by=-_ht_id&columns=iata,_ht_status,_ht_error";
        assert_eq!(status(by_id).await, ["completed", "failed", "completed"]);
        let rows = app.get(&format!("/api/tables/airports/rows?{by_id}")).await;
        let error = &rows.ok()[1]["_ht_error"];
        assert_eq!((&error["column"], &error["code"]), (&json!("near"), &json!("HTTP_STATUS")));
        let failed =
            query(&[("where", json!({"near": {"state": "failed"}}))]).replace("/t/", "/airports/");
        assert_eq!(app.get(&failed).await.ok()[0]["iata"], "ZRH");
    });
}

/// The head, and the body as it is sent.
async fn raw(app: &TestApp, path: &str, accept: Option<&str>) -> Response<Body> {
    let mut request = request(Method::GET, path, None);
    if let Some(accept) = accept {
        request.headers_mut().insert("accept", accept.parse().unwrap());
    }
    app.router.clone().oneshot(request).await.unwrap()
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_stream_of_all_rows_is_the_usual_envelope_or_a_row_per_line() {
    app(|app| async move {
        table(&app).await;
        let asked =
            [("limit", 0.into()), ("order_by", json!({"n": "desc"})), ("columns", "n".into())];
        let whole = app.get(&query(&asked)).await;
        assert_eq!(numbers(&whole), (1..=60).rev().collect::<Vec<_>>());
        assert_eq!(whole.meta()["rows"], 60);
        assert_eq!(whole.meta()["table"], "t");

        let lines = query(&[&asked[..], &[("format", "ndjson".into())]].concat());
        for (path, accept) in [(lines, None), (query(&asked), Some("application/x-ndjson"))] {
            let response = raw(&app, &path, accept).await;
            assert_eq!(response.headers()["content-type"], "application/x-ndjson");
            let rows: Vec<Json> = text(response)
                .await
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            assert_eq!(rows.len(), 60);
            assert_eq!(rows[0], json!({"_ht_id": 60, "n": 60}));
        }
        let few = [("limit", 0.into()), ("where", json!({"n": {"gt": 100}}))];
        assert!(numbers(&app.get(&query(&few)).await).is_empty());
        let from = [("limit", 0.into()), ("offset", 58.into())];
        assert_eq!(numbers(&app.get(&query(&from)).await), [59, 60]);
        let wrong = app.get(&query(&[("format", "ndjson".into()), ("limit", 5.into())])).await;
        wrong.refused(400, "VALIDATION_ERROR", &["format: ", "limit=0"]);
    });
}

/// A slow reader holds no snapshot: what is written while it reads is seen by the steps that come after.
#[test]
fn a_stream_is_read_step_by_step_and_ends_visibly_when_it_is_cut() {
    app(|app| async move {
        let columns = json!([{"name": "n", "type": "number"}, {"name": "s", "type": "text"}]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
        let rows: Vec<Json> = (0..200).map(|n| json!({"n": n, "s": "x".repeat(10_000)})).collect();
        app.post(ROWS, json!({"rows": rows})).await.ok();
        for (path, is_cut) in [("limit=0&format=ndjson", false), ("limit=0", true)] {
            let mut body =
                raw(&app, &format!("{ROWS}?{path}"), None).await.into_body().into_data_stream();
            let first = body.next().await.unwrap().unwrap();
            assert!(first.len() < 1_000_000, "one step, not the table: {}", first.len());
            // The table goes in the middle of it.
            app.send(request(Method::DELETE, "/api/tables/t?confirm=true", None)).await.ok();
            let (mut last, mut cut) = (first, false);
            while let Some(piece) = body.next().await {
                match piece {
                    Ok(piece) => last = piece,
                    Err(_) => cut = true,
                }
            }
            assert_eq!(cut, is_cut, "{path}");
            if !is_cut {
                let line: Json = serde_json::from_slice(&last).unwrap();
                assert!(line["error"]["code"].is_string(), "{line}");
            }
            app.post("/api/tables/t/restore", json!({})).await.ok();
        }
    });
}
