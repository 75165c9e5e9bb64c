//! A server on a socket, and clients that follow its tables.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use futures_util::{SinkExt, StreamExt};
use http::{Method, Request, StatusCode};
use paceline_clock::{Clock, Random};
use paceline_engine::{Engine, EngineConfig, OutboundGuard, Sealer};
use paceline_model::{Store, Table};
use paceline_server::{ApiKeys, App, AppParts, ServerConfig, router, serve};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use tower::ServiceExt;

pub(crate) const KEY: &str = "test-key-of-the-operator";
/// Nothing that a test waits for takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    router: Router,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn start() -> Self {
        paceline_engine::install_tls();
        let (clock, random) = (Clock::system(), Random::system());
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(dir.path(), clock.clone()).unwrap();
        let engine_config = EngineConfig {
            outbound: OutboundGuard::private(true),
            sealer: Some(Sealer::new(&[7; 32], random.clone())),
            ..EngineConfig::default()
        };
        let engine = Engine::new(store, clock.clone(), random.clone(), engine_config);
        let keys = ApiKeys::from_key(KEY).unwrap();
        let parts = AppParts {
            engine: engine.clone(),
            clock: clock.clone(),
            random,
            keys,
            config: ServerConfig::default(),
            dir: None,
        };
        let app = App::new(parts);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(app.clone());
        let ended = tokio::spawn(serve(listener, app, async move {
            let _ = stopped.await;
        }));
        Self { addr, engine, clock, router, stop, ended, _dir: dir }
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        self.engine.store()
    }

    /// Stops it, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap();
    }

    /// A call of the API that succeeds; answers its data.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Json) -> Json {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {KEY}"));
        let request = request.header("content-type", "application/json");
        let body = if body.is_null() { Body::empty() } else { body.to_string().into() };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let mut body: Json = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(status, StatusCode::OK, "{body:#}");
        body["data"].take()
    }

    /// A number that `/metrics` tells.
    pub(crate) async fn gauge(&self, name: &str) -> i64 {
        let request = Request::builder().uri("/metrics");
        let request = request.header("authorization", format!("Bearer {KEY}"));
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await;
        let bytes = to_bytes(response.unwrap().into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Json) -> Json {
        self.call(Method::POST, path, body).await
    }

    /// A table with one column of text.
    pub(crate) async fn table(&self, name: &str) -> Table {
        let columns = json!([{"name": "a", "type": "text"}]);
        self.post("/api/tables", json!({"name": name, "columns": columns})).await;
        self.store().table(name).await.unwrap().unwrap()
    }

    pub(crate) async fn insert(&self, table: &str, count: usize) {
        let rows: Vec<Json> = (0..count).map(|n| json!({"a": format!("row {n}")})).collect();
        self.post(&format!("/api/tables/{table}/rows"), json!({"rows": rows})).await;
    }

    pub(crate) async fn follow(&self, table: &str) -> Peer {
        self.open(table, &format!("token={KEY}")).await.unwrap()
    }

    pub(crate) async fn follow_as(&self, table: &str, client: &str) -> Peer {
        self.open(table, &format!("token={KEY}&client_id={client}")).await.unwrap()
    }

    /// Opens a WebSocket, or answers why not.
    pub(crate) async fn open(&self, table: &str, query: &str) -> Result<Peer, (u16, Json)> {
        self.open_on(TcpStream::connect(self.addr).await.unwrap(), table, query).await
    }

    pub(crate) async fn open_on(
        &self,
        stream: TcpStream,
        table: &str,
        query: &str,
    ) -> Result<Peer, (u16, Json)> {
        let url = format!("ws://{}/ws/{table}?{query}", self.addr);
        match client_async(url, stream).await {
            Ok((socket, _)) => Ok(Peer { socket, clock: self.clock.clone() }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), serde_json::from_slice(&body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// The other end of a WebSocket.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
    clock: Clock,
}

impl Peer {
    /// The next message's type and payload.
    pub(crate) async fn hear(&mut self) -> (String, Json) {
        loop {
            match self.packet().await {
                Message::Text(text) => {
                    let mut message: Json = serde_json::from_str(&text).unwrap();
                    let name = message["type"].as_str().unwrap().to_owned();
                    return (name, message["payload"].take());
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no message: {other:?}"),
            }
        }
    }

    /// The payload of the next message, which is of this type.
    pub(crate) async fn hears(&mut self, wanted: &str) -> Json {
        let (name, payload) = self.hear().await;
        assert_eq!(name, wanted, "{payload:#}");
        payload
    }

    pub(crate) async fn packet(&mut self) -> Message {
        tokio::select! {
            packet = self.socket.next() => packet.unwrap().unwrap(),
            () = self.clock.sleep(PATIENCE) => panic!("nothing came"),
        }
    }

    pub(crate) async fn say(&mut self, text: impl Into<String>) {
        self.socket.send(Message::Text(text.into().into())).await.unwrap();
    }

    pub(crate) async fn resume(&mut self, since: i64) {
        let message = json!({"type": "subscribe", "payload": {"since_sequence": since}});
        self.say(message.to_string()).await;
    }

    /// Holds the connection to end now, for this reason, said twice.
    pub(crate) async fn ends(&mut self, code: u16, words: &str) {
        let bye = self.hears("bye").await;
        assert_eq!(bye["code"], code, "{bye}");
        assert!(bye["reason"].as_str().unwrap().contains(words), "{bye}");
        match self.packet().await {
            Message::Close(Some(frame)) => {
                assert_eq!(
                    (u16::from(frame.code), frame.reason.as_str()),
                    (code, bye["reason"].as_str().unwrap())
                );
            }
            other => panic!("it is not closed: {other:?}"),
        }
        // It may be cut off, if the server had not read all that was sent.
        assert!(!matches!(self.socket.next().await, Some(Ok(_))));
    }
}

/// How far a message brings its reader.
pub(crate) fn sequence(payload: &Json) -> i64 {
    payload["sequence"].as_i64().unwrap()
}
