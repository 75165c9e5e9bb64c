//! What is wrong with a request as such: its route, its method, its body.

use std::time::Duration;

use axum::body::Body;
use http::{Method, Request};
use paceline_server::ServerConfig;
use serde_json::json;

use crate::support::{KEY, app, app_with, request};

#[test]
fn unknown_routes_and_methods_answer_in_the_envelope() {
    app(|app| async move {
        let answer = app.get("/api/tabels").await;
        assert_eq!(
            answer.refused(404, "ROUTE_NOT_FOUND", &["/api/tabels"])["did_you_mean"],
            "/api/tables"
        );
        app.get("/").await.refused(404, "ROUTE_NOT_FOUND", &[]);
        app.get("/api/tables/").await.refused(404, "ROUTE_NOT_FOUND", &[]);

        let answer = app.send(request(Method::DELETE, "/api/tables", None)).await;
        answer.refused(405, "METHOD_NOT_ALLOWED", &["DELETE"]);
        let allowed = answer.headers["allow"].to_str().unwrap();
        assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
        let answer = app.send(request(Method::POST, "/healthz", None)).await;
        answer.refused(405, "METHOD_NOT_ALLOWED", &["/healthz"]);
        assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
    });
}

#[test]
fn a_body_that_is_not_json_is_said_where() {
    let deep = format!("{{\"rows\": {}1{}}}", "[".repeat(300), "]".repeat(300));
    let cases = [
        ("{\"name\": \"t\",\n \"columns\": [}", vec!["line 2 column 14"]),
        ("{\"name\": \"t\"", vec!["ends in the middle", "line 1 column 12"]),
        ("name=t", vec!["not JSON", "line 1 column 2"]),
        ("[1]", vec!["not an object"]),
        ("{\"name\": 1} {}", vec!["trailing", "column 13"]),
        (deep.as_str(), vec!["recursion limit", "line 1 column"]),
        ("{\"name\": \"\u{1}\"}", vec!["control character"]),
    ];
    app(|app| async move {
        for (body, words) in cases {
            let answer =
                app.send(request(Method::POST, "/api/tables", Some(body.to_owned()))).await;
            answer.refused(400, "INVALID_JSON", &words);
        }
        let not_utf8 = Request::builder()
            .method(Method::POST)
            .uri("/api/tables")
            .header("authorization", format!("Bearer {KEY}"))
            .body(Body::from(b"{\"name\": \"\xff\"}".as_slice()))
            .unwrap();
        app.send(not_utf8).await.refused(400, "INVALID_JSON", &["unicode", "line 1"]);
    });
}

#[test]
fn a_value_nested_too_deeply_is_refused_by_its_place() {
    app(|app| async move {
        let columns = json!([{"name": "data", "type": "json"}]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
        let body = format!("{{\"rows\": [{{\"data\": {}1{}}}]}}", "[".repeat(70), "]".repeat(70));
        let answer = app.send(request(Method::POST, "/api/tables/t/rows", Some(body))).await;
        answer.refused(400, "VALIDATION_ERROR", &["rows[0].data", "64 levels"]);
    });
}

#[test]
fn another_content_type_is_refused_and_none_is_taken_for_json() {
    app(|app| async move {
        let send = |content_type: Option<&str>| {
            let mut request = Request::builder()
                .method(Method::POST)
                .uri("/api/tables")
                .header("authorization", format!("Bearer {KEY}"));
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            app.send(request.body(Body::from("{}")).unwrap())
        };
        let answer = send(Some("application/x-www-form-urlencoded")).await;
        answer.refused(415, "UNSUPPORTED_MEDIA_TYPE", &["x-www-form-urlencoded"]);
        for taken in [
            None,
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/vnd.api+json"),
        ] {
            send(taken).await.refused(400, "VALIDATION_ERROR", &["name: is required"]);
        }
    });
}

#[test]
fn a_body_over_the_limit_is_refused_whether_or_not_it_says_its_length() {
    let config =
        ServerConfig { body_bytes_max: 1_000, bodies_bytes_max: 1_000, ..ServerConfig::default() };
    app_with(config, |app| async move {
        let long = format!("{{\"name\": \"{}\"}}", "x".repeat(1_000));
        let answer = app.send(request(Method::POST, "/api/tables", Some(long.clone()))).await;
        answer.refused(413, "BODY_TOO_LARGE", &["1000 bytes"]);

        // One that says so beforehand is not waited for.
        let never =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let mut said = request(Method::POST, "/api/tables", None);
        said.headers_mut().insert("content-length", "1001".parse().unwrap());
        *said.body_mut() = never;
        app.send(said).await.refused(413, "BODY_TOO_LARGE", &["1000 bytes"]);

        let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(long)]);
        let unsaid = Request::builder()
            .method(Method::POST)
            .uri("/api/tables")
            .header("authorization", format!("Bearer {KEY}"))
            .body(Body::from_stream(chunks))
            .unwrap();
        app.send(unsaid).await.refused(413, "BODY_TOO_LARGE", &["1000 bytes"]);

        let columns = json!([{"name": "a", "type": "text"}]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
    });
}

