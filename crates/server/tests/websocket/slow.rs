//! A client that does not read: it loses its queue and is told so, and hurts nobody.

use std::time::Duration;

use paceline_model::{Filter, Store, Table, Value};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{KEY, Peer, Server, sequence};

/// Enough updates of ten thousand rows, at some 60 KB each, to fill the buffers of a socket and the queue.
const UPDATES: i64 = 90;

impl Server {
    /// A client whose socket takes in little that it does not read.
    pub(crate) async fn follow_slowly(&self, table: &str) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(self.addr).await.unwrap();
        self.open_on(stream, table, &format!("token={KEY}&client_id=slow")).await.ok().unwrap()
    }
}

async fn update_all(store: &dyn Store, table: &Table, n: i64) {
    let (column, value) = (table.columns[0].id, Value::Text(n.to_string()));
    store.update_rows(table.id, Filter::All(Vec::new()), &[column], vec![value]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_told_to_resync_and_the_others_miss_nothing() {
    let server = Server::start().await;
    let table = server.table("t").await;
    server.insert("t", 10_000).await;
    let mut slow = server.follow_slowly("t").await;
    let mut quick = server.follow("t").await;
    slow.hears("hello").await;
    let begin = sequence(&quick.hears("hello").await);
    for n in 0..UPDATES {
        update_all(&**server.store(), &table, n).await;
        quick.hears("rows.updated").await;
    }
    let mut heard = 0;
    let resync = loop {
        match slow.hear().await {
            (name, payload) if name == "resync" => break payload,
            (name, _) => assert_eq!(name, "rows.updated"),
        }
        heard += 1;
    };
    let since = resync["since"].as_i64().unwrap();
    assert!(heard < UPDATES && since >= begin && sequence(&resync) > since, "{heard}: {resync}");

    // It may read the table again and go on from here, or be told all that it has missed.
    slow.resume(since).await;
    while sequence(&slow.hears("rows.updated").await) < sequence(&resync) {}
    update_all(&**server.store(), &table, UPDATES).await;
    assert!(sequence(&slow.hears("rows.updated").await) > sequence(&resync));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes as long as a client may take for one message"]
async fn a_client_that_never_reads_is_closed() {
    let server = Server::start().await;
    let table = server.table("t").await;
    server.insert("t", 10_000).await;
    let mut slow = server.follow_slowly("t").await;
    for n in 0..UPDATES {
        update_all(&**server.store(), &table, n).await;
    }
    server.clock.sleep(Duration::from_secs(13)).await;
    let metrics = server.gauge("paceline_websockets").await;
    assert_eq!(metrics, 0, "it has no place any more");
    // What is left for it to read ends without a word.
    while let Some(Ok(Message::Text(_))) = futures_util::StreamExt::next(&mut slow.socket).await {}
    server.stop().await;
}
