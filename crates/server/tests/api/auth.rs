//! Who is let in.

use axum::body::Body;
use http::{Method, Request};
use paceline_server::{KeyScope, operations};
use serde_json::json;

use crate::support::{KEY, READ_KEY, app};

fn with_header(method: &str, path: &str, authorization: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.body(Body::empty()).unwrap()
}

/// The path of an operation with something in its gaps.
fn filled(path: &str) -> String {
    path.replace("{table}", "airports")
        .replace("{column}", "near")
        .replace("{run}", "1")
        .replace("{row}", "1")
        .replace("{key}", "1")
        .replace("{provider}", "1")
}

#[test]
fn health_is_open_and_tells_nothing_but_the_version() {
    app(|app| async move {
        let answer = app.send(with_header("GET", "/healthz", None)).await;
        assert_eq!(*answer.ok(), json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}));
    });
}

#[test]
fn nothing_else_answers_without_the_key() {
    app(|app| async move {
        app.airports().await;
        let wrong = [
            (None, "there is no key"),
            (Some("Bearer wrong"), "not known"),
            (Some("Bearer test-key-of-the-operato"), "not known"),
            (Some("Bearer test-key-of-the-operatorr"), "not known"),
            (Some("Basic dGVzdA=="), "Bearer KEY"),
            (Some(KEY), "Bearer KEY"),
        ];
        let routes =
            operations().map(|operation| (operation.verb.as_str(), filled(operation.path)));
        let others = [
            ("GET", "/".to_owned()),
            ("GET", "/api/nothing".to_owned()),
            ("DELETE", "/api/tables".to_owned()),
        ];
        for (method, path) in routes.chain(others) {
            for (header, words) in wrong {
                let answer = app.send(with_header(method, &path, header)).await;
                answer.refused(401, "UNAUTHORIZED", &[words]);
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
                assert!(!answer.body.to_string().contains("operato"), "no key is echoed");
            }
        }
    });
}

#[test]
fn a_key_may_do_what_its_scope_says_and_no_more() {
    app(|app| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        for operation in operations() {
            let header = format!("bearer {READ_KEY}");
            let answer = app
                .send(with_header(operation.verb.as_str(), &filled(operation.path), Some(&header)))
                .await;
            if operation.scope > KeyScope::Read {
                answer.refused(403, "FORBIDDEN", &[operation.name, operation.scope.as_str()]);
            } else {
                assert_ne!(answer.status, 403, "{}", operation.name);
            }
        }
        assert!(app.vendor.calls().is_empty());
    });
}

#[test]
fn the_key_is_asked_for_before_the_body_is_read() {
    app(|app| async move {
        let never =
            Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request =
            Request::builder().method(Method::POST).uri("/api/tables").body(never).unwrap();
        app.send(request).await.refused(401, "UNAUTHORIZED", &[]);
    });
}