#[test]
fn a_body_that_never_comes_times_out_and_frees_its_memory() {
    let config = ServerConfig {
        request_timeout: Duration::from_secs(5),
        bodies_bytes_max: 1,
        ..ServerConfig::default()
    };
    app_with(config, |app| async move {
        let never =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let stalled = Request::builder()
            .method(Method::POST)
            .uri("/api/tables")
            .header("authorization", format!("Bearer {KEY}"))
            .body(never)
            .unwrap();
        let began = app.clock.now();
        let answer = app.send(stalled).await;
        let error = answer.refused(504, "TIMEOUT", &["5000 ms"]);
        assert_eq!(error["attempted"], "create_table");
        assert_eq!(app.clock.now() - began, Duration::from_secs(5));

        let columns = json!([{"name": "a", "type": "text"}]);
        app.post("/api/tables", json!({"name": "t", "columns": columns})).await.ok();
    });
}

#[test]
fn a_path_that_is_not_utf8_is_refused() {
    app(|app| async move {
        app.get("/api/tables/%ff").await.refused(400, "VALIDATION_ERROR", &["path", "UTF-8"]);
        app.get("/api/tables/%E2%82%AC").await.refused(404, "TABLE_NOT_FOUND", &["€"]);
    });
}

#[test]
fn a_request_id_is_given_or_kept_if_it_is_harmless() {
    app(|app| async move {
        let with = |id: &str| {
            let mut request = request(Method::GET, "/api/tables", None);
            request.headers_mut().insert("x-request-id", id.parse().unwrap());
            app.send(request)
        };
        assert_eq!(with("from-the-proxy_7").await.headers["x-request-id"], "from-the-proxy_7");
        for bad in ["with space", "<script>", &"x".repeat(65)] {
            assert_ne!(with(bad).await.headers["x-request-id"], *bad);
        }
        let (one, other) = (app.get("/healthz").await, app.get("/healthz").await);
        assert_ne!(one.headers["x-request-id"], other.headers["x-request-id"]);
    });
}

#[test]
fn bodies_wait_for_one_another_when_they_might_fill_the_memory() {
    let config = ServerConfig {
        request_timeout: Duration::from_secs(5),
        body_bytes_max: 100_000,
        bodies_bytes_max: 100_000,
        ..ServerConfig::default()
    };
    app_with(config, |app| async move {
        let mut stalled = request(Method::POST, "/api/tables", None);
        *stalled.body_mut() =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let first = tokio::spawn({
            let app = app.clone();
            async move { app.send(stalled).await }
        });
        app.clock.sleep(Duration::from_secs(1)).await;
        let columns = json!([{"name": "a", "type": "text"}]);
        let second = app.post("/api/tables", json!({"name": "t", "columns": columns})).await;
        second.ok();
        first.await.unwrap().refused(504, "TIMEOUT", &[]);
        let waited = app.clock.now() - paceline_clock::Tick::ZERO;
        assert_eq!(
            waited,
            Duration::from_secs(5),
            "until the first one gave up, which said no length"
        );
    });
}
