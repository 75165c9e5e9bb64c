//! MCP over HTTP, as its clients speak it: JSON-RPC to `/mcp`, through the router that the server serves.

mod cells;
mod requests;
mod seed;
mod size;
mod tools;
mod wrong_calls;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value as Json, json};
use tower::ServiceExt;

use crate::support::{KEY, TestApp};

/// The tool that does every operation which is no tool of its own.
const OTHERS: &str = "hypertab_call_operation";

/// A client of one app.
#[derive(Clone)]
struct Client {
    app: TestApp,
    key: &'static str,
    path: String,
}

/// The result of a tool.
#[derive(Debug)]
struct Called {
    is_error: bool,
    /// Our envelope.
    body: Json,
}

impl Client {
    fn of(app: &TestApp) -> Self {
        Self { app: app.clone(), key: KEY, path: "/mcp".to_owned() }
    }

    fn with_key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }

    fn with_toolsets(self, toolsets: &str) -> Self {
        Self { path: format!("/mcp?toolsets={toolsets}"), ..self }
    }

    /// A request as most clients send it.
    fn request(&self, message: &Json) -> Request<Body> {
        Request::builder()
            .method("POST")
            .uri(&self.path)
            .header("host", "127.0.0.1:7223")
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", "2025-11-25")
            .body(message.to_string().into())
            .unwrap()
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Json) {
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let body = if bytes.is_empty() {
            Json::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error}: {bytes:?}"))
        };
        (parts.status, parts.headers, body)
    }

    /// The whole answer to a method, a result or an error of the protocol.
    async fn ask(&self, method: &str, params: Json) -> Json {
        let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let (status, _, answer) = self.send(self.request(&message)).await;
        assert_eq!((status, &answer["id"]), (StatusCode::OK, &json!(7)), "{answer:#}");
        answer
    }

    async fn result(&self, method: &str, params: Json) -> Json {
        let answer = self.ask(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer:#}");
        answer["result"].clone()
    }

    async fn tools(&self) -> Vec<Json> {
        self.result("tools/list", json!({})).await["tools"].as_array().unwrap().clone()
    }

    async fn names(&self) -> Vec<String> {
        let tools = self.tools().await;
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Calls a tool and holds the result to what is true of every one.
    async fn call(&self, name: &str, arguments: Json) -> Called {
        let params = json!({"name": name, "arguments": arguments});
        Called::of(self.result("tools/call", params).await)
    }

    /// The data of a call that must succeed.
    async fn data(&self, name: &str, arguments: Json) -> Json {
        let called = self.call(name, arguments).await;
        assert!(!called.is_error, "{name}: {:#}", called.body);
        called.body["data"].clone()
    }

    /// Makes the call of a hint.
    async fn follow(&self, hint: &Json) -> Called {
        self.call(hint["tool"].as_str().unwrap(), hint["arguments"].clone()).await
    }
}

impl Called {
    fn of(result: Json) -> Self {
        let text = result["content"][0]["text"].as_str().unwrap();
        let told: Json = serde_json::from_str(text).unwrap();
        assert_eq!(told, result["structuredContent"], "the text is the same JSON");
        assert_eq!(result["content"].as_array().unwrap().len(), 1);
        let called = Self { is_error: result["isError"] == true, body: told };
        assert_eq!(called.body["success"], !called.is_error);
        for hint in called.body["hints"].as_array().into_iter().flatten() {
            assert!(hint["tool"].as_str().unwrap().starts_with("hypertab_"), "{hint}");
            assert!(hint["arguments"].is_object() && hint["why"].is_string(), "{hint}");
        }
        called
    }

    #[track_caller]
    fn refused(&self, code: &str, words: &[&str]) -> &Json {
        assert!(self.is_error, "{:#}", self.body);
        let error = &self.body["error"];
        assert_eq!(error["code"], code, "{error:#}");
        for field in ["message", "attempted", "fix"] {
            assert!(!error[field].as_str().unwrap_or_default().is_empty(), "{field}: {error:#}");
        }
        let message = error["message"].as_str().unwrap();
        for word in words {
            assert!(message.contains(word), "{word:?} is not in {message:?}");
        }
        error
    }
}
