//! How a call ended, from what came back: what the budget learns, and what the cell gets.

use paceline_governor::{
    Hints, Outcome, OutcomeClass, Transport, classify_response, classify_status,
    classify_transport, retry_after_in_body,
};
use paceline_model::{AttemptClass, CellError, Column, Value};

use super::HttpWork;
use super::events::Heard;
use crate::kind::{Cause, Refusal};
use crate::task::cell_error;
use crate::{CallError, Reply};

/// The error of a cell whose request has no answer in the recording that is replayed.
pub(crate) const NOT_RECORDED: &str = "NOT_RECORDED";

/// How a call ended: what the budget learns, what is kept, and the value if there is one.
pub(in crate::task) struct Verdict {
    pub(in crate::task) outcome: Outcome,
    pub(in crate::task) status: Option<u16>,
    pub(in crate::task) value: Option<Value>,
    pub(in crate::task) error: Option<CellError>,
    /// It may have taken effect, nobody knows, and it may not be repeated.
    pub(in crate::task) unknown: bool,
    pub(in crate::task) arrived: bool,
    /// How many tokens it took, where the vendor says so.
    pub(in crate::task) tokens: Option<u64>,
    /// No row can work until a person has done something.
    pub(in crate::task) stops: bool,
    /// Whether the vendor said no in its own words, so that a status of 200 does not say that it worked.
    told: bool,
}

impl Verdict {
    /// Whether a replay found no answer: then no other source is asked in its place.
    pub(in crate::task) fn is_not_recorded(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.code == NOT_RECORDED)
    }

    /// What the budget learns. A row that the vendor refuses is no failure of the others, and its breaker does not count it;
    /// an answer that says it worked and cannot be read is mostly the doing of the column's configuration, and it does.
    pub(super) fn lesson(&self) -> Outcome {
        let worked = !self.told && self.status.is_some_and(|status| (200..=299).contains(&status));
        match self.outcome.class {
            OutcomeClass::RowCaused if worked => {
                Outcome { class: OutcomeClass::Transient, ..self.outcome }
            }
            _ => self.outcome,
        }
    }
}

pub(super) fn class_of(verdict: &Verdict) -> AttemptClass {
    if verdict.unknown {
        return AttemptClass::Unknown;
    }
    match verdict.outcome.class {
        OutcomeClass::Success => AttemptClass::Success,
        OutcomeClass::Throttled => AttemptClass::Throttled,
        OutcomeClass::Transient => AttemptClass::Transient,
        OutcomeClass::RowCaused => AttemptClass::RowCaused,
        OutcomeClass::ConfigurationCaused => AttemptClass::ConfigurationCaused,
    }
}

pub(super) fn judge(
    http: &HttpWork,
    column: &Column,
    heard: Option<&Heard>,
    result: &Result<Reply, CallError>,
) -> Verdict {
    let hints = heard.map(|heard| heard.hints).unwrap_or_default();
    let error = match result {
        Ok(reply) => return judge_reply(http, column, reply, &hints),
        Err(error) => error,
    };
    if let Some(heard) = heard.filter(|heard| !(200..=299).contains(&heard.status)) {
        // The head said no; that its body was too long or broke off is no matter.
        let (headers, body) = Default::default();
        return judge_reply(http, column, &Reply { status: heard.status, headers, body }, &hints);
    }
    match error {
        CallError::TooLong { status, .. } => Verdict {
            outcome: Outcome::of(OutcomeClass::RowCaused),
            status: Some(*status),
            value: None,
            error: Some(cell_error("REPLY_TOO_LONG", error.to_string())),
            unknown: false,
            arrived: true,
            tokens: None,
            stops: false,
            told: false,
        },
        CallError::Transport { kind, message } => judge_transport(http, *kind, message),
        CallError::NotRecorded(message) => Verdict {
            outcome: Outcome::of(OutcomeClass::RowCaused),
            status: None,
            value: None,
            error: Some(cell_error(NOT_RECORDED, message)),
            unknown: false,
            arrived: false,
            tokens: None,
            stops: false,
            told: false,
        },
    }
}

