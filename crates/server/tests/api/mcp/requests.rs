//! What comes before any tool: keys, headers, bodies, and clients that come and go.

use axum::body::Body;
use http::{Request, StatusCode};
use paceline_server::ServerConfig;
use serde_json::{Value as Json, json};

use super::Client;
use crate::support::{app, app_with};

fn initialize(version: &str) -> Json {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    });
    json!({"jsonrpc": "2.0", "id": 7, "method": "initialize", "params": params})
}

#[test]
fn a_client_begins_with_whatever_revision_it_speaks() {
    app(|app| async move {
        let client = Client::of(&app);
        for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            let mut request = client.request(&initialize(version));
            request.headers_mut().remove("mcp-protocol-version");
            let (status, headers, answer) = client.send(request).await;
            assert_eq!(status, StatusCode::OK, "{answer:#}");
            assert!(headers.get("mcp-session-id").is_none(), "there are no sessions");
            let result = &answer["result"];
            assert_eq!(result["protocolVersion"], version);
            assert_eq!(result["serverInfo"]["name"], "paceline");
            assert!(result["serverInfo"]["version"].is_string());
            assert!(result["instructions"].as_str().unwrap().contains("explain_cell"));
            assert!(result["instructions"].as_str().unwrap().len() < 1_000);
        }
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let (status, _, body) = client.send(client.request(&note)).await;
        assert_eq!((status, body), (StatusCode::ACCEPTED, Json::Null));
        client.result("ping", json!({})).await;
    });
}

#[test]
fn the_newest_revision_needs_no_beginning() {
    app(|app| async move {
        let client = Client::of(&app);
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        for (method, name, params) in [
            ("server/discover", None, json!({"_meta": meta})),
            ("tools/list", None, json!({"_meta": meta})),
            (
                "tools/call",
                Some("hypertab_list_tables"),
                json!({"_meta": meta, "name": "hypertab_list_tables", "arguments": {}}),
            ),
        ] {
            let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
            let mut request = client.request(&message);
            let headers = request.headers_mut();
            headers.insert("mcp-protocol-version", "2026-07-28".parse().unwrap());
            headers.insert("mcp-method", method.parse().unwrap());
            if let Some(name) = name {
                headers.insert("mcp-name", name.parse().unwrap());
            }
            let (status, _, answer) = client.send(request).await;
            assert_eq!(status, StatusCode::OK, "{method}: {answer:#}");
            assert!(answer.get("error").is_none(), "{method}: {answer:#}");
        }
    });
}

#[test]
fn a_key_is_asked_for_with_every_request() {
    app(|app| async move {
        let client = Client::of(&app);
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let mut none = client.request(&list);
        none.headers_mut().remove("authorization");
        let wrong = client.clone().with_key("wrong").request(&list);
        for request in [none, wrong] {
            let (status, headers, body) = client.send(request).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert_eq!(headers["www-authenticate"], "Bearer");
            assert_eq!(body["error"]["code"], "UNAUTHORIZED");
        }
    });
}

#[test]
fn pages_in_browsers_and_names_of_others_are_turned_away() {
    app(|app| async move {
        let client = Client::of(&app);
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        for origin in ["https://evil.example", "http://localhost:7223", "null"] {
            let mut request = client.request(&list);
            request.headers_mut().insert("origin", origin.parse().unwrap());
            let (status, _, body) = client.send(request).await;
            assert_eq!(
                (status, &body["error"]["code"]),
                (StatusCode::FORBIDDEN, &json!("FORBIDDEN"))
            );
        }
        for (host, is_ok) in [
            ("localhost", true),
            ("LOCALHOST:7223", true),
            ("127.0.0.1:7223", true),
            ("[::1]:7223", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example:7223", false),
            ("", false),
        ] {
            let mut request = client.request(&list);
            request.headers_mut().insert("host", host.parse().unwrap());
            let (status, _, _) = client.send(request).await;
            let wanted = if is_ok { StatusCode::OK } else { StatusCode::FORBIDDEN };
            assert_eq!(status, wanted, "{host:?}");
        }
    });
    let open = ServerConfig { loopback_hosts_only: false, ..ServerConfig::default() };
    app_with(open, |app| async move {
        let client = Client::of(&app);
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let mut request = client.request(&list);
        request.headers_mut().insert("host", "tables.example".parse().unwrap());
        assert_eq!(client.send(request).await.0, StatusCode::OK);
    });
}

#[test]
fn what_is_no_message_is_refused_in_the_envelope() {
    let small = ServerConfig { body_bytes_max: 2_000, ..ServerConfig::default() };
    app_with(small, |app| async move {
        let client = Client::of(&app);
        let long = format!("\"{}\"", "x".repeat(3_000));
        let cases = [
            ("", 400, "INVALID_JSON"),
            ("{", 400, "INVALID_JSON"),
            ("[]", 400, "INVALID_JSON"),
            ("{\"a\": 1}", 400, "INVALID_JSON"),
            ("\u{1}", 400, "INVALID_JSON"),
            (long.as_str(), 413, "BODY_TOO_LARGE"),
        ];
        for (body, status, code) in cases {
            let mut request = client.request(&Json::Null);
            *request.body_mut() = body.to_owned().into();
            let (got, _, answer) = client.send(request).await;
            assert_eq!(
                (got.as_u16(), &answer["error"]["code"]),
                (status, &json!(code)),
                "{body:?}: {answer:#}"
            );
        }
        let mut request = client.request(&Json::Null);
        request.headers_mut().insert("content-type", "text/plain".parse().unwrap());
        let (status, _, _) = client.send(request).await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        // Only what differs from a plain request is asked of a client.
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let mut plain = client.request(&list);
        for header in ["accept", "content-type", "mcp-protocol-version"] {
            plain.headers_mut().remove(header);
        }
        assert_eq!(client.send(plain).await.0, StatusCode::OK);
    });
}

#[test]
fn there_is_no_session_to_open_hold_or_end() {
    app(|app| async move {
        let client = Client::of(&app);
        for method in ["GET", "DELETE"] {
            let request = Request::builder()
                .method(method)
                .uri("/mcp")
                .header("host", "localhost")
                .header("authorization", format!("Bearer {}", client.key))
                .header("mcp-session-id", "somebody")
                .body(Body::empty())
                .unwrap();
            let (status, headers, _) = client.send(request).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(headers["allow"], "POST", "{method}");
        }
        // A client that kept an id from another life is served like any other.
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let mut request = client.request(&list);
        request.headers_mut().insert("mcp-session-id", "somebody".parse().unwrap());
        assert_eq!(client.send(request).await.0, StatusCode::OK);
    });
}

#[test]
fn unknown_methods_are_errors_of_the_protocol() {
    app(|app| async move {
        let answer = Client::of(&app).ask("tables/burn", json!({})).await;
        assert_eq!(answer["error"]["code"], -32601, "{answer:#}");
    });
}
