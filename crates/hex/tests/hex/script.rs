//! A wire that answers by a script, for what the lab's Hex does not do.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, Method};
use paceline_clock::{Clock, Tick};
use paceline_governor::Transport;
use paceline_hex::{Wire, WireError, WireEvents, WireReply, WireRequest};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ask {
    Project,
    Runs,
    Post,
    Status,
    Cancel,
}

/// One answer of the script.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Reply(u16, Vec<(&'static str, String)>, String),
    Fail(Transport),
    /// The head, and then nothing more.
    BreakAfter(u16),
}

pub(crate) fn reply(status: u16, body: &str) -> Say {
    Say::Reply(status, Vec::new(), body.to_owned())
}

/// Answers from a list per kind of call; the last one of a list stays.
pub(crate) struct Script {
    answers: Mutex<HashMap<Ask, VecDeque<Say>>>,
    pub(crate) calls: Mutex<Vec<(Ask, Tick)>>,
    clock: Clock,
}

impl Script {
    /// A project `p` that is published, has no runs, and whose run `r` starts and is completed.
    pub(crate) fn new(clock: &Clock) -> Arc<Self> {
        let script =
            Self { answers: Mutex::default(), calls: Mutex::default(), clock: clock.clone() };
        script.say(
            Ask::Project,
            [reply(200, r#"{"id":"p","lastPublishedAt":"2026-01-01T00:00:00Z"}"#)],
        );
        script.say(Ask::Runs, [reply(200, r#"{"runs":[]}"#)]);
        script.say(Ask::Post, [reply(201, r#"{"projectId":"p","runId":"r","projectVersion":3}"#)]);
        script.say(Ask::Status, [reply(200, r#"{"runId":"r","status":"COMPLETED"}"#)]);
        script.say(Ask::Cancel, [reply(204, "")]);
        Arc::new(script)
    }

    pub(crate) fn say(&self, ask: Ask, answers: impl IntoIterator<Item = Say>) {
        self.answers.lock().unwrap().insert(ask, answers.into_iter().collect());
    }

    /// When this was asked for.
    pub(crate) fn times(&self, ask: Ask) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(other, _)| *other == ask)
            .map(|(_, at)| at.as_millis() / 1_000)
            .collect()
    }
}

fn kind(request: &WireRequest) -> Ask {
    let depth = request.url.path().split('/').filter(|part| !part.is_empty()).count();
    match (&request.method, depth) {
        (&Method::POST, _) => Ask::Post,
        (&Method::DELETE, _) => Ask::Cancel,
        (_, 4) => Ask::Project,
        (_, 5) => Ask::Runs,
        _ => Ask::Status,
    }
}

#[async_trait]
impl Wire for Script {
    async fn call(
        &self,
        request: WireRequest,
        events: &mut dyn WireEvents,
    ) -> Result<WireReply, WireError> {
        let ask = kind(&request);
        self.calls.lock().unwrap().push((ask, self.clock.now()));
        let answer = {
            let mut answers = self.answers.lock().unwrap();
            let answers = answers.get_mut(&ask).unwrap();
            if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() }
        };
        let fail = |kind| Err(WireError::Transport { kind, message: format!("{kind:?}") });
        match answer {
            Say::Fail(kind) => {
                if kind.may_have_arrived() {
                    events.sent();
                }
                fail(kind)
            }
            Say::BreakAfter(status) => {
                events.sent();
                events.head(status, &HeaderMap::new());
                fail(Transport::Broken)
            }
            Say::Reply(status, headers, body) => {
                events.sent();
                let named = |(name, value): (&str, String)| {
                    (HeaderName::try_from(name).unwrap(), value.parse().unwrap())
                };
                let headers: HeaderMap = headers.into_iter().map(named).collect();
                events.head(status, &headers);
                Ok(WireReply { status, headers, body: body.into() })
            }
        }
    }
}
