//! Sources at rest: what was asked for, and how far each has come.

use paceline_clock::Timestamp;
use paceline_model::{Filter, Item, NewItem, Note, Table, TableId, limits};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Headers, Mapping};
use crate::App;
use crate::error::{ApiError, Code, Result};
use crate::follow::{self, Position};

/// What sources are called in the registry, and what their states are.
pub(crate) const KIND: &str = "source";
const STATE_KIND: &str = "source_state";
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
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) item: Item,
    pub(crate) source: Source,
    pub(crate) state: State,
    state_version: i64,
}

impl Kept {
    /// The table that its rows go to.
    pub(crate) fn table(&self) -> TableId {
        self.item.table.unwrap_or(TableId(0))
    }

    /// What writes its state. Once it is written, this was an earlier reading.
    pub(crate) fn note(&self) -> Note {
        let body = serde_json::to_value(&self.state).unwrap_or(Json::Null);
        Note::Item { kind: STATE_KIND, id: self.source.state, version: self.state_version, body }
    }

    /// Writes its state, which counts as read again.
    pub(crate) async fn save(&mut self, app: &App) -> Result<()> {
        app.engine.store().keep(vec![self.note()]).await?;
        self.saved();
        Ok(())
    }

    /// After [`Kept::note`] has been written.
    pub(crate) fn saved(&mut self) {
        self.state_version += 1;
    }
}

/// The source of that id, and its state; `None` if there is none.
pub(crate) async fn load(app: &App, id: i64) -> Result<Option<Kept>> {
    match app.engine.store().item(KIND, id).await? {
        Some(item) => read(app, item).await.map(Some),
        None => Ok(None),
    }
}

/// The source that an item holds.
pub(crate) async fn read(app: &App, item: Item) -> Result<Kept> {
    let damaged = |what: &str| {
        ApiError::from(paceline_model::Error::Corrupt(format!("source {}: {what}", item.id)))
    };
    let source: Source =
        serde_json::from_value(item.body.clone()).map_err(|error| damaged(&error.to_string()))?;
    let state = app.engine.store().item(STATE_KIND, source.state).await?;
    let state = state.ok_or_else(|| damaged("it has no state"))?;
    let version = state.version;
    let state = serde_json::from_value(state.body).map_err(|error| damaged(&error.to_string()))?;
    Ok(Kept { item, source, state, state_version: version })
}

/// Makes a source. `kind` is told the id of the state, to which secrets are bound.
pub(crate) async fn make(
    app: &App,
    table: &Table,
    name: &str,
    state: State,
    kind: impl FnOnce(i64) -> Result<SourceKind>,
) -> Result<Kept> {
    let store = app.engine.store();
    if store.items(KIND, None).await?.len() >= limits::SOURCES_MAX {
        let message = format!("there are {} sources; delete one first", limits::SOURCES_MAX);
        return Err(ApiError::new(Code::Conflict, message));
    }
    let body = serde_json::to_value(&state).unwrap_or(Json::Null);
    let state_name = format!("{:016x}", app.random.next_u64());
    let new = NewItem { kind: STATE_KIND, table: Some(table.id), name: state_name, body };
    let state_item = store.create_item(new).await?;
    let made = async {
        let source = Source { state: state_item.id, enabled: true, kind: kind(state_item.id)? };
        let body = serde_json::to_value(&source).unwrap_or(Json::Null);
        let new = NewItem { kind: KIND, table: Some(table.id), name: name.to_owned(), body };
        Ok((store.create_item(new).await?, source))
    }
    .await;
    match made {
        Ok((item, source)) => {
            app.sources.changed();
            Ok(Kept { item, source, state, state_version: state_item.version })
        }
        Err(error) => {
            store.delete_item(STATE_KIND, state_item.id).await?;
            Err(error)
        }
    }
}

/// Takes a source away, with all that it knows. The rows it brought stay.
pub(crate) async fn forget(app: &App, kept: &Kept) -> Result<()> {
    let store = app.engine.store();
    store.delete_item(KIND, kept.item.id).await?;
    store.delete_item(STATE_KIND, kept.source.state).await?;
    store.append_entries(&super::incoming::ids_log(kept.item.id), Vec::new(), 0).await?;
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
    let items = app.engine.store().items(KIND, Some(table.id)).await?;
    let Some(item) = items.into_iter().find(|item| item.name == name) else {
        let state = State { last_run: Some(app.clock.wall().into()), ..State::default() };
        make(app, table, name, state, |_| Ok(SourceKind::CsvImport { job })).await?;
        return Ok(());
    };
    let turn = app.sources.turn(item.id);
    let _turn = turn.lock().await;
    let mut kept = read(app, item).await?;
    // Somebody may have given the name to a source of another type.
    if let SourceKind::CsvImport { job: known } = &mut kept.source.kind {
        *known = job;
        kept.state.last_run = Some(app.clock.wall().into());
        let body = serde_json::to_value(&kept.source).unwrap_or(Json::Null);
        let (id, version) = (kept.item.id, kept.item.version);
        let change = Note::Item { kind: KIND, id, version, body };
        app.engine.store().keep(vec![change, kept.note()]).await?;
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
