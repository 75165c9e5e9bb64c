//! Imports and exports (T4): what goes in, what is kept apart, what comes out, and what survives a process that dies.

use std::fmt::Write as _;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use http::{Method, Request, StatusCode};
use paceline_model::ChangeKind;
use paceline_model::limits::Settings;
use paceline_server::ServerConfig;
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::support::{KEY, READ_KEY, TestApp, app, app_with};

const AIRPORTS: &str = include_str!("../../../lab/data/airports.csv");

impl TestApp {
    /// With workers for jobs.
    fn at_work(&self) -> tokio::task::JoinHandle<()> {
        let app = self.app.clone();
        tokio::spawn(async move { app.work_on_jobs().await })
    }

    async fn make(&self, columns: Json) {
        let answer = self.post("/api/tables", json!({"name": "t", "columns": columns})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn import(&self, body: Json) -> Json {
        let answer = self.post("/api/tables/t/imports", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.ended(answer.body["data"]["id"].as_i64().unwrap()).await
    }

    /// The job once it has ended.
    async fn ended(&self, id: i64) -> Json {
        for _ in 0..10_000 {
            let job = self.get(&format!("/api/jobs/{id}")).await.body["data"].clone();
            if !job["ended_at"].is_null() {
                return job;
            }
            self.clock.sleep(Duration::from_millis(10)).await;
        }
        panic!("job {id} has not ended");
    }

    async fn raw(
        &self,
        method: Method,
        path: &str,
        key: &str,
        typed: &str,
        body: Bytes,
    ) -> (u16, Bytes) {
        let mut request = Request::builder().method(method).uri(path).header("content-type", typed);
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status.as_u16(), to_bytes(body, usize::MAX).await.unwrap())
    }

    async fn fetch(&self, path: &str) -> (u16, Bytes) {
        self.raw(Method::GET, path, "", "", Bytes::new()).await
    }

    async fn export(&self, query: &str) -> Bytes {
        let path = format!("/api/tables/t/export?{query}");
        let (status, body) = self.raw(Method::GET, &path, READ_KEY, "", Bytes::new()).await;
        assert_eq!(status, 200, "{body:?}");
        body
    }

    async fn count(&self) -> i64 {
        self.get("/api/tables/t/rows/count").await.body["data"]["count"].as_i64().unwrap()
    }
}

fn columns(names: &[(&str, &str)]) -> Json {
    names.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect()
}

#[test]
fn airports_come_out_of_every_format_as_they_went_in() {
    app(|app| async move {
        let header = AIRPORTS.lines().next().unwrap();
        let names: Vec<_> = header.split(',').map(|name| (name, "text")).collect();
        app.make(columns(&names)).await;
        let work = app.at_work();
        let job = app.import(json!({"data": AIRPORTS})).await;
        let rows = AIRPORTS.lines().count() - 1;
        assert_eq!((&job["status"], &job["rows_inserted"]), (&json!("completed"), &json!(rows)));
        let csv = app.export("format=csv").await;
        let read = |bytes: &[u8]| {
            let mut reader = csv::Reader::from_reader(bytes);
            reader
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .collect()
        };
        let wanted: Vec<Vec<String>> = read(AIRPORTS.as_bytes());
        assert_eq!(read(&csv), wanted);
        let jsonl = app.export("format=jsonl").await;
        let parquet = app.export("format=parquet").await;
        for (file, typed) in
            [(jsonl, "application/x-ndjson"), (parquet, "application/vnd.apache.parquet")]
        {
            let path = "/api/tables/t/imports/upload";
            let (status, body) = app.raw(Method::POST, path, KEY, typed, file).await;
            let body: Json = serde_json::from_slice(&body).unwrap();
            assert_eq!(status, 200, "{body}");
            let job = app.ended(body["data"]["id"].as_i64().unwrap()).await;
            assert_eq!(job["rows_inserted"], rows, "{job}");
        }
        let all: Vec<Vec<String>> = read(&app.export("format=csv").await);
        assert_eq!(all, [wanted.clone(), wanted.clone(), wanted].concat());
        work.abort();
    });
}

#[test]
fn bad_rows_are_kept_apart_with_their_lines_and_reasons() {
    app(|app| async move {
        app.make(columns(&[("name", "text"), ("age", "number"), ("born", "datetime")])).await;
        let work = app.at_work();
        let data =
            "name,age,born\nAda,36,1815-12-10T00:00:00Z\nBob,old,\nEve\nDan,7,soon\nFay,8,\n";
        let job = app.import(json!({"data": data})).await;
        assert_eq!(job["status"], "completed_with_errors");
        assert_eq!(
            (&job["rows_read"], &job["rows_inserted"], &job["rows_bad"]),
            (&json!(5), &json!(2), &json!(3))
        );
        let links = job["bad_rows"].as_array().unwrap();
        let (status, report) = app.fetch(links[0]["url"].as_str().unwrap()).await;
        assert_eq!(status, 200);
        let report: Vec<Json> = report
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        let told: Vec<_> = report
            .iter()
            .map(|bad| (bad["line"].as_i64().unwrap(), bad["record"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [(3, "Bob,old,"), (4, "Eve"), (5, "Dan,7,soon")]);
        assert!(report[0]["reason"].as_str().unwrap().starts_with("age: a number column takes"));
        let (status, report) = app.fetch(links[1]["url"].as_str().unwrap()).await;
        assert_eq!(status, 200);
        assert!(report.starts_with(b"line,reason,record\n3,"), "{report:?}");
        work.abort();
    });
}

#[test]
fn an_enriched_file_keeps_its_cells_and_runs_fill_those_that_are_empty() {
    let limits = Settings { insert_rows_max: 2, ..Settings::default() };
    app_with(ServerConfig { limits, ..ServerConfig::default() }, |app| async move {
        app.make(columns(&[("n", "number")])).await;
        let twice = json!({"name": "twice", "type": "number", "kind": "formula", "config": {"formula": "n * 2"}});
        app.post("/api/tables/t/smart-columns", twice).await.ok();
        let work = app.at_work();
        let data = "n,twice\n1,100\n2,\n3,300\n4,\n5,500\n";
        let job = app.import(json!({"data": data})).await;
        assert_eq!((&job["status"], &job["rows_inserted"]), (&json!("completed"), &json!(5)));
        assert_eq!(job["columns"]["locked"], json!(["twice"]));
        let run = app.post("/api/tables/t/columns/twice/run", json!({"scope": "all"})).await;
        assert_eq!(app.settled(&run).await.ok()["counts"]["completed"], 2);
        let rows = app.get("/api/tables/t/rows").await;
        let twice: Vec<_> = rows.ok().as_array().unwrap().iter().map(|row| &row["twice"]).collect();
        assert_eq!(twice, [100, 4, 300, 8, 500]);
        // Five rows, two to a transaction.
        let table = app.engine.store().table("t").await.unwrap().unwrap();
        let (changes, _) = app.engine.store().changes_after(table.id, 0, 99).await.unwrap();
        let inserts = changes.iter().filter_map(|change| match change.kind {
            ChangeKind::RowsInserted { first, last } => Some(last.0 - first.0 + 1),
            _ => None,
        });
        assert_eq!(inserts.collect::<Vec<_>>(), [2, 2, 1]);
        // Its name is not guessed, for what is written is locked; a caller may leave it out as well.
        let job = app.import(json!({"data": "n,twise\n6,1\n"})).await;
        assert_eq!(job["columns"]["unmapped"], json!(["twise"]), "{job}");
        let job = app.import(json!({"data": "n,twice\n7,1\n", "mapping": {"twice": null}})).await;
        assert_eq!((&job["columns"]["locked"], &job["rows_inserted"]), (&json!([]), &json!(1)));
        let job = app.import(json!({"data": "n,old\n8,1\n", "mapping": {"old": "twice"}})).await;
        assert_eq!(job["columns"]["locked"], json!(["twice"]));
        work.abort();
    });
}

#[test]
fn columns_are_found_by_name_and_what_became_of_them_is_told() {
    app(|app| async move {
        app.make(columns(&[
            ("email", "email"),
            ("first_name", "text"),
            ("city", "text"),
            ("x", "text"),
        ]))
        .await;
        let work = app.at_work();
        let data = "E Mail,First Name,Citi,Other\na@b.co,Ada,London,o\n";
        let job = app.import(json!({"data": data, "mapping": {"E Mail": "email"}})).await;
        assert_eq!(job["columns"]["corrected"].as_array().unwrap().len(), 3, "{job}");
        assert_eq!(job["columns"]["unmapped"], json!(["Other"]));
        let job = app.import(json!({"data": data, "create_columns": true})).await;
        assert_eq!(job["columns"]["created"], json!(["other"]), "{job}");
        let cases = [
            (json!({"data": "z\n1\n"}), "COLUMN_NOT_FOUND"),
            (json!({"data": "email\n1\n", "mapping": {"emial": "email"}}), "VALIDATION_ERROR"),
            (json!({"data": "email\n1\n", "mapping": {"email": "nothing"}}), "COLUMN_NOT_FOUND"),
            (json!({"data": "email\n1\n", "mode": "upsert"}), "VALIDATION_ERROR"),
            (json!({"data": "email\n1\n", "mode": "upsert", "key": ["city"]}), "VALIDATION_ERROR"),
            (json!({"data": "email\n1\n", "key": ["email"]}), "VALIDATION_ERROR"),
            (json!({"data": ""}), "VALIDATION_ERROR"),
            (json!({"data": "a,a\n1,2\n"}), "VALIDATION_ERROR"),
            (json!({"data": "x", "format": "parquet"}), "VALIDATION_ERROR"),
        ];
        for (body, code) in cases {
            let answer = app.post("/api/tables/t/imports", body.clone()).await;
            assert_eq!(answer.body["error"]["code"], code, "{body}: {}", answer.body);
        }
        work.abort();
    });
}

#[test]
fn a_process_that_dies_between_batches_loses_no_row_and_doubles_none() {
    app(|app| async move {
        app.make(columns(&[("n", "number"), ("text", "text")])).await;
        let mut data = "n,text\n".to_owned();
        for n in 0..60_000 {
            let wrong = if n % 10_000 == 77 { "x" } else { "" };
            writeln!(data, "{n}{wrong},row {n}").unwrap();
        }
        let (status, body) = app
            .raw(Method::POST, "/api/tables/t/imports/upload", KEY, "text/csv", data.into())
            .await;
        assert_eq!(status, 200, "{body:?}");
        let id = serde_json::from_slice::<Json>(&body).unwrap()["data"]["id"].as_i64().unwrap();
        let mut deaths = 0;
        let job = loop {
            // Another process each time: it knows only what the registry says.
            let again = TestApp::at(
                app.engine.store().clone(),
                app.clock.clone(),
                ServerConfig::default(),
                app.app.dir.clone(),
            );
            let before = again.count().await;
            let work = again.at_work();
            while again.count().await == before {
                tokio::task::yield_now().await;
                if !again.get(&format!("/api/jobs/{id}")).await.body["data"]["ended_at"].is_null() {
                    break;
                }
            }
            work.abort();
            let _ = work.await;
            deaths += 1;
            let job = again.get(&format!("/api/jobs/{id}")).await.body["data"].clone();
            if !job["ended_at"].is_null() {
                break job;
            }
        };
        assert!(deaths > 1, "it was never cut short");
        assert_eq!((&job["rows_inserted"], &job["rows_bad"]), (&json!(59_994), &json!(6)), "{job}");
        assert_eq!(app.count().await, 59_994);
        let csv =
            app.app.dir.clone().unwrap().join("files").join(format!("job-{id}-bad-rows.jsonl"));
        assert_eq!(std::fs::read_to_string(csv).unwrap().lines().count(), 6);
    });
}

#[test]
fn a_long_export_becomes_a_file_behind_a_link_that_expires() {
    app(|app| async move {
        app.make(columns(&[("n", "number"), ("text", "text")])).await;
        let work = app.at_work();
        let mut data = "n,text\n".to_owned();
        (0..60_000).for_each(|n| writeln!(data, "{n},row {n}").unwrap());
        app.import(json!({"data": data.clone()})).await;
        let path = "/api/tables/t/export?format=csv";
        let (status, body) = app.raw(Method::GET, path, KEY, "", Bytes::new()).await;
        assert_eq!(status, 400, "{body:?}");
        let answer = app.post("/api/tables/t/exports", json!({})).await;
        assert_eq!(
            (&answer.body["data"]["rows"], &answer.body["data"]["content"]),
            (&json!(60_000), &Json::Null)
        );
        let job = app.ended(answer.body["data"]["job"]["id"].as_i64().unwrap()).await;
        assert_eq!(job["status"], "completed", "{job}");
        let url = job["file"]["url"].as_str().unwrap().to_owned();
        let (status, file) = app.fetch(&url).await;
        assert_eq!((status, file == data.as_bytes()), (200, true));
        assert_eq!(job["file"]["bytes"], file.len());
        let later = url.replace("expires=", "expires=9");
        let other = url.replace("/files/job-", "/files/job-9");
        let cut = url[..url.len() - 1].to_owned();
        let climbing = url.replace("/files/", "/files/..%2F");
        for forged in [
            later,
            other,
            cut,
            climbing,
            "/files/paceline.db?expires=1&signature=00".into(),
            "/files/x".into(),
        ] {
            let (status, body) = app.fetch(&forged).await;
            assert_eq!(status, 403, "{forged}: {body:?}");
        }
        app.clock.sleep(Duration::from_secs(3601)).await;
        assert_eq!(app.fetch(&url).await.0, 410);
        app.clock.sleep(Duration::from_secs(1800)).await;
        let dir = app.app.dir.clone().unwrap().join("files");
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0, "what nobody can fetch is gone");
        work.abort();
    });
}

#[test]
fn a_short_export_stands_in_the_reply_and_follows_filter_and_order() {
    app(|app| async move {
        app.make(columns(&[("name", "text"), ("n", "number")])).await;
        let rows =
            json!([{"name": "a", "n": 1}, {"name": "b", "n": 2}, {"name": "c, d", "n": 2.5}]);
        app.post("/api/tables/t/rows", json!({"rows": rows})).await;
        let answer = app
            .post("/api/tables/t/exports", json!({"format": "jsonl", "columns": ["_ht_id", "n"]}))
            .await;
        assert_eq!(
            answer.body["data"]["content"],
            "{\"_ht_id\":1,\"n\":1}\n{\"_ht_id\":2,\"n\":2}\n{\"_ht_id\":3,\"n\":2.5}\n"
        );
        assert_eq!(app.export("format=tsv&columns=name").await, "name\na\nb\nc, d\n");
        for (query, status) in
            [("format=xls", 400), ("columns=nothing", 404), ("where=x", 400), ("nonsense=1", 400)]
        {
            let path = format!("/api/tables/t/export?{query}");
            let (got, body) = app.raw(Method::GET, &path, KEY, "", Bytes::new()).await;
            assert_eq!(got, status, "{query} {body:?}");
        }
    });
}

#[test]
fn a_cancelled_import_keeps_what_is_in_the_table_and_says_so() {
    app(|app| async move {
        app.make(columns(&[("n", "number")])).await;
        let answer = app.post("/api/tables/t/imports", json!({"data": "n\n1\n"})).await;
        let id = answer.body["data"]["id"].as_i64().unwrap();
        let answer = app.post(&format!("/api/jobs/{id}/cancel"), json!({})).await;
        assert_eq!(answer.body["data"]["status"], "cancelled");
        assert_eq!(
            answer.body["data"]["reason"],
            "it was cancelled; the 0 rows inserted and 0 updated until then stay"
        );
        let again = app.post(&format!("/api/jobs/{id}/cancel"), json!({})).await;
        assert_eq!(
            (again.status, &again.body["error"]["code"]),
            (StatusCode::CONFLICT, &json!("CONFLICT"))
        );
        let work = app.at_work();
        app.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(app.count().await, 0);
        let listed = app.get("/api/jobs?table=t").await;
        assert_eq!(listed.body["data"][0]["id"], id);
        assert_eq!(app.get("/api/jobs/999").await.body["error"]["code"], "NOT_FOUND");
        work.abort();
    });
}

#[test]
fn an_upload_needs_the_scope_to_write_and_a_format() {
    app(|app| async move {
        app.make(columns(&[("n", "number")])).await;
        let path = "/api/tables/t/imports/upload";
        let send = |key, typed, path: &'static str| {
            let app = app.clone();
            async move { app.raw(Method::POST, path, key, typed, "n\n1\n".into()).await.0 }
        };
        assert_eq!(send("", "text/csv", path).await, 401);
        assert_eq!(send(READ_KEY, "text/csv", path).await, 403);
        assert_eq!(send(KEY, "image/png", path).await, 415);
        assert_eq!(send(KEY, "text/csv", "/api/tables/nowhere/imports/upload").await, 404);
        assert_eq!(send(KEY, "text/csv", "/api/tables/t/imports/upload?modus=x").await, 400);
        assert_eq!(send(KEY, "text/csv", path).await, 200);
    });
}

#[test]
fn a_server_without_a_directory_says_that_it_keeps_no_files() {
    paceline_clock::SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let app = TestApp::over(store, clock, ServerConfig::default());
        app.make(columns(&[("n", "number")])).await;
        let answer = app.post("/api/tables/t/imports", json!({"data": "n\n1\n"})).await;
        assert_eq!(answer.body["error"]["message"], "this server keeps no files");
        assert_eq!(app.export("format=csv").await, "n\n");
    });
}

