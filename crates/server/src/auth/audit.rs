//! The audit log (hypertab.md a1): who did what to what, from where, and how it ended. Names, never values.
//!
//! Lines are queued and written in groups, some milliseconds after what they are about; a kill in between loses those. The
//! queue is bounded: if the store is away for so long that it is full, lines are counted instead, and the log says how many.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{Store, limits};
use serde_json::{Map, Value as Json, json};
use tokio::sync::watch;
use url::Url;

use super::Caller;
use super::caller::Face;
use crate::catalog::{Operation, Place, Verb};
use crate::error::ApiError;

/// What was done.
pub(crate) const DONE: &str = "audit";
/// Who was not let in. A log of its own, so that no flood washes out what was done.
pub(crate) const REFUSED: &str = "audit_refused";
/// Lines of one write.
const GROUP_MAX: usize = 500;
/// How long to wait for a store that is away.
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of one name of a target.
const NAME_CHARS_MAX: usize = 80;

/// Writes the audit log.
#[derive(Clone)]
pub(crate) struct Audit(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Clock,
    queue: Mutex<Queue>,
    /// Whether everything is written.
    idle: watch::Sender<bool>,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Line>,
    writing: bool,
    lost: u64,
}

struct Line {
    log: &'static str,
    key: i64,
    body: Json,
}

/// A call that will be on record when it has ended.
pub(crate) struct Draft {
    key: i64,
    body: Map<String, Json>,
}

impl Draft {
    /// `None` for a look over REST, which is in the request log and changes nothing.
    pub(crate) fn of(
        operation: &Operation,
        caller: &Caller,
        arguments: &Map<String, Json>,
    ) -> Option<Self> {
        if operation.verb == Verb::Get && caller.face != Face::Mcp {
            return None;
        }
        let mut body = Map::new();
        body.insert("key".to_owned(), caller.key.to_string().into());
        body.insert("name".to_owned(), caller.name.as_ref().into());
        body.insert("face".to_owned(), json!(caller.face));
        body.insert("address".to_owned(), json!(caller.address));
        body.insert("operation".to_owned(), operation.name.into());
        body.insert("target".to_owned(), target(operation, arguments).into());
        Some(Self { key: caller.key.number(), body })
    }
}

/// What an operation is about: what its path names, what is to have a name, and the host that is called.
fn target(operation: &Operation, arguments: &Map<String, Json>) -> Map<String, Json> {
    let mut target = Map::new();
    for field in operation.fields {
        let Some(value) = arguments.get(field.name) else { continue };
        let named = field.place == Place::Path || matches!(field.name, "name" | "label" | "table");
        match value {
            Json::String(text) if field.name == "url" => {
                let host = Url::parse(text).ok().and_then(|url| url.host_str().map(Json::from));
                target.extend(host.map(|host| ("host".to_owned(), host)));
            }
            Json::String(text) if named => {
                let name: String = text.chars().take(NAME_CHARS_MAX).collect();
                target.insert(field.name.to_owned(), name.into());
            }
            Json::Number(_) if named => {
                target.insert(field.name.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    target
}

impl Audit {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let idle = watch::Sender::new(true);
        Self(Arc::new(Inner { store, clock, queue: Mutex::default(), idle }))
    }

    /// Puts a call on record, with how it ended.
    pub(crate) fn ended(&self, draft: Draft, error: Option<&ApiError>) {
        let Draft { key, mut body } = draft;
        body.insert("status".to_owned(), error.map_or(200, |error| error.0.code.status()).into());
        if let Some(error) = error {
            body.insert("code".to_owned(), error.0.code.as_str().into());
        }
        self.add(Line { log: DONE, key, body: body.into() });
    }

    /// Puts on record that somebody was not let in.
    pub(crate) fn stranger(&self, address: Option<IpAddr>, what: &str, why: &str) {
        let what: String = what.chars().take(NAME_CHARS_MAX).collect();
        let body = json!({"address": address, "attempted": what, "status": 401, "code": "UNAUTHORIZED", "why": why});
        self.add(Line { log: REFUSED, key: 0, body });
    }

    /// Puts on record that a key was shown that may not do this.
    pub(crate) fn forbidden(&self, caller: &Caller, operation: &'static str) {
        let body = json!({
            "key": caller.key.to_string(), "name": caller.name.as_ref(), "face": caller.face,
            "address": caller.address, "operation": operation, "status": 403, "code": "FORBIDDEN",
        });
        self.add(Line { log: REFUSED, key: caller.key.number(), body });
    }

    /// Waits until everything that was put on record is written.
    pub(crate) async fn written(&self) {
        // The sender lives as long as this.
        let _ = self.0.idle.subscribe().wait_for(|idle| *idle).await;
    }

    fn add(&self, line: Line) {
        let mut queue = self.0.queue();
        if queue.lines.len() >= limits::AUDIT_QUEUE_MAX {
            queue.lost += 1;
            return;
        }
        queue.lines.push_back(line);
        if !std::mem::replace(&mut queue.writing, true) {
            self.0.idle.send_replace(false);
            tokio::spawn(Arc::clone(&self.0).write());
        }
    }
}

impl Inner {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing is left.
    async fn write(self: Arc<Self>) {
        while let Some((log, lines)) = self.next_group() {
            let keep = if log == DONE { limits::AUDIT_KEPT } else { limits::AUDIT_REFUSALS_KEPT };
            loop {
                match self.store.append_entries(log, lines.clone(), keep).await {
                    Ok(_) => break,
                    Err(error) if error.retryable() => self.clock.sleep(PAUSE).await,
                    Err(error) => {
                        tracing::error!(%error, log, lines = lines.len(), "audit lines were lost");
                        break;
                    }
                }
            }
        }
    }

    /// The next lines of one log; with none, the writer is done.
    fn next_group(&self) -> Option<(&'static str, Vec<(i64, Json)>)> {
        let mut queue = self.queue();
        let Some(log) = queue.lines.front().map(|line| line.log) else {
            queue.writing = false;
            self.idle.send_replace(true);
            return None;
        };
        let mut lines = Vec::new();
        while lines.len() < GROUP_MAX
            && let Some(line) = queue.lines.pop_front_if(|line| line.log == log)
        {
            lines.push((line.key, line.body));
        }
        match std::mem::take(&mut queue.lost) {
            0 => {}
            lost => lines.push((0, json!({"lost": lost}))),
        }
        Some((log, lines))
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audit").field("queued", &self.0.queue().lines.len()).finish_non_exhaustive()
    }
}
