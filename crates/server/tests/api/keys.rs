//! Keys that are made over the API, what is on record of their holders, and how fast they may call.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use paceline_server::ServerConfig;
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Answer, READ_KEY, TestApp, app, app_with};

const PATH: &str = "/api/settings/api-keys";

impl TestApp {
    /// A request with any key.
    async fn with_key(&self, key: &str, method: Method, path: &str, body: Json) -> Answer {
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {key}"));
        self.send(request.body(body).unwrap()).await
    }

    async fn key(&self, name: &str, scope: &str) -> (String, i64) {
        let made = self.post(PATH, json!({"name": name, "scope": scope})).await;
        let data = made.ok();
        (data["key"].as_str().unwrap().to_owned(), data["id"].as_i64().unwrap())
    }
}

#[test]
fn a_key_is_shown_once_and_works_as_far_as_its_scope() {
    app(|app| async move {
        let (key, id) = app.key("laptop", "write").await;
        assert!(key.starts_with("pl_sk_") && key.len() == 49, "{key}");
        let columns = json!([{"name": "a", "type": "text"}]);
        let table = json!({"name": "t", "columns": columns});
        app.with_key(&key, Method::POST, "/api/tables", table).await.ok();
        let refused = app.with_key(&key, Method::GET, PATH, Json::Null).await;
        refused.refused(403, "FORBIDDEN", &["list_api_keys", "admin"]);

        let listed = app.get(PATH).await;
        let line = &listed.ok()[0];
        assert_eq!(
            (&line["id"], &line["name"], &line["scope"]),
            (&json!(id), &json!("laptop"), &json!("write"))
        );
        assert_eq!(line["prefix"].as_str().unwrap(), &key[..12]);
        assert!(!listed.body.to_string().contains(&key));
        assert!(line["created_at"].is_string() && line["last_used_at"].is_string());
    });
}

#[test]
fn a_revoked_key_is_refused_at_once_and_for_good() {
    app(|app| async move {
        let (key, id) = app.key("laptop", "read").await;
        app.with_key(&key, Method::GET, "/api/tables", Json::Null).await.ok();
        let revoked = app.delete(&format!("{PATH}/{id}")).await;
        assert_eq!(revoked.ok(), &json!({"revoked": true, "id": id, "name": "laptop"}));
        let refused = app.with_key(&key, Method::GET, "/api/tables", Json::Null).await;
        refused.refused(401, "UNAUTHORIZED", &["revoked"]);
        app.delete(&format!("{PATH}/{id}")).await.refused(404, "NOT_FOUND", &["no API key"]);
        assert_eq!(app.get(PATH).await.ok(), &json!([]));
        app.key("laptop", "read").await;
    });
}

#[test]
fn a_key_ends_when_it_was_said_to() {
    app(|app| async move {
        let past = json!({"name": "x", "scope": "read", "expires_at": "2001-01-01T00:00:00Z"});
        app.post(PATH, past).await.refused(400, "VALIDATION_ERROR", &["expires_at", "past"]);
        let now = jiff::Timestamp::from_microsecond(app.clock.wall().as_micros()).unwrap();
        let soon = now + Duration::from_secs(60);
        let body = json!({"name": "x", "scope": "read", "expires_at": soon.to_string()});
        let made = app.post(PATH, body).await;
        let key = made.ok()["key"].as_str().unwrap();
        app.clock.sleep(Duration::from_secs(59)).await;
        app.with_key(key, Method::GET, "/api/tables", Json::Null).await.ok();
        app.clock.sleep(Duration::from_secs(1)).await;
        let refused = app.with_key(key, Method::GET, "/api/tables", Json::Null).await;
        refused.refused(401, "UNAUTHORIZED", &[]);
    });
}

#[test]
fn keys_outlive_the_server_and_only_their_hashes_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut key = String::new();
    for start in 0..2 {
        let made = key.clone();
        key = paceline_clock::SimClock::new().run(async |clock| {
            let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
            let app = TestApp::at(store, clock, ServerConfig::default(), None);
            if start == 0 {
                return app.key("laptop", "read").await.0;
            }
            app.with_key(&made, Method::GET, "/api/tables", Json::Null).await.ok();
            made
        });
    }
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()));
    }
}

#[test]
fn names_are_taken_once_and_may_not_be_empty() {
    app(|app| async move {
        app.key("laptop", "read").await;
        let again = json!({"name": "laptop", "scope": "admin"});
        app.post(PATH, again).await.refused(409, "CONFLICT", &["laptop"]);
        let empty = json!({"name": " ", "scope": "read"});
        app.post(PATH, empty).await.refused(400, "VALIDATION_ERROR", &["name"]);
        let scope = json!({"name": "x", "scope": "reed"});
        app.post(PATH, scope).await.refused(400, "VALIDATION_ERROR", &["did you mean \"read\""]);
    });
}

