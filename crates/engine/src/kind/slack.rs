//! A column of kind `integration` with the provider `slack`: one message per row, posted once.
//!
//! Slack knows no idempotency key, so a message of which nobody knows whether it was posted is `unknown` until a person has
//! looked into the channel.

mod answer;
mod spec;

use std::borrow::Cow;

use paceline_model::{CellError, Column, ColumnId, ColumnType, Value};
use serde_json::{Value as Json, json};

use super::{Answer, Call, Refusal};
use crate::{HttpColumn, Reply, Request};

pub(super) use spec::{PROVIDER, SlackSpec};

/// How a message gets to Slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// An incoming webhook, whose address is the secret and names the channel.
    Webhook,
    /// `chat.postMessage` with a token.
    Token {
        /// Whether the channel is the same for every row: then a wrong one is nobody's row's fault.
        one_channel: bool,
    },
}

struct SlackCall {
    http: HttpColumn,
    way: Way,
    identity: String,
}

impl Call for SlackCall {
    fn inputs(&self) -> &[ColumnId] {
        &self.http.inputs
    }

    fn repeatable(&self) -> bool {
        false
    }

    fn names_timeout(&self) -> bool {
        self.http.names_timeout
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    /// Values are escaped: a row that says `<!channel>` shall not ring everybody's bell.
    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        let escaped: Vec<Value> = values.iter().map(escaped).collect();
        self.http.render(&escaped, key)
    }

    fn secret_path(&self) -> bool {
        self.way == Way::Webhook
    }

    fn refusal(&self, reply: &Reply) -> Option<Refusal> {
        answer::refusal(self.way, reply)
    }

    /// `true`; as text, the message's `ts`; as JSON, its `channel` and `ts`. A webhook tells neither.
    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        let told: Json = serde_json::from_slice(&reply.body).unwrap_or_default();
        let value = match column.kind {
            ColumnType::Boolean => Value::Bool(true),
            ColumnType::Text => Value::Text(told["ts"].as_str().unwrap_or("ok").to_owned()),
            _ if self.way == Way::Webhook => Value::Json(json!({"ok": true})),
            _ => Value::Json(json!({"ok": true, "channel": told["channel"], "ts": told["ts"]})),
        };
        Ok(Answer { value, tokens: None })
    }
}

/// The three characters that Slack gives a meaning to, in every text of a value.
/// (<https://docs.slack.dev/messaging/formatting-message-text>: escaping text)
fn escaped(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(escaped_text(text).into_owned()),
        Value::Json(json) => Value::Json(escaped_json(json)),
        other => other.clone(),
    }
}

/// How deep the JSON lies was checked when it came in.
fn escaped_json(json: &Json) -> Json {
    match json {
        Json::String(text) => Json::String(escaped_text(text).into_owned()),
        Json::Array(items) => items.iter().map(escaped_json).collect(),
        Json::Object(fields) => {
            fields.iter().map(|(name, json)| (name.clone(), escaped_json(json))).collect()
        }
        other => other.clone(),
    }
}

fn escaped_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}
