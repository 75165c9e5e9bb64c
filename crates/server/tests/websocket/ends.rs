//! Who is not let in, and how a WebSocket is ended: always with a reason.

use futures_util::SinkExt;
use http::Method;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{KEY, Server};

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_gets_an_ordinary_reply() {
    let server = Server::start().await;
    server.table("airports").await;
    let token = format!("token={KEY}");
    let cases = [
        ("airports", "token=wrong", 401, "UNAUTHORIZED"),
        ("airports", "", 401, "UNAUTHORIZED"),
        ("airport", &token, 404, "TABLE_NOT_FOUND"),
        ("airports", "key=1", 400, "VALIDATION_ERROR"),
    ];
    for (table, query, status, code) in cases {
        let (got, body) = server.open(table, query).await.err().unwrap();
        assert_eq!((got, &body["error"]["code"]), (status, &json!(code)), "{query}");
        assert!(!body.to_string().contains("wrong"), "the token is not repeated: {body}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_of_a_client_takes_over_and_others_stay() {
    let server = Server::start().await;
    server.table("t").await;
    let (mut first, mut other) = (server.follow("t").await, server.follow_as("t", "other").await);
    first.hears("hello").await;
    other.hears("hello").await;
    let mut second = server.follow("t").await;
    second.hears("hello").await;
    first.ends(4001, "newer connection").await;
    server.insert("t", 1).await;
    second.hears("rows.inserted").await;
    other.hears("rows.inserted").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_ends_its_connections_at_once_and_no_others() {
    let server = Server::start().await;
    server.table("t").await;
    let path = "/api/settings/api-keys";
    let key = server.post(path, json!({"name": "page", "scope": "read"})).await;
    let query = format!("token={}", key["key"].as_str().unwrap());
    let mut peer = server.open("t", &query).await.ok().unwrap();
    let mut other = server.follow("t").await;
    peer.hears("hello").await;
    other.hears("hello").await;
    server.call(Method::DELETE, &format!("{path}/{}", key["id"]), Json::Null).await;
    peer.ends(4003, "revoked").await;
    server.insert("t", 1).await;
    other.hears("rows.inserted").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_ends_its_connections_and_one_that_is_restored_takes_new_ones() {
    let server = Server::start().await;
    let table = server.table("t").await;
    let mut peer = server.follow("t").await;
    peer.hears("hello").await;
    server.store().delete_table(table.id).await.unwrap();
    peer.ends(4004, "deleted").await;
    assert_eq!(server.open("t", &format!("token={KEY}")).await.err().unwrap().0, 410);
    server.store().restore_table(table.id, None).await.unwrap();
    let mut peer = server.follow("t").await;
    peer.hears("hello").await;
    server.insert("t", 1).await;
    peer.hears("rows.inserted").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_so_and_does_not_wait_for_its_clients() {
    let server = Server::start().await;
    server.table("t").await;
    let mut peer = server.follow("t").await;
    peer.hears("hello").await;
    let goes = tokio::spawn(async move { peer.ends(1001, "stops").await });
    server.stop().await;
    goes.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_too_much_is_ended() {
    let server = Server::start().await;
    server.table("t").await;
    let mut long = server.follow_as("t", "long").await;
    long.hears("hello").await;
    long.say("x".repeat(5_000)).await;
    long.ends(1009, "larger").await;

    let mut chatty = server.follow_as("t", "chatty").await;
    chatty.hears("hello").await;
    for _ in 0..101 {
        chatty.socket.feed(Message::Text(r#"{"type":"ping"}"#.into())).await.unwrap();
    }
    chatty.socket.flush().await.unwrap();
    for _ in 0..100 {
        chatty.hears("pong").await;
    }
    chatty.ends(4029, "too many").await;
    server.stop().await;
}
