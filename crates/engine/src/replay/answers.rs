//! The provider of a replay: it answers from the recording.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use paceline_clock::{Clock, Tick};
use paceline_governor::Transport;
use paceline_model::RowId;

use crate::recording::{Call, Content, Outcome, Recording, request_key};
use crate::{CallError, CallEvents, Provider, Reply, Request};

/// Characters of an address that an error tells.
const ADDRESS_SHOWN: usize = 200;

/// See the module.
pub(super) struct Answers {
    clock: Clock,
    calls: Vec<Call>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Calls that were not asked for yet, by row and request, the first first.
    of_row: HashMap<(RowId, String), VecDeque<usize>>,
    /// And by request alone.
    of_key: HashMap<String, VecDeque<usize>>,
    used: Vec<bool>,
    /// The recorded ids of the rows of the replay's table.
    rows: HashMap<RowId, RowId>,
    /// How often each row asked.
    asked: HashMap<RowId, u64>,
}

impl Answers {
    pub(super) fn new(recording: &Recording, clock: Clock) -> Self {
        let mut state = State { used: vec![false; recording.calls.len()], ..State::default() };
        for (at, call) in recording.calls.iter().enumerate() {
            state.of_row.entry((call.row, call.key.clone())).or_default().push_back(at);
            state.of_key.entry(call.key.clone()).or_default().push_back(at);
        }
        Self { clock, calls: recording.calls.clone(), state: Mutex::new(state) }
    }

    /// Which recorded row a row of the replay's table is.
    pub(super) fn know(&self, rows: impl Iterator<Item = (RowId, RowId)>) {
        self.lock().rows.extend(rows);
    }

    /// How often a recorded row asked.
    pub(super) fn asked(&self, row: RowId) -> u64 {
        self.lock().asked.get(&row).copied().unwrap_or_default()
    }

    /// Calls of the recording that nobody asked for.
    pub(super) fn unused(&self) -> u64 {
        self.lock().used.iter().filter(|used| !**used).count() as u64
    }

    /// The next answer to an equal request of that row; where the row never made such a request, one that another row got:
    /// of rows with equal requests it may be another one now that makes the call.
    fn take(&self, row: RowId, key: String) -> Option<&Call> {
        let mut state = self.lock();
        let row = state.rows.get(&row).copied().unwrap_or(row);
        *state.asked.entry(row).or_default() += 1;
        let State { of_row, of_key, used, .. } = &mut *state;
        let queue = match of_row.get_mut(&(row, key.clone())) {
            Some(own) => own,
            None => of_key.get_mut(&key)?,
        };
        while let Some(at) = queue.pop_front() {
            if !std::mem::replace(used.get_mut(at)?, true) {
                return self.calls.get(at);
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until so long after `began`; false if the request's own time is over by then.
    async fn comes(&self, began: Tick, after_us: u64, timeout: Duration) -> bool {
        let after = Duration::from_micros(after_us);
        self.clock.sleep_until(began + after.min(timeout)).await;
        after <= timeout
    }
}

#[async_trait]
impl Provider for Answers {
    async fn call(
        &self,
        request: Request,
        events: &mut dyn CallEvents,
    ) -> Result<Reply, CallError> {
        let key = request_key(&request, false, str::to_owned);
        let row = events.cell().map(|(row, _)| row);
        let Some(call) = row.and_then(|row| self.take(row, key)) else {
            return Err(not_recorded(&request));
        };
        if call.sent {
            events.sent();
        }
        let (began, timeout) = (self.clock.now(), request.timeout);
        let timed_out = || CallError::Transport {
            kind: Transport::Timeout,
            message: format!("no whole reply within {} ms", timeout.as_millis()),
        };
        let mut head = (0, HeaderMap::new());
        if let Some(told) = &call.head {
            if !self.comes(began, told.after_us, timeout).await {
                return Err(timed_out());
            }
            head = (told.status, headers(&told.headers));
            events.head(head.0, &head.1);
        }
        if !self.comes(began, call.took_us, timeout).await {
            return Err(timed_out());
        }
        let (status, headers) = head;
        match &call.outcome {
            Outcome::Body(content) => {
                let body = body(content)?;
                let bytes_max = request.reply_bytes_max;
                if body.len() > bytes_max {
                    return Err(CallError::TooLong { status, bytes_max });
                }
                Ok(Reply { status, headers, body })
            }
            Outcome::Failed(failure) => {
                Err(CallError::Transport { kind: failure.kind, message: failure.message.clone() })
            }
            Outcome::TooLong(bytes_max) => {
                Err(CallError::TooLong { status, bytes_max: *bytes_max })
            }
        }
    }
}

fn not_recorded(request: &Request) -> CallError {
    let address: String = request.url.as_str().chars().take(ADDRESS_SHOWN).collect();
    CallError::NotRecorded(format!(
        "the recording has no answer (any more) to {} {address} of this row; what is sent was changed, or is sent more often \
         than it was. Record the run anew",
        request.method
    ))
}

fn headers(recorded: &[(String, String)]) -> HeaderMap {
    let parsed = recorded.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    let mut headers = HeaderMap::new();
    for (name, value) in parsed {
        headers.append(name, value);
    }
    headers
}

fn body(content: &Content) -> Result<Bytes, CallError> {
    match content {
        Content::Text(text) => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Content::Base64(text) => STANDARD.decode(text).map(Bytes::from).map_err(|error| {
            CallError::NotRecorded(format!("the recorded reply is not base64: {error}"))
        }),
    }
}
