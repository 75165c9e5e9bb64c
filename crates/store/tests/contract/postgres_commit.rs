//! A commit whose answer never comes, on PostgreSQL: the network breaks just before it, or just after.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use paceline_clock::{Clock, SimClock};
use paceline_model::{RowId, Store, Value};
use paceline_store::{Access, PostgresStore};

use crate::server::{NETWORK_USER, server};
use crate::support::leads;

const PASSES: u8 = 0;
/// The next commit reaches the server, and its answer nobody.
const SWALLOWS_ANSWER: u8 = 1;
/// The next commit does not reach the server.
const SWALLOWS_COMMIT: u8 = 2;

/// A network between store and server that breaks when told to.
fn network(port: u16, mood: &Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap().port();
    let mood = Arc::clone(mood);
    // Ends with the process: it waits for nobody else.
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, mood) = (client.unwrap(), Arc::clone(&mood));
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass_questions(up, server, &mood));
            std::thread::spawn(move || pass(down, client));
        }
    });
    here
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}

fn pass_questions(mut client: TcpStream, mut server: TcpStream, mood: &AtomicU8) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let question = &buffer[..count];
        if question.windows(7).any(|word| word == b"COMMIT\0") {
            let mood = mood.swap(PASSES, Ordering::SeqCst);
            if mood != PASSES {
                // Both directions break before the commit goes on its way, so that no answer comes through.
                let _ = client.shutdown(Shutdown::Both);
                if mood == SWALLOWS_ANSWER {
                    let _ = server.write_all(question);
                    // The server has answered, or found nobody to answer, when it closes.
                    let _ = server.shutdown(Shutdown::Write);
                    let _ = server.read_to_end(&mut Vec::new());
                }
                let _ = server.shutdown(Shutdown::Both);
                return;
            }
        }
        if server.write_all(question).is_err() {
            return;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

#[test]
fn a_commit_whose_answer_is_lost_is_asked_after() {
    let Some(server) = server() else { return };
    let mood = Arc::new(AtomicU8::new(PASSES));
    let port = network(server.port, &mood);
    let url = format!("postgres://{NETWORK_USER}@localhost:{port}/{}", server.database());
    SimClock::new().run(|_| async {
        let store = PostgresStore::open(&url, Clock::system(), Access::Shared).unwrap();
        let table = leads(store.as_ref()).await;
        let columns = [table.columns[0].id];
        let row = || vec![vec![Value::Null]];
        let insert = || store.insert_rows(table.id, &columns, row());
        mood.store(SWALLOWS_ANSWER, Ordering::SeqCst);
        assert_eq!(insert().await.unwrap(), Some((RowId(1), RowId(1))), "it was written");
        mood.store(SWALLOWS_COMMIT, Ordering::SeqCst);
        let error = insert().await.unwrap_err();
        assert!(error.retryable() && error.to_string().contains("nothing was written"), "{error}");
        assert_eq!(store.count_rows(table.id, None).await.unwrap(), 1);
        assert_eq!(insert().await.unwrap(), Some((RowId(2), RowId(2))));
        assert_eq!(mood.load(Ordering::SeqCst), PASSES, "both happened");
    });
}
