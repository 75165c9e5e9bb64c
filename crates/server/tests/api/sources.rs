//! Incoming webhooks and connected tables: each record once, whatever happens.

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value as Json, json};

use crate::support::{Answer, TestApp, app};
use crate::world::world;

/// A call of somebody else's.
async fn sent(app: &TestApp, path: &str, secret: &str, id: Option<&str>, body: Json) -> Answer {
    let mut request =
        Request::builder().method(Method::POST).uri(path).header("x-webhook-secret", secret);
    if let Some(id) = id {
        request = request.header("x-webhook-id", id);
    }
    app.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// A webhook source of `leads`: where to send, and with which secret.
async fn webhook(app: &TestApp, mapping: Json) -> (String, String) {
    let body = json!({"type": "webhook", "name": "forms", "config": {"field_mapping": mapping}});
    let made = app.post("/api/tables/leads/sources", body).await;
    let made = made.ok();
    (made["path"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

fn mapping() -> Json {
    json!({"user.email": "email", "marks[0]": "score"})
}

#[test]
fn a_webhook_brings_records_by_its_mapping() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, mapping()).await;
        let one = json!({"user": {"email": "a@b.c"}, "marks": [7, 8], "other": true});
        let answer = sent(&world.app, &path, &secret, None, one.clone()).await;
        assert_eq!(answer.ok(), &json!({"received": 1, "inserted": 1, "duplicate": false}));
        sent(&world.app, &path, &secret, None, json!([one, {"user": {}}])).await.ok();
        assert_eq!(
            world.column("leads", "email").await,
            [json!("a@b.c"), json!("a@b.c"), json!(null)]
        );
        assert_eq!(world.column("leads", "score").await, [json!(7), json!(7), json!(null)]);

        let listed = world.app.get("/api/sources").await;
        let source = &listed.ok()[0];
        assert_eq!(source["config"]["field_mapping"], mapping());
        assert_eq!((&source["rows"], &source["status"]), (&json!(3), &json!("active")));
        assert!(source.get("secret").is_none(), "it is shown once");
        assert_eq!(world.app.get("/api/tables/leads/sources").await.ok(), listed.ok());
        assert_eq!(world.app.get("/api/tables/copies/sources").await.ok(), &json!([]));
    });
}

#[test]
fn a_wrong_secret_and_an_address_that_is_none_are_told_the_same() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, json!({})).await;
        let record = json!({"email": "a@b.c"});
        let mut told = Vec::new();
        for (path, secret) in [
            (path.as_str(), "wrong"),
            (path.as_str(), ""),
            ("/hooks/999999", secret.as_str()),
            ("/hooks/nonsense", secret.as_str()),
        ] {
            let answer = sent(&world.app, path, secret, None, record.clone()).await;
            answer.refused(401, "UNAUTHORIZED", &["secret"]);
            told.push(answer.body.to_string());
        }
        told.dedup();
        assert_eq!(told.len(), 1, "{told:#?}");

        let id = path.rsplit('/').next().unwrap();
        let off = json!({"enabled": false});
        let off = world.app.patch(&format!("/api/sources/{id}"), off).await;
        assert_eq!(off.ok()["status"], "disabled");
        let answer = sent(&world.app, &path, &secret, None, record.clone()).await;
        assert_eq!(answer.body.to_string(), told[0]);

        let on = json!({"enabled": true, "rotate_secret": true});
        let on = world.app.patch(&format!("/api/sources/{id}"), on).await;
        let new = on.ok()["secret"].as_str().unwrap().to_owned();
        sent(&world.app, &path, &secret, None, record.clone()).await.refused(
            401,
            "UNAUTHORIZED",
            &[],
        );
        sent(&world.app, &path, &new, None, record).await.ok();
    });
}

#[test]
fn an_event_that_is_sent_again_is_inserted_once_even_by_a_server_that_died_between() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, json!({})).await;
        let record = json!({"email": "a@b.c"});
        let first = sent(&world.app, &path, &secret, Some("evt-1"), record.clone()).await;
        assert_eq!(first.ok()["inserted"], 1);
        for _ in 0..2 {
            let again = sent(&world.app, &path, &secret, Some("evt-1"), record.clone()).await;
            assert_eq!(again.ok(), &json!({"received": 1, "inserted": 0, "duplicate": true}));
        }
        let world = world.dies().await.comes_back();
        let again = sent(&world.app, &path, &secret, Some("evt-1"), record.clone()).await;
        assert_eq!(again.ok()["duplicate"], true);
        sent(&world.app, &path, &secret, Some("evt-2"), record).await.ok();
        assert_eq!(world.column("leads", "email").await.len(), 2);
    });
}

