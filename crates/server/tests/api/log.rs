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

#[test]
fn a_request_is_found_again_by_its_id_with_its_fault_and_without_its_query() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let id = tracing::subscriber::with_default(subscriber, || {
        let (send, receive) = std::sync::mpsc::channel();
        with_store(Sick::Broken, async |app| {
            let path = "/api/tables/t/rows?cursor=secret-in-the-query";
            let answer = app.send(request(Method::GET, path, None)).await;
            send.send(answer.headers["x-request-id"].to_str().unwrap().to_owned()).unwrap();
            app.get("/healthz").await.ok();
        });
        receive.recv().unwrap()
    });
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let line = log.lines().find(|line| line.contains(&id)).unwrap();
    for word in
        ["ERROR", "GET", "/api/tables/{table}/rows", "status=500", "SELECT secret FROM inside"]
    {
        assert!(line.contains(word), "{word} is not in {line}");
    }
    assert!(
        log.lines().any(|line| line.contains("/healthz") && line.contains("status=200")),
        "{log}"
    );
    assert!(!log.contains("secret-in-the-query") && !log.contains(KEY), "{log}");
}
