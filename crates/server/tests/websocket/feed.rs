//! What a client hears, and how it goes on where it was.

use paceline_lab::{Lab, VendorConfig};
use paceline_model::{Filter, Operator, Subject, Test, Value};
use serde_json::json;

use crate::support::{Peer, Server, sequence};

/// The rows whose ids are at least this.
pub(crate) fn from_row(id: i64) -> Filter {
    let operator = Operator::Gte(Value::Int(id));
    Filter::Test(Test { subject: Subject::Id, path: Vec::new(), operator })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_greeted_and_told_each_change_with_its_number() {
    let server = Server::start().await;
    let table = server.table("t").await;
    let mut peer = server.follow("t").await;
    let hello = peer.hears("hello").await;
    assert_eq!((&hello["table"], &hello["table_id"]), (&json!("t"), &json!(table.id)));
    server.insert("t", 10_000).await;
    let inserted = peer.hears("rows.inserted").await;
    assert_eq!(
        (&inserted["first"], &inserted["last"], &inserted["count"]),
        (&json!(1), &json!(10_000), &json!(10_000)),
        "ten thousand rows are one message"
    );
    let column = table.columns[0].id;
    let values = vec![Value::Text("b".into())];
    server.store().update_rows(table.id, from_row(9_999), &[column], values).await.unwrap();
    let updated = peer.hears("rows.updated").await;
    assert_eq!(updated["rows"], json!([9_999, 10_000]));
    server.store().delete_rows(table.id, from_row(10_000)).await.unwrap();
    let deleted = peer.hears("rows.deleted").await;
    assert_eq!(deleted["rows"], json!([10_000]));
    let numbers = [&hello, &inserted, &updated, &deleted].map(sequence);
    assert!(numbers.is_sorted() && hello["oldest"].as_i64().unwrap() <= numbers[0], "{numbers:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_is_told_what_it_missed_in_order_and_then_goes_on() {
    let server = Server::start().await;
    let table = server.table("t").await;
    let mut peer = server.follow("t").await;
    let left_at = sequence(&peer.hears("hello").await);
    drop(peer);
    server.insert("t", 5).await;
    server.store().delete_rows(table.id, from_row(5)).await.unwrap();
    server.insert("t", 2).await;

    let mut peer = server.follow_as("t", "again").await;
    let now = sequence(&peer.hears("hello").await);
    peer.resume(left_at).await;
    assert_eq!(peer.hears("rows.inserted").await["last"], 5);
    assert_eq!(peer.hears("rows.deleted").await["rows"], json!([5]));
    let last = peer.hears("rows.inserted").await;
    assert_eq!((last["count"].as_i64(), sequence(&last)), (Some(2), now), "it has caught up");
    server.insert("t", 1).await;
    assert_eq!(peer.hears("rows.inserted").await["count"], 1, "and nothing is told twice");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resumes_from_a_number_that_is_not_kept_or_not_known_is_told_so() {
    let server = Server::start().await;
    server.table("first").await;
    server.table("t").await;
    let mut peer = server.follow("t").await;
    let hello = peer.hears("hello").await;
    let oldest = hello["oldest"].as_i64().unwrap();
    assert!(oldest > 1, "the changes before it are another table's");
    peer.resume(0).await;
    let gap = peer.hears("gap").await;
    assert_eq!((gap["from"].as_i64(), gap["to"].as_i64()), (Some(1), Some(sequence(&hello))));
    peer.resume(1_000_000).await;
    let resync = peer.hears("resync").await;
    assert_eq!((&resync["since"], sequence(&resync)), (&json!(null), sequence(&hello)));
    server.insert("t", 1).await;
    assert_eq!(peer.hears("rows.inserted").await["count"], 1, "it goes on either way");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cells_of_a_run_come_with_their_values_before_its_end() {
    let server = Server::start().await;
    let lab = Lab::start(VendorConfig::default(), server.clock.clone(), ([127, 0, 0, 1], 0).into());
    let lab = lab.await.unwrap();
    server.table("t").await;
    server.insert("t", 3).await;
    let mut peer = server.follow("t").await;
    peer.hears("hello").await;
    let url = format!("http://{}/geo/nearest?lat=42.36&lon=-71.01", lab.addr());
    let column = json!({"name": "near", "type": "text", "kind": "http",
        "config": {"url": url, "extract": "$.name"}, "rate_limit": "aggressive"});
    server.post("/api/tables/t/smart-columns", column).await;
    peer.hears("schema.changed").await;
    server.post("/api/tables/t/columns/near/run", json!({})).await;
    let (cells, run) = to_the_end_of_the_run(&mut peer).await;
    assert_eq!(cells, 3);
    assert_eq!((&run["table"], &run["column"]), (&json!("t"), &json!("near")));
    assert_eq!((&run["status"], &run["counts"]["completed"]), (&json!("completed"), &json!(3)));
    server.stop().await;
}

/// How many cells were completed, and the last word on the run.
async fn to_the_end_of_the_run(peer: &mut Peer) -> (usize, serde_json::Value) {
    let mut completed = 0;
    loop {
        let (name, payload) = peer.hear().await;
        match name.as_str() {
            "cells" => {
                for cell in payload["cells"].as_array().unwrap() {
                    assert_eq!(
                        (&cell["column"], &cell["state"]),
                        (&json!("near"), &json!("completed"))
                    );
                    assert!(cell["value"].is_string(), "{cell}");
                    completed += 1;
                }
            }
            "run" if payload["status"] == "completed" => return (completed, payload),
            "run" => assert!(payload["status"] == "queued" || payload["status"] == "running"),
            other => panic!("{other}: {payload}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_is_answered_with_what_is_one() {
    let server = Server::start().await;
    server.table("t").await;
    let mut peer = server.follow("t").await;
    let at = sequence(&peer.hears("hello").await);
    peer.say(r#"{"type":"ping"}"#).await;
    assert_eq!(sequence(&peer.hears("pong").await), at);
    for text in [r#"{"type":"ack","payload":{}}"#, "{", r#"{"type":"subscribe"}"#] {
        peer.say(text).await;
        let error = peer.hears("error").await;
        assert_eq!(error["known"], json!(["subscribe", "ping"]), "{error}");
    }
    server.stop().await;
}
