//! What the log gets: enough to find a request and its fault again, and nothing that a caller keeps secret.

use std::io;
use std::sync::{Arc, Mutex};

use http::Method;

use crate::sick_store::{Sick, with_store};
use crate::support::{KEY, request};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends a request with an id of its own, and the path.
fn with_id(path: &str, id: &'static str) -> http::Request<axum::body::Body> {
    let mut request = request(Method::GET, path, None);
    request.headers_mut().insert("x-request-id", http::HeaderValue::from_static(id));
    request
}

/// The subscriber is that of the whole process: one of this thread only would miss what another test's thread was the
/// first to log, for tracing remembers per place whether anybody listens.
#[test]
fn a_request_is_found_again_by_its_id_with_its_fault_and_without_its_query() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    with_store(Sick::Broken, async |app| {
        let path = "/api/tables/t/rows?cursor=secret-in-the-query";
        app.send(with_id(path, "of-the-log-test-1")).await.refused(500, "DATABASE_ERROR", &[]);
        app.send(with_id("/healthz", "of-the-log-test-2")).await.ok();
        let path = format!("/ws/t?token={KEY}&client_id=secret-in-the-query");
        let mut socket = with_id(&path, "of-the-log-test-3");
        socket.headers_mut().remove("authorization");
        app.send(socket).await.refused(500, "DATABASE_ERROR", &[]);
    });
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line = |id: &str| log.lines().find(|line| line.contains(id)).unwrap().to_owned();
    let (failed, healthy) = (line("of-the-log-test-1"), line("of-the-log-test-2"));
    for word in ["ERROR", "GET", "/api/tables/{table}/rows", "status=500", "SELECT secret"] {
        assert!(failed.contains(word), "{word} is not in {failed}");
    }
    assert!(healthy.contains("/healthz") && healthy.contains("status=200"), "{healthy}");
    let socket = line("of-the-log-test-3");
    assert!(socket.contains("/ws/{table}") && socket.contains("status=500"), "{socket}");
    assert!(!log.contains("secret-in-the-query") && !log.contains(KEY), "{log}");
}
