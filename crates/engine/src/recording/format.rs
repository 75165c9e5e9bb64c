//! The lines of a recording. Times are microseconds since the epoch, as the recording machine's clock had it.

use paceline_governor::Transport;
use paceline_model::{
    Caps, CellState, Column, ColumnType, RowId, RunId, RunStatus, Scope, SmartKind,
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The version of the format; a reader takes no other.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// The first.
    Recording(Box<Header>),
    /// A row was taken up.
    Row(Row),
    /// A call was made.
    Call(Box<Call>),
    /// A cell came to its end.
    Cell(Cell),
    /// The run goes on after it stopped, or after its process died.
    Resumed(Resumed),
    /// The recording is as long as it may be: most of what comes after this is left out.
    Full(Full),
    /// The run stopped, for good or until it is resumed.
    End(End),
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Of the format.
    pub version: u32,
    /// The program that wrote it.
    pub program: String,
    /// When it began.
    pub at_us: i64,
    /// The run.
    pub run: RunId,
    /// Which cells it was to fill.
    pub scope: Scope,
    /// How much it might do.
    #[serde(default, skip_serializing_if = "Caps::is_none")]
    pub caps: Caps,
    /// The name of the table.
    pub table: String,
    /// The columns that the recorded one is made from, in the order of a row's values.
    pub inputs: Vec<InColumn>,
    /// The column that was filled.
    pub column: InColumn,
    /// Its kind.
    pub kind: SmartKind,
    /// Its configuration; secrets are masked.
    pub config: Json,
    /// Its rate as it was written.
    pub rate_limit: Json,
    /// The stored AI provider that it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<StoredProvider>,
    /// What held its calls back.
    pub limits: Limits,
    /// Bytes that the recording may have.
    pub bytes_max: u64,
}

/// A column of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InColumn {
    /// Its name.
    pub name: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The type of its values.
    #[serde(rename = "type")]
    pub kind: ColumnType,
    /// Of a select.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Its values go into secrets: each is replaced by a word that is the same wherever the value is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl InColumn {
    pub(crate) fn of(column: &Column, secret: bool) -> Self {
        Self {
            name: column.name.clone(),
            title: column.title.clone(),
            kind: if secret { ColumnType::Text } else { column.kind },
            options: if secret { Vec::new() } else { column.options.clone() },
            secret,
        }
    }
}

/// A stored AI provider without its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredProvider {
    /// The name of the service.
    pub service: String,
    /// Where it is.
    pub base_url: String,
}

/// What held calls back when the recording began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The column's own limits.
    pub limits: Vec<String>,
    /// Calls at once.
    pub concurrent_max: u32,
    /// The budget that it named, which a replay does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
}

/// A row as the run took it up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its id.
    pub row: RowId,
    /// Its values in the columns of [`Header::inputs`].
    pub values: Vec<Json>,
    /// Why nothing was to be called for it, where a replay cannot find that out: how other columns stood
    /// (`UPSTREAM_FAILED`, ...), or that the value of an earlier run was taken (`REUSED`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
}

/// One call and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// For which row.
    pub row: RowId,
    /// Which attempt of its cell, from 1.
    pub attempt: u32,
    /// Of a waterfall: which source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When it was begun.
    pub at_us: i64,
    /// Its method.
    pub method: String,
    /// Its address without secrets.
    pub url: String,
    /// Its headers; those that carry secrets are masked.
    pub headers: Vec<(String, String)>,
    /// The beginning of its body, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Bytes of its body.
    pub body_bytes: usize,
    /// A hash of method, address, headers and body without what is secret or new each time: equal requests have the same.
    pub key: String,
    /// Whether it left.
    pub sent: bool,
    /// The head of the reply, if it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// How it ended.
    pub outcome: Outcome,
    /// From its beginning to its end.
    pub took_us: u64,
}

/// The head of a reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// From the beginning of the call.
    pub after_us: u64,
    /// HTTP status.
    pub status: u16,
    /// Headers; those that carry secrets are masked.
    pub headers: Vec<(String, String)>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The reply came whole.
    Body(Content),
    /// It did not.
    Failed(Failure),
    /// It was longer than this many bytes.
    TooLong(usize),
}

/// A body, with secrets masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Text.
    Text(String),
    /// Anything else.
    Base64(String),
}

/// No whole reply came back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In which way.
    #[serde(with = "transport")]
    pub kind: Transport,
    /// What happened.
    pub message: String,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its row.
    pub row: RowId,
    /// How far it came.
    pub state: CellState,
    /// Its value, secrets masked; null if it has none.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub value: Json,
    /// The code of its error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the error says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// See [`Line::Resumed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resumed {
    pub(super) at_us: i64,
}

/// See [`Line::Full`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Full {
    pub(super) at_us: i64,
}

/// The run stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at_us: i64,
    /// How it stood then.
    pub status: RunStatus,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Lines of rows, calls and cells that were written since the recording began or was gone on with,
    pub lines: u64,
    /// and that were left out because the recording was full.
    pub left_out: u64,
}

/// How a way to fail is written.
mod transport {
    use paceline_governor::Transport;
    use serde::{Deserialize, Deserializer, Serializer};

    const NAMES: [(Transport, &str); 5] = [
        (Transport::Connect, "connect"),
        (Transport::UnknownHost, "unknown_host"),
        (Transport::Blocked, "blocked"),
        (Transport::Broken, "broken"),
        (Transport::Timeout, "timeout"),
    ];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(kind: &Transport, to: S) -> Result<S::Ok, S::Error> {
        let name = NAMES.iter().find(|(known, _)| known == kind);
        to.serialize_str(name.map_or("broken", |(_, name)| name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Transport, D::Error> {
        let text = String::deserialize(from)?;
        let known = NAMES.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind);
        let names = NAMES.map(|(_, name)| name).join(", ");
        known.ok_or_else(|| serde::de::Error::custom(format!("kind is not one of {names}")))
    }
}
