//! Sources: make, list, change, run, delete.

mod view;

use paceline_model::Table;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rows::unconfirmed;
use super::table;
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::kept::{self, Standing};
use crate::sources::{self, Draft, Kept, Pulled, Source, SourceKind, State};
use view::{SourceView, view};

#[derive(Debug, Deserialize)]
pub(crate) struct CreateSource {
    table: String,
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    config: Option<Json>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListSources {
    table: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateSource {
    source: i64,
    enabled: Option<bool>,
    config: Option<Json>,
    rotate_secret: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteSource {
    source: i64,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TriggerSource {
    source: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    pub(crate) id: i64,
    pub(crate) deleted: bool,
}

/// The types of sources.
pub(crate) const TYPES: [&str; 5] =
    ["webhook", "csv_import", "api_pull", "connected_table", "manual"];

pub(crate) async fn create(app: App, input: CreateSource) -> Result<Outcome<SourceView>> {
    let table = table(&app, &input.table).await?;
    let draft = Draft::read(&input.kind, input.config)?;
    let name = input.name.unwrap_or_else(|| input.kind.clone());
    let mut secret = None;
    let kept = match input.kind.as_str() {
        "webhook" => {
            let made = sources::made_secret(&app);
            let kind = draft.webhook(&table, &made)?;
            secret = Some(made);
            sources::make(&app, &table, &name, State::default(), |_| Ok(kind)).await
        }
        "api_pull" => {
            let pull = |state| Ok(SourceKind::ApiPull(Box::new(draft.pull(&app, &table, state)?)));
            sources::make(&app, &table, &name, State::default(), pull).await
        }
        "connected_table" => sources::connect(&app, &table, &name, &draft).await,
        _ => sources::make(&app, &table, &name, State::default(), |_| Ok(SourceKind::Manual)).await,
    };
    let kept = kept.map_err(|error| name_taken(error, &name))?;
    let hint = after(&kept, &table);
    let view = view(&app, &kept, &table).await?.with(secret);
    Ok(Outcome::new(view).meta("table", table.name.as_str()).hint(hint))
}

/// That a name is taken, in words that say what to do.
pub(super) fn name_taken(error: ApiError, name: &str) -> ApiError {
    if error.0.code == Code::Conflict && error.0.message.contains("already") {
        return error.fix(format!("give it another name than {name:?}"));
    }
    error
}

fn after(kept: &Kept, table: &Table) -> Hint {
    match kept.asked.kind {
        SourceKind::ApiPull(_) => {
            Hint::new("trigger_source", "fetch now, to see what comes").with("source", kept.item.id)
        }
        _ => {
            Hint::new("query_rows", "look at the rows it brings").with("table", table.name.as_str())
        }
    }
}

pub(crate) async fn list(app: App, input: ListSources) -> Result<Outcome<Vec<SourceView>>> {
    let only = match &input.table {
        Some(name) => Some(table(&app, name).await?.id),
        None => None,
    };
    let store = app.engine.store();
    let tables = store.tables().await?;
    let mut views = Vec::new();
    for item in store.items(Source::KIND, only).await? {
        let kept = kept::read::<Source>(&app, item).await?;
        if let Some(table) = tables.iter().find(|table| table.id == kept.table()) {
            views.push(view(&app, &kept, table).await?);
        }
    }
    Ok(Outcome::new(views))
}

pub(crate) async fn update(app: App, input: UpdateSource) -> Result<Outcome<SourceView>> {
    // Waits for whoever works on it: it has one writer at a time.
    let turn = app.sources.turn(input.source);
    let _turn = turn.lock().await;
    let mut kept = found(&app, input.source).await?;
    let table = table(&app, &kept.table().to_string()).await?;
    let rotate = input.rotate_secret == Some(true);
    if input.config.is_none() && input.enabled.is_none() && !rotate {
        let problem = "give config, enabled or rotate_secret; there is nothing to change";
        return Err(ApiError::field("config", problem));
    }
    if let Some(config) = input.config {
        kept.asked.kind = changed(&app, &kept, &table, config)?;
    }
    let mut secret = None;
    if rotate {
        secret = Some(rotated(&app, &mut kept)?);
    }
    kept.asked.enabled = input.enabled.unwrap_or(kept.asked.enabled);
    let body = serde_json::to_value(&kept.asked).unwrap_or(Json::Null);
    let store = app.engine.store();
    kept.item = store.update_item(Source::KIND, kept.item.id, kept.item.version, body).await?;
    app.sources.changed();
    let view = view(&app, &kept, &table).await?.with(secret);
    Ok(Outcome::new(view).meta("table", table.name.as_str()))
}

fn rotated(app: &App, kept: &mut Kept) -> Result<String> {
    let made = sources::made_secret(app);
    if !kept.rotate(&made) {
        let problem = "a source of this type has no secret of ours";
        return Err(ApiError::field("rotate_secret", problem));
    }
    Ok(made)
}

/// The kind with a new configuration in place of the whole old one.
fn changed(app: &App, kept: &Kept, table: &Table, config: Json) -> Result<SourceKind> {
    let draft = Draft::read(kept.asked.kind.name(), Some(config))?;
    match &kept.asked.kind {
        SourceKind::Webhook { secret_hash, .. } => match draft.webhook(table, "")? {
            SourceKind::Webhook { field_mapping, .. } => {
                Ok(SourceKind::Webhook { field_mapping, secret_hash: secret_hash.clone() })
            }
            other => Ok(other),
        },
        SourceKind::ApiPull(_) => {
            Ok(SourceKind::ApiPull(Box::new(draft.pull(app, table, kept.asked.state)?)))
        }
        SourceKind::ConnectedTable { .. } => {
            let message = "what a connected table copies cannot be changed: what it copied already would not fit";
            let fix = "delete the source and make a new one, with include_existing as it suits";
            Err(ApiError::new(Code::Conflict, message).fix(fix))
        }
        kind => Ok(kind.clone()),
    }
}

pub(crate) async fn delete(app: App, input: DeleteSource) -> Result<Outcome<Deleted>> {
    let turn = app.sources.turn(input.source);
    let _turn = turn.lock().await;
    let kept = found(&app, input.source).await?;
    if !input.confirm {
        let message = format!(
            "this deletes the source {:?}; the {} rows that it brought stay",
            kept.item.name, kept.state.rows
        );
        let again = Hint::new("delete_source", "delete it").with("source", input.source);
        return Err(unconfirmed(message, again.with("confirm", true)));
    }
    sources::forget(&app, &kept).await?;
    Ok(Outcome::new(Deleted { id: input.source, deleted: true }))
}

pub(crate) async fn trigger(app: App, input: TriggerSource) -> Result<Outcome<Pulled>> {
    let kept = found(&app, input.source).await?;
    if !matches!(kept.asked.kind, SourceKind::ApiPull(_)) {
        let message = format!(
            "a source of type {} brings its rows by itself; only api_pull is run",
            kept.asked.kind.name()
        );
        return Err(ApiError::field("source", message));
    }
    let table = table(&app, &kept.table().to_string()).await?;
    let pulled = sources::pull_now(&app, input.source).await?;
    let hint = Hint::new("query_rows", "look at the rows").with("table", table.name.as_str());
    Ok(Outcome::new(pulled).meta("table", table.name).hint(hint))
}

/// The source of that id.
async fn found(app: &App, id: i64) -> Result<Kept> {
    kept::load::<Source>(app, id).await?.ok_or_else(|| {
        ApiError::new(Code::NotFound, format!("there is no source {id}"))
            .hint(Hint::new("list_sources", "see which sources there are"))
    })
}