#[test]
fn a_call_with_anything_wrong_brings_nothing() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, json!({})).await;
        let wide: serde_json::Map<String, Json> =
            (0..101).map(|n| (format!("f{n}"), json!(n))).collect();
        let many = vec![json!({"email": "a"}); 10_001];
        let cases = [
            (json!([{"email": "a@b.c"}, {"score": "high"}]), "VALIDATION_ERROR", "[1].score"),
            (json!(["x"]), "VALIDATION_ERROR", "[0]"),
            (json!(7), "INVALID_JSON", "neither an object nor a list"),
            (Json::Object(wide), "VALIDATION_ERROR", "101 fields"),
            (json!(many), "BATCH_TOO_LARGE", "10001 records"),
        ];
        for (body, code, words) in cases {
            sent(&world.app, &path, &secret, Some("evt"), body).await.refused(400, code, &[words]);
        }
        assert!(world.column("leads", "email").await.is_empty());
        // What was refused may be sent again once it is right.
        sent(&world.app, &path, &secret, Some("evt"), json!({"email": "a@b.c"})).await.ok();
        assert_eq!(world.column("leads", "email").await, [json!("a@b.c")]);
    });
}

#[test]
fn a_sender_that_is_too_fast_is_told_when_to_come_again() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, json!({})).await;
        let mut refused = None;
        for _ in 0..=100 {
            let answer = sent(&world.app, &path, &secret, None, json!({})).await;
            if !answer.status.is_success() {
                refused = Some(answer);
            }
        }
        let refused = refused.unwrap();
        refused.refused(429, "RATE_LIMITED", &["100 calls per second"]);
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=2).contains(&wait), "{wait}");
        // Somebody without the secret does not use up its calls.
        world.sleeps(wait).await;
        for _ in 0..150 {
            sent(&world.app, &path, "wrong", None, json!({})).await.refused(
                401,
                "UNAUTHORIZED",
                &[],
            );
        }
        sent(&world.app, &path, &secret, None, json!({})).await.ok();
    });
}

#[test]
fn a_source_is_deleted_when_that_is_confirmed_and_its_rows_stay() {
    world(|world| async move {
        let (path, secret) = webhook(&world.app, json!({})).await;
        sent(&world.app, &path, &secret, Some("1"), json!({"email": "a@b.c"})).await.ok();
        let at = format!("/api/sources/{}", path.rsplit('/').next().unwrap());
        world.app.delete(&at).await.refused(400, "CONFIRMATION_REQUIRED", &["forms", "1 rows"]);
        world.app.delete(&format!("{at}?confirm=true")).await.ok();
        world.app.delete(&format!("{at}?confirm=true")).await.refused(404, "NOT_FOUND", &[]);
        sent(&world.app, &path, &secret, None, json!({})).await.refused(401, "UNAUTHORIZED", &[]);
        assert_eq!(world.column("leads", "email").await.len(), 1);
    });
}

#[test]
fn what_a_source_cannot_be_is_said_with_its_field() {
    app(|app| async move {
        app.airports().await;
        let cases = [
            (json!({"type": "webhok"}), "type"),
            (json!({"type": "csv_import"}), "import_rows"),
            (json!({"type": "webhook", "config": {"url": "x"}}), "config.url"),
            (json!({"type": "webhook", "config": {"field_mapping": {"a": "iato"}}}), "iata"),
            (json!({"type": "webhook", "config": {"field_mapping": {"a..b": "iata"}}}), "a..b"),
            (
                json!({"type": "webhook", "config": {"field_mapping": {"a": "iata", "b": "iata"}}}),
                "second",
            ),
            (json!({"type": "api_pull"}), "config.url"),
            (
                json!({"type": "api_pull", "config": {"url": "https://x.example/", "schedule": "* * * * * *"}}),
                "config.schedule",
            ),
            (
                json!({"type": "api_pull", "config": {"url": "https://x.example/", "records_path": "$["}}),
                "config.records_path",
            ),
            (
                json!({"type": "api_pull", "config": {"url": "https://x.example/", "upsert_by": ["iato"]}}),
                "iata",
            ),
            (
                json!({"type": "api_pull", "config": {"url": "https://x.example/", "method": "DELETE"}}),
                "config.method",
            ),
            (
                json!({"type": "api_pull", "config": {"url": "https://x.example/", "headers": {"authorization": "********"}}}),
                "mask",
            ),
            (json!({"type": "connected_table"}), "config.source_table"),
            (json!({"type": "connected_table", "config": {"source_table": "airports"}}), "itself"),
            (json!({"type": "manual", "config": {"url": "x"}}), "config.url"),
        ];
        for (body, words) in cases {
            let answer = app.post("/api/tables/airports/sources", body.clone()).await;
            let told = answer.body["error"].to_string();
            assert_eq!(answer.status.as_u16(), 400, "{body}: {told}");
            assert!(told.contains(words), "{words} is not in {told} for {body}");
        }
        let inside = json!({"type": "api_pull", "config": {"url": "http://127.0.0.1/"}});
        let answer = app.post("/api/tables/airports/sources", inside).await;
        answer.refused(400, "BLOCKED_URL", &["127.0.0.1"]);
        assert_eq!(app.get("/api/sources").await.ok(), &json!([]), "none of them was made");
    });
}