#[test]
fn an_upsert_updates_the_rows_whose_key_is_there_and_counts_both() {
    app(|app| async move {
        app.make(columns(&[("email", "email"), ("n", "number")])).await;
        let work = app.at_work();
        app.import(json!({"data": "email,n\na@b.co,1\nb@b.co,2\n"})).await;
        let data = "{\"email\":\"b@b.co\",\"n\":20}\n{\"email\":\"c@b.co\",\"n\":3}\n";
        let body = json!({"data": data, "format": "jsonl", "mode": "upsert", "key": ["email"]});
        let job = app.import(body).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!((&job["rows_inserted"], &job["rows_updated"]), (&json!(1), &json!(1)));
        let query = "columns=email,n&where=%7B%22n%22%3A%7B%22gt%22%3A1%7D%7D&order_by=%7B%22n%22%3A%22desc%22%7D";
        assert_eq!(app.export(query).await, "email,n\nb@b.co,20\nc@b.co,3\n");
        work.abort();
    });
}

#[test]
fn an_export_in_an_order_of_many_equal_keys_has_every_row_once() {
    app(|app| async move {
        app.make(columns(&[("n", "number"), ("k", "number")])).await;
        let work = app.at_work();
        let mut data = "n,k\n".to_owned();
        (0..5_000).for_each(|n| writeln!(data, "{n},{}", n % 3).unwrap());
        app.import(json!({"data": data})).await;
        let csv = app.export("order_by=%7B%22k%22%3A%22desc%22%7D").await;
        let mut rows: Vec<(i64, i64)> = (0..5_000).map(|n| (n, n % 3)).collect();
        rows.sort_by_key(|(n, k)| (-k, *n));
        let wanted: String = rows.iter().map(|(n, k)| format!("{n},{k}\n")).collect();
        assert!(csv == format!("n,k\n{wanted}"));
        work.abort();
    });
}

#[test]
fn what_a_dead_process_left_behind_goes_and_what_a_job_needs_stays() {
    app(|app| async move {
        app.make(columns(&[("n", "number")])).await;
        let answer = app.post("/api/tables/t/imports", json!({"data": "n\n1\n"})).await;
        let dir = app.app.dir.clone().unwrap().join("files");
        for stray in ["upload-00-01.csv", ".paceline-1-1.tmp", "job-77-export.csv"] {
            std::fs::write(dir.join(stray), "x").unwrap();
        }
        let work = app.at_work();
        // While the folder is being looked through, another upload comes.
        let later = app.post("/api/tables/t/imports", json!({"data": "n\n2\n"})).await;
        for answer in [answer, later] {
            let job = app.ended(answer.body["data"]["id"].as_i64().unwrap()).await;
            assert_eq!((&job["status"], &job["rows_inserted"]), (&json!("completed"), &json!(1)));
        }
        app.clock.sleep(Duration::from_secs(301)).await;
        assert_eq!(std::fs::read_dir(dir).unwrap().count(), 0);
        work.abort();
    });
}