fn judge_transport(http: &HttpWork, kind: Transport, message: &str) -> Verdict {
    let code = match kind {
        Transport::Timeout => "TIMEOUT",
        Transport::Broken => "CONNECTION_BROKEN",
        Transport::Connect => "NO_CONNECTION",
        Transport::UnknownHost => "UNKNOWN_HOST",
        Transport::Blocked => "BLOCKED_URL",
    };
    let arrived = kind.may_have_arrived();
    let unknown = arrived && !http.call.repeatable();
    let error = if unknown { unknown_error(message) } else { cell_error(code, message) };
    Verdict {
        outcome: classify_transport(kind),
        status: None,
        value: None,
        error: Some(error),
        unknown,
        arrived,
        tokens: None,
        stops: false,
        told: false,
    }
}

fn judge_reply(http: &HttpWork, column: &Column, reply: &Reply, hints: &Hints) -> Verdict {
    let mut outcome = outcome_of(reply, hints, &http.retry_on);
    if let Some(refusal) = http.call.refusal(reply) {
        return refused(refusal, reply.status, hints);
    }
    let mut verdict = Verdict {
        outcome,
        status: Some(reply.status),
        value: None,
        error: None,
        unknown: false,
        arrived: true,
        tokens: None,
        stops: false,
        told: false,
    };
    if let Some(cause) = http.call.cause(reply) {
        let Cause { outcome, error, stops } = cause;
        return Verdict { outcome, error: Some(error), stops, ..verdict };
    }
    if outcome.class == OutcomeClass::Success {
        match http.call.read(reply, column) {
            Ok(answer) => {
                verdict.tokens = answer.tokens;
                verdict.value = Some(answer.value);
            }
            Err(error) => {
                outcome.class = OutcomeClass::RowCaused;
                verdict.error = Some(error);
            }
        }
    } else {
        // A gateway's error may hide a call that went through.
        verdict.unknown = matches!(reply.status, 502 | 504) && !http.call.repeatable();
        let message = status_message(reply);
        verdict.error = Some(if verdict.unknown {
            unknown_error(&message)
        } else {
            cell_error("HTTP_STATUS", message)
        });
    }
    verdict.outcome = outcome;
    verdict
}

/// A no in the vendor's own words.
fn refused(refusal: Refusal, status: u16, hints: &Hints) -> Verdict {
    let throttled = refusal.class == OutcomeClass::Throttled;
    Verdict {
        outcome: Outcome {
            class: refusal.class,
            retry_after: throttled.then(|| hints.hold_after_refusal()).flatten(),
            credential_refused: refusal.credential,
        },
        status: Some(status),
        value: None,
        error: Some(refusal.error),
        unknown: refusal.unknown,
        arrived: true,
        tokens: None,
        stops: false,
        told: true,
    }
}

/// What the head says; for a refusal whose head says nothing of when, what its body says.
fn outcome_of(reply: &Reply, hints: &Hints, retry_on: &[u16]) -> Outcome {
    let outcome = classify_response(reply.status, hints, retry_on);
    let silent = matches!(reply.status, 429 | 503) && outcome.retry_after.is_none();
    match silent.then(|| retry_after_in_body(&reply.body)).flatten() {
        Some(wait) => classify_status(reply.status, Some(wait), retry_on),
        None => outcome,
    }
}

fn status_message(reply: &Reply) -> String {
    let reason =
        http::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason());
    let mut message = format!("the vendor answered HTTP {}", reply.status);
    if let Some(reason) = reason {
        message = format!("{message} ({reason})");
    }
    if let Some(location) = reply.header("location").filter(|_| (300..400).contains(&reply.status))
    {
        return format!("{message}; redirects are not followed, call {location} instead");
    }
    let body = String::from_utf8_lossy(&reply.body[..reply.body.len().min(200)]).trim().to_owned();
    if body.is_empty() { message } else { format!("{message}: {body}") }
}

fn unknown_error(message: &str) -> CellError {
    let text = format!(
        "{message}. The call may have taken effect and is not repeated; look at the vendor's side, then settle this cell \
         as done, failed or to be sent again, or allow repeating with an Idempotency-Key header"
    );
    cell_error("OUTCOME_UNKNOWN", text)
}
