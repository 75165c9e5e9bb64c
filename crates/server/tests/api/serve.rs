//! The server on a socket: that it answers, that it stops, and that what is under way gets to its end.

use std::net::SocketAddr;

use paceline_clock::Clock;
use paceline_server::{ServerConfig, serve};
use paceline_store::SqliteStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{KEY, TestApp};

struct Served {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

async fn served(config: ServerConfig) -> Served {
    let clock = Clock::system();
    let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let app = TestApp::over(store, clock.clone(), config);
    let app = app.app;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let ended = tokio::spawn(serve(listener, app, async move {
        let _ = stopped.await;
    }));
    Served { addr, stop, ended }
}

/// Sends text, reads to the end of the connection.
async fn exchange(addr: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

#[tokio::test]
async fn it_answers_and_stops_when_told_to() {
    let served = served(ServerConfig::default()).await;
    let reply =
        exchange(served.addr, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await;
    assert!(
        reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("\"status\":\"ok\""),
        "{reply}"
    );

    // A connection that is open and idle does not hold it up.
    let mut idle = TcpStream::connect(served.addr).await.unwrap();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap();
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
    assert!(TcpStream::connect(served.addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_request_under_way_gets_its_answer_though_the_server_stops() {
    let served = served(ServerConfig::default()).await;
    let body = r#"{"name": "t", "columns": [{"name": "a", "type": "text"}]}"#;
    let head = format!(
        "POST /api/tables HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    // It says "continue" when it has begun to read the body, so from here on the request is under way.
    let mut read = [0; 25];
    stream.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"HTTP/1.1 100 Continue\r\n\r\n");
    served.stop.send(()).unwrap();
    let mut attempts = 0..1_000;
    let refused = loop {
        if attempts.next().is_none() || TcpStream::connect(served.addr).await.is_err() {
            break attempts.next().is_some();
        }
        tokio::task::yield_now().await;
    };
    assert!(refused, "while it drains, nobody is let in to wait in vain");
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("create_table"), "{reply}");
    served.ended.await.unwrap();
}

#[tokio::test]
async fn a_request_that_does_not_end_does_not_hold_it_up_for_ever() {
    let config = ServerConfig {
        drain_timeout: std::time::Duration::from_millis(20),
        ..ServerConfig::default()
    };
    let served = served(config).await;
    let head = format!(
        "POST /api/tables HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
    );
    let mut stream = TcpStream::connect(served.addr).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 25]).await.unwrap();
    served.stop.send(()).unwrap();
    served.ended.await.unwrap();
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap_or(0), 0, "it is closed");
}

#[tokio::test]
async fn one_connection_more_than_there_are_places_waits_for_one() {
    let config = ServerConfig { connections_max: 1, ..ServerConfig::default() };
    let served = served(config).await;
    let mut first = TcpStream::connect(served.addr).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut byte = [0; 1];
    first.read_exact(&mut byte).await.unwrap();

    let mut second = TcpStream::connect(served.addr).await.unwrap();
    second
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let waiting = tokio::spawn(async move {
        let mut reply = String::new();
        second.read_to_string(&mut reply).await.unwrap();
        reply
    });
    // A whole exchange on the first connection later, the second still has no place.
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut reply = vec![0; 64];
    first.read_exact(&mut reply).await.unwrap();
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap().starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let idle_timeout = std::time::Duration::from_millis(20);
    let served = served(ServerConfig { idle_timeout, ..ServerConfig::default() }).await;
    // These end only because the server closes.
    let never_asked = exchange(served.addr, "GET /heal").await;
    assert!(!never_asked.contains("200 OK"), "{never_asked}");
    let asked_once = exchange(served.addr, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(asked_once.starts_with("HTTP/1.1 200 OK\r\n"), "{asked_once}");
}
