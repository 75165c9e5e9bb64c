//! The messages, both ways: JSON of the form `{"type": ..., "payload": {...}}`.

use axum::extract::ws::Utf8Bytes;
use paceline_model::{RowId, TableId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use serde_json::value::RawValue;

use crate::error::{ApiError, Result};
use crate::ops::runs::RunView;

/// What a server says. `sequence` is how far its client has come once it has applied the message.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "payload")]
pub(super) enum Message<'a> {
    /// Everything up to `sequence` is in the table; what comes after it follows.
    #[serde(rename = "hello")]
    Hello { sequence: i64, table: &'a str, table_id: TableId, oldest: i64 },
    #[serde(rename = "rows.inserted")]
    Inserted { sequence: i64, first: RowId, last: RowId, count: i64 },
    #[serde(rename = "rows.updated")]
    Updated { sequence: i64, rows: &'a [RowId] },
    #[serde(rename = "rows.deleted")]
    Deleted { sequence: i64, rows: &'a [RowId] },
    #[serde(rename = "reload")]
    Reload { sequence: i64 },
    #[serde(rename = "cells")]
    Cells { sequence: i64, cells: &'a [Box<RawValue>], more: &'a [More] },
    #[serde(rename = "schema.changed")]
    Schema { sequence: i64 },
    #[serde(rename = "run")]
    Run {
        sequence: i64,
        #[serde(flatten)]
        run: &'a RunView,
    },
    /// Changes `from..=to` will not be told.
    #[serde(rename = "gap")]
    Gap { from: i64, to: i64, sequence: i64 },
    /// What came after `since` was dropped, up to `sequence`.
    #[serde(rename = "resync")]
    Resync { since: Option<i64>, sequence: i64 },
    #[serde(rename = "pong")]
    Pong { sequence: i64 },
    #[serde(rename = "error")]
    Error { message: &'a str, known: &'a [&'a str] },
    #[serde(rename = "bye")]
    Bye { code: u16, reason: &'a str },
}

/// Cells of one column that changed and are to be read.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct More {
    pub(super) column: String,
    pub(super) rows: Vec<i64>,
}

impl Message<'_> {
    /// Its bytes, to be shared by all who get it.
    pub(super) fn text(&self) -> Result<Utf8Bytes> {
        let text = serde_json::to_string(self);
        let text = text.map_err(|error| ApiError::internal(format!("a message: {error}")))?;
        Ok(text.into())
    }
}

/// A message on its way to clients.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// How far a client has come with it.
    pub(super) sequence: i64,
    /// It tells no change, but how things stand at the moment.
    pub(super) passing: bool,
    pub(super) text: Utf8Bytes,
}

impl Frame {
    pub(super) fn of(sequence: i64, message: &Message<'_>) -> Result<Self> {
        Ok(Self { sequence, passing: false, text: message.text()? })
    }

    pub(super) fn passing(sequence: i64, message: &Message<'_>) -> Result<Self> {
        Ok(Self { passing: true, ..Self::of(sequence, message)? })
    }
}

/// The types of what a client may say.
pub(super) const KNOWN: [&str; 2] = ["subscribe", "ping"];

/// What a client says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// Go on after this number.
    Subscribe {
        since: i64,
    },
    Ping,
}

#[derive(Deserialize)]
struct Envelope {
    r#type: String,
    #[serde(default)]
    payload: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    since_sequence: u64,
}

impl Said {
    /// Reads a message; the error is for the client.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let envelope: Envelope = serde_json::from_str(text).map_err(|_| {
            "this is no message: send JSON like {\"type\": \"ping\", \"payload\": {}}".to_owned()
        })?;
        match envelope.r#type.as_str() {
            "ping" => Ok(Self::Ping),
            "subscribe" => {
                let payload: Subscribe =
                    serde_json::from_value(envelope.payload).map_err(|_| {
                        "subscribe takes the payload {\"since_sequence\": N}, N a whole number from 0 on"
                            .to_owned()
                    })?;
                Ok(Self::Subscribe {
                    since: i64::try_from(payload.since_sequence).unwrap_or(i64::MAX),
                })
            }
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(format!("there is no message {shown:?}; the messages are {}", KNOWN.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_is_read_or_answered_with_what_it_may_say() {
        let since = |since| Ok(Said::Subscribe { since });
        let cases = [
            (r#"{"type":"ping"}"#, Ok(Said::Ping)),
            (r#"{"type":"subscribe","payload":{"since_sequence":7}}"#, since(7)),
            (
                r#"{"type":"subscribe","payload":{"since_sequence":18446744073709551615}}"#,
                since(i64::MAX),
            ),
            (r#"{"type":"subscribe"}"#, Err("since_sequence")),
            (r#"{"type":"subscribe","payload":{"since_sequence":-1}}"#, Err("since_sequence")),
            (r#"{"type":"subscribe","payload":{"since":1}}"#, Err("since_sequence")),
            (r#"{"type":"ack"}"#, Err("the messages are subscribe, ping")),
            ("[]", Err("no message")),
            ("", Err("no message")),
        ];
        for (text, wanted) in cases {
            match (Said::parse(text), wanted) {
                (Err(message), Err(words)) => assert!(message.contains(words), "{message}"),
                (read, wanted) => assert_eq!(read, wanted.map_err(str::to_owned), "{text}"),
            }
        }
    }

    #[test]
    fn a_message_is_a_type_and_a_payload() {
        let message = Message::Inserted { sequence: 9, first: RowId(1), last: RowId(3), count: 3 };
        let wanted =
            r#"{"type":"rows.inserted","payload":{"sequence":9,"first":1,"last":3,"count":3}}"#;
        assert_eq!(message.text().unwrap().as_str(), wanted);
    }
}
