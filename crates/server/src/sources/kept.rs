//! Sources at rest: what was asked for, and how far each has come.

use paceline_clock::Timestamp;
use paceline_model::{Filter, Table, TableId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Headers, Mapping};
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::follow::{self, Position};
use crate::kept::{self, Standing};

/// Random bytes of a secret that we make: beyond guessing, so that a plain hash of it may be kept.
const SECRET_BYTES: usize = 32;

/// What a source is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Source {
    /// The item with its state.
    pub(crate) state: i64,
    pub(crate) enabled: bool,
    #[serde(flatten)]
    pub(crate) kind: SourceKind,
}

/// Where its rows come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum SourceKind {
    /// Calls of somebody else's.
    Webhook { field_mapping: Mapping, secret_hash: String },
    /// An API that is asked by the clock.
    ApiPull(Box<Pull>),
    /// Another table.
    ConnectedTable {
        source_table: TableId,
        filter: Option<Json>,
        /// From a path of the other table's rows to a column of this one.
        field_mapping: Mapping,
    },
    /// A file that was imported once.
    CsvImport { job: i64 },
    /// People.
    Manual,
}

/// See [`SourceKind::ApiPull`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pull {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: Headers,
    pub(crate) body: Option<Json>,
    pub(crate) records_path: Option<String>,
    pub(crate) next_path: Option<String>,
    pub(crate) field_mapping: Mapping,
    /// Ids of columns.
    pub(crate) upsert_by: Vec<i64>,
    pub(crate) schedule: Option<String>,
    pub(crate) timeout_ms: u64,
}

impl SourceKind {
    /// The name in the API.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::ApiPull(_) => "api_pull",
            Self::ConnectedTable { .. } => "connected_table",
            Self::CsvImport { .. } => "csv_import",
            Self::Manual => "manual",
        }
    }
}

/// What a source has come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Rows that it has inserted or updated.
    pub(crate) rows: u64,
    /// Records that it could not use.
    #[serde(default)]
    pub(crate) rejected: u64,
    /// When it last brought or looked for something.
    pub(crate) last_run: Option<Micros>,
    /// When it is due.
    pub(crate) next_run: Option<Micros>,
    /// What went wrong the last time.
    pub(crate) last_error: Option<String>,
    /// Of a connected table: how far it has been copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) position: Option<Position>,
    /// Of a connected table: rows found and not copied yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) found: Vec<i64>,
}

/// A moment at rest: wall microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Micros(i64);

impl From<Timestamp> for Micros {
    fn from(at: Timestamp) -> Self {
        Self(at.as_micros())
    }
}

impl Micros {
    pub(crate) fn at(self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

/// A source as it was read.
pub(crate) type Kept = kept::Kept<Source>;

impl Standing for Source {
    type State = State;
    const KIND: &'static str = "source";
    const STATE_KIND: &'static str = "source_state";

    fn state_item(&self) -> i64 {
        self.state
    }
}

/// Makes a source. `kind` is told the id of the state, to which secrets are bound.
pub(crate) async fn make(
    app: &App,
    table: &Table,
    name: &str,
    state: State,
    kind: impl FnOnce(i64) -> Result<SourceKind>,
) -> Result<Kept> {
    let source = |state| Ok(Source { state, enabled: true, kind: kind(state)? });
    kept::make(app, table, name, state, source).await
}

/// Takes a source away, with all that it knows. The rows it brought stay.
pub(crate) async fn forget(app: &App, kept: &Kept) -> Result<()> {
    kept::forget(app, kept).await?;
    let ids = super::incoming::ids_log(kept.item.id);
    app.engine.store().append_entries(&ids, Vec::new(), 0).await?;
    if let Some(position) = &kept.state.position {
        follow::forget(app, position.items()).await?;
    }
    app.sources.forget(kept.item.id);
    app.sources.changed();
    Ok(())
}

/// Lists an import of a file among the sources of its table, in the place of an earlier one of that name: a table that
/// gets a file each day has one line for it.
pub(crate) async fn record_import(app: &App, table: &Table, name: &str, job: i64) -> Result<()> {
    let items = app.engine.store().items(Source::KIND, Some(table.id)).await?;
    let Some(item) = items.into_iter().find(|item| item.name == name) else {
        let state = State { last_run: Some(app.clock.wall().into()), ..State::default() };
        make(app, table, name, state, |_| Ok(SourceKind::CsvImport { job })).await?;
        return Ok(());
    };
    let turn = app.sources.turn(item.id);
    let _turn = turn.lock().await;
    let mut kept: Kept = kept::read(app, item).await?;
    // Somebody may have given the name to a source of another type.
    if let SourceKind::CsvImport { job: known } = &mut kept.asked.kind {
        *known = job;
        kept.state.last_run = Some(app.clock.wall().into());
        app.engine.store().keep(vec![kept.asked_note(), kept.note()]).await?;
    }
    Ok(())
}

/// A new secret, which is shown once.
pub(crate) fn made_secret(app: &App) -> String {
    use base64::Engine as _;
    let mut bytes = [0; SECRET_BYTES];
    app.random.fill(&mut bytes);
    format!("whsec_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

/// What the secrets of something are bound to: itself, and the host they are for. Moved to another one, they do not open.
pub(crate) fn place_of(what: &str, state: i64, url: &str) -> String {
    let origin = url::Url::parse(url)
        .map_or_else(|_| "nowhere".to_owned(), |url| url.origin().ascii_serialization());
    format!("{what}:{state}:{origin}")
}

/// The filter that was written down, for the table as it is now.
pub(crate) fn filter_of(table: &Table, field: &str, json: Option<&Json>) -> Result<Filter> {
    let Some(json) = json else { return Ok(Filter::All(Vec::new())) };
    Filter::parse(table, json).map_err(|error| {
        let at = if error.field.is_empty() { String::new() } else { format!(".{}", error.field) };
        let message = format!("{field}{at}: {}", error.problem);
        ApiError::new(Code::InvalidFilter, message).meant_as_said(error.did_you_mean)
    })
}