fn numbered(from: i64, to: i64) -> Json {
    (from..=to).map(|n| json!({"email": format!("{n}@b.c"), "score": n})).collect()
}

fn scores(from: i64, to: i64) -> Vec<Json> {
    (from..=to).map(Json::from).collect()
}

#[test]
fn rows_of_a_connected_table_are_copied_once_each_though_the_server_dies() {
    world(|mut world| async move {
        world.insert("leads", numbered(1, 700)).await;
        let body = json!({"type": "connected_table", "config": {"source_table": "leads"}});
        world.app.post("/api/tables/copies/sources", body).await.ok();
        for round in 1..=6_i64 {
            world.work();
            world.insert("leads", numbered(700 * round + 1, 700 * (round + 1))).await;
            // Some of the copying is done, and not all of it.
            for _ in 0..round * 40 {
                tokio::task::yield_now().await;
            }
            world = world.dies().await.comes_back();
        }
        world.work();
        world
            .until("all are copied", async || world.column("copies", "score").await.len() >= 4_900)
            .await;
        world.sleeps(600).await;
        assert_eq!(world.column("copies", "score").await, scores(1, 4_900));
        let listed = world.app.get("/api/tables/copies/sources").await;
        assert_eq!(
            (&listed.ok()[0]["rows"], &listed.ok()[0]["status"]),
            (&json!(4_900), &json!("active"))
        );
    });
}

#[test]
fn a_connected_table_with_a_filter_copies_a_row_when_it_first_passes() {
    world(|mut world| async move {
        world.insert("leads", numbered(1, 20)).await;
        let config = json!({
            "source_table": "leads", "filter": {"score": {"gte": 10}}, "include_existing": false,
            "field_mapping": {"score": "score"},
        });
        let body = json!({"type": "connected_table", "config": config});
        world.app.post("/api/tables/copies/sources", body).await.ok();
        world.work();
        world.insert("leads", numbered(5, 12)).await;
        world
            .until("the new ones", async || world.column("copies", "score").await.len() >= 3)
            .await;
        world.sleeps(60).await;
        assert_eq!(world.column("copies", "score").await, scores(10, 12));
        let store = world.app.engine.store();
        let table = store.table("leads").await.unwrap().unwrap();
        let score = table.column("score").unwrap().id;
        let filter = |n: i64| paceline_model::Filter::parse(&table, &json!({"score": n})).unwrap();
        for (from, to) in [(5, 50), (50, 5), (5, 51), (12, 13)] {
            let value = vec![paceline_model::Value::Int(to)];
            store.update_rows(table.id, filter(from), &[score], value).await.unwrap();
            world.sleeps(60).await;
        }
        // The fifth was there before with 5 and begins to pass; so does the new one. Both only once.
        assert_eq!(world.column("copies", "score").await.len(), 5);
        assert_eq!(world.column("copies", "email").await, vec![Json::Null; 5]);
    });
}

#[test]
fn an_import_is_listed_once_per_table_with_its_last_job() {
    world(|world| async move {
        let import = json!({"data": "email,score\na@b.c,1\n"});
        let mut last = Json::Null;
        for _ in 0..2 {
            let job = world.app.post("/api/tables/leads/imports", import.clone()).await;
            last = job.ok()["id"].clone();
        }
        let listed = world.app.get("/api/tables/leads/sources").await;
        let sources = listed.ok().as_array().unwrap();
        assert_eq!((sources.len(), &sources[0]["type"]), (1, &json!("csv_import")));
        assert_eq!(sources[0]["config"], json!({"job": last}));
    });
}
