//! What lies outside the server: real sockets on loopback, and names that resolve to what a test says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::routing::{Router, any, get};
use http::{HeaderMap, StatusCode};
use paceline_clock::{Clock, Random};
use paceline_engine::{
    Engine, EngineConfig, NameResolver, OutboundGuard, ProviderFactory, Sealer, install_tls,
};
use paceline_server::{ApiKeys, App, AppParts, ServerConfig, router};
use paceline_store::SqliteStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{KEY, TestApp, Vendor};

/// A web of two servers: one that may be called, and one that nobody may get to.
pub(crate) struct Outside {
    pub(crate) app: TestApp,
    /// Answers; opened by the allow list.
    pub(crate) open: SocketAddr,
    /// Counts who connects, and is opened by nothing.
    pub(crate) closed: SocketAddr,
    connections: Arc<AtomicUsize>,
}

impl Outside {
    /// `rules` open what they name, besides the server that answers.
    pub(crate) async fn new(rules: &[&str]) -> Self {
        install_tls();
        let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (open_at, closed_at) = (open.local_addr().unwrap(), closed.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(open, web()).await });
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = closed.accept().await {
                seen.fetch_add(1, Ordering::Relaxed);
                drop(stream);
            }
        });
        let rules = rules.iter().map(|rule| (*rule).to_owned()).chain([open_at.to_string()]);
        let allow = rules.map(|rule| rule.parse().unwrap()).collect();
        let app = app(OutboundGuard { allow_private: false, allow });
        Self { app, open: open_at, closed: closed_at, connections }
    }

    /// How often somebody connected to where nobody may.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) async fn request(&self, url: &str) -> crate::support::Answer {
        self.app.post("/api/http-request", json!({"method": "GET", "url": url})).await
    }
}

fn app(outbound: OutboundGuard) -> TestApp {
    let (clock, random) = (Clock::system(), Random::seeded(1));
    let config = EngineConfig {
        outbound,
        sealer: Some(Sealer::new(&[7; 32], random.clone())),
        providers: ProviderFactory::HttpWith(Arc::new(Names)),
        ..EngineConfig::default()
    };
    let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let engine = Engine::new(store, clock.clone(), random.clone(), config);
    let parts = AppParts {
        engine: engine.clone(),
        clock: clock.clone(),
        random,
        keys: ApiKeys::from_key(KEY).unwrap(),
        config: ServerConfig::default(),
        dir: None,
    };
    let app = App::new(parts);
    let vendor = Arc::new(Vendor::new(clock.clone()));
    TestApp { router: router(app.clone()), app, engine, clock, vendor }
}

/// `A-B-C-D.to.example` resolves to that address, several with `.and.`; nothing else is known.
struct Names;

#[async_trait]
impl NameResolver for Names {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host == "metadata.google.internal" || host == "intranet" {
            return Ok(vec![[127, 0, 0, 1].into()]);
        }
        let addresses = host.strip_suffix(".to.example").ok_or(io::ErrorKind::NotFound)?;
        let parse = |text: &str| {
            let text =
                if text.contains("--") { text.replace('-', ":") } else { text.replace('-', ".") };
            text.parse().map_err(|_| io::ErrorKind::NotFound.into())
        };
        addresses.split(".and.").map(parse).collect()
    }
}

/// The server that answers.
fn web() -> Router {
    Router::new()
        .route("/to", any(redirect))
        .route("/text/{bytes}", get(async |Path(bytes): Path<usize>| "é".repeat(bytes / 2)))
        .route("/items/{count}", get(items))
        .route("/broken", get(async || "{\"half\": "))
        .route("/echo", any(echo))
        .route("/v1/models", get(models))
        .route("/never", get(std::future::pending::<()>))
}

async fn redirect(RawQuery(place): RawQuery) -> (StatusCode, [(&'static str, String); 1]) {
    (StatusCode::FOUND, [("location", place.unwrap_or_default())])
}

async fn items(Path(count): Path<usize>) -> Json<Value> {
    let item = |number| json!({"number": number, "text": "x".repeat(90)});
    Json(json!({"items": (0..count).map(item).collect::<Vec<_>>(), "next": "last"}))
}

async fn echo(method: http::Method, headers: HeaderMap, body: String) -> Json<Value> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let named = ["authorization", "content-type", "x-odd"]
        .map(|name| (name.to_owned(), json!(header(name))));
    Json(
        json!({"method": method.as_str(), "body": body, "headers": Value::Object(named.into_iter().collect())}),
    )
}

async fn models(headers: HeaderMap) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|value| value != "Bearer good-key-123456") {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "key"})));
    }
    (
        StatusCode::OK,
        Json(json!({"data": [{"id": "small"}, {"id": "large"}, {"id": "large"}, {"no": 1}]})),
    )
}