#[test]
fn what_was_done_is_on_record_with_who_did_it_and_no_value() {
    app(|app| async move {
        app.airports().await;
        let (key, id) = app.key("laptop", "write").await;
        let rows = json!({"rows": [{"iata": "a-secret-value"}]});
        app.with_key(&key, Method::POST, "/api/tables/airports/rows", rows).await.ok();
        let wrong = json!({"rows": [{"iata": 5}]});
        let refused = app.with_key(&key, Method::POST, "/api/tables/airports/rows", wrong).await;
        assert_eq!(refused.status, 400);
        app.with_key(&key, Method::GET, "/api/tables", Json::Null).await.ok();

        let audit = app.get("/api/settings/audit").await;
        let lines = audit.ok().as_array().unwrap();
        let told: Vec<(&str, &str, u64)> = lines
            .iter()
            .map(|line| &line["event"])
            .map(|event| {
                (
                    event["name"].as_str().unwrap(),
                    event["operation"].as_str().unwrap(),
                    event["status"].as_u64().unwrap(),
                )
            })
            .collect();
        let wanted = [
            ("laptop", "insert_rows", 400),
            ("laptop", "insert_rows", 200),
            ("operator", "create_api_key", 200),
            ("operator", "insert_rows", 200),
            ("operator", "create_table", 200),
        ];
        assert_eq!(told, wanted, "the newest first, and looks are not on record");
        let event = &lines[0]["event"];
        assert_eq!(event["target"], json!({"table": "airports"}));
        assert_eq!((&event["code"], &event["face"]), (&json!("VALIDATION_ERROR"), &json!("rest")));
        assert!(!audit.body.to_string().contains("a-secret-value"));
        assert!(!audit.body.to_string().contains(&key));

        let of_key = app.get(&format!("/api/settings/audit?key={id}")).await;
        assert_eq!(of_key.ok().as_array().unwrap().len(), 2);
        let page = app.get("/api/settings/audit?limit=2").await;
        let before = page.meta()["before"].as_i64().unwrap();
        let next = app.get(&format!("/api/settings/audit?limit=2&before={before}")).await;
        assert_eq!(next.ok()[0], lines[2]);
    });
}

#[test]
fn who_was_not_let_in_is_on_record_apart_and_a_flood_does_not_fill_it() {
    app(|app| async move {
        for _ in 0..500 {
            let refused = app.with_key("wrong-key", Method::GET, "/api/tables", Json::Null).await;
            refused.refused(401, "UNAUTHORIZED", &[]);
        }
        let columns = json!({"name": "t", "columns": [{"name": "a", "type": "text"}]});
        let forbidden = app.with_key(READ_KEY, Method::POST, "/api/tables", columns).await;
        forbidden.refused(403, "FORBIDDEN", &[]);
        assert_eq!(app.get("/api/settings/audit").await.ok(), &json!([]));
        let refused = app.get("/api/settings/audit?log=refused&limit=1000").await;
        let lines = refused.ok().as_array().unwrap();
        assert_eq!(
            (&lines[0]["event"]["code"], &lines[0]["event"]["key"]),
            (&json!("FORBIDDEN"), &json!("operator-1"))
        );
        assert_eq!(lines[1]["event"]["attempted"], "GET /api/tables");
        assert_eq!(lines.len(), 61, "one forbidden call, and 60 of the 500");
        assert!(!refused.body.to_string().contains("wrong-key"));
    });
}

#[test]
fn a_key_over_its_limit_is_told_when_to_come_again_and_others_are_not_held_back() {
    let config = ServerConfig { key_limit: "3/min".parse().ok(), ..ServerConfig::default() };
    app_with(config, |app| async move {
        for left in [2, 1, 0] {
            let answer = app.get("/api/tables").await;
            answer.ok();
            assert_eq!(answer.headers["ratelimit-policy"], "\"key\";q=3;w=60");
            let state = answer.headers["ratelimit"].to_str().unwrap();
            assert!(state.starts_with(&format!("\"key\";r={left};t=6")), "{state}");
        }
        app.clock.sleep(Duration::from_secs(20)).await;
        let refused = app.get("/api/tables").await;
        let error = refused.refused(429, "RATE_LIMITED", &["3/min"]);
        assert_eq!(error["retryable"], true);
        let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((40..=41).contains(&wait), "{wait}");
        let state = refused.headers["ratelimit"].to_str().unwrap();
        assert_eq!(state, format!("\"key\";r=0;t={wait}"));
        app.with_key(READ_KEY, Method::GET, "/api/tables", Json::Null).await.ok();
        app.clock.sleep(Duration::from_secs(wait)).await;
        app.get("/api/tables").await.ok();
    });
}

#[test]
fn a_refused_call_does_not_count() {
    let config = ServerConfig { key_limit: "2/min".parse().ok(), ..ServerConfig::default() };
    app_with(config, |app| async move {
        for wait in [0, 0, 30, 15] {
            app.clock.sleep(Duration::from_secs(wait)).await;
            app.get("/api/tables").await;
        }
        // The first two came a minute ago, the refused ones since.
        app.clock.sleep(Duration::from_secs(16)).await;
        app.get("/api/tables").await.ok();
        app.get("/api/tables").await.ok();
    });
}
