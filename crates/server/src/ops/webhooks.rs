//! Webhooks: make, list, change, try, delete, and what became of their deliveries. An incoming one is a source.

mod view;

use paceline_model::{EntryQuery, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rows::unconfirmed;
use super::sources::{Deleted, name_taken};
use super::{column, table};
use crate::App;
use crate::app::RUNS_DEFAULT;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::hooks::{self, Hook, Kept, Trigger, signing_place};
use crate::kept::{self, Standing};
use crate::sources::{
    self, Draft, Mapping, Source, State as SourceState, Way, made_secret, place_of, refused_url,
    seal, sealed_headers,
};
use view::{DeliveryView, WebhookView, incoming_view, view};

#[derive(Debug, Deserialize)]
pub(crate) struct CreateWebhook {
    table: String,
    direction: String,
    name: Option<String>,
    target_url: Option<String>,
    trigger_on: Option<String>,
    trigger_column: Option<String>,
    trigger_filter: Option<Json>,
    field_mapping: Option<Json>,
    headers: Option<Json>,
    batch: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListWebhooks {
    table: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct UpdateWebhook {
    webhook: i64,
    enabled: Option<bool>,
    target_url: Option<String>,
    headers: Option<Json>,
    field_mapping: Option<Json>,
    batch: Option<bool>,
    rotate_secret: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeleteWebhook {
    webhook: i64,
    #[serde(default)]
    confirm: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TestWebhook {
    webhook: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListDeliveries {
    webhook: i64,
    limit: Option<usize>,
    before: Option<i64>,
}

/// What became of a sample.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tested {
    /// What the receiver answered.
    http_status: Option<u16>,
    /// What was sent.
    sent: Json,
}

pub(crate) const DIRECTIONS: [&str; 2] = ["incoming", "outgoing"];

/// The names of the triggers.
pub(crate) fn triggers() -> Vec<&'static str> {
    Trigger::ALL.map(Trigger::as_str).into()
}

pub(crate) async fn create(app: App, input: CreateWebhook) -> Result<Outcome<WebhookView>> {
    let table = table(&app, &input.table).await?;
    if input.direction == "incoming" {
        return incoming(&app, &table, input).await;
    }
    let Some(url) = input.target_url.clone() else {
        return Err(ApiError::field("target_url", "is required of an outgoing webhook"));
    };
    app.engine.outbound().check_url(&url).map_err(refused_url)?;
    let trigger = input.trigger_on.as_deref().and_then(Trigger::parse);
    let Some(trigger) = trigger else {
        return Err(ApiError::field("trigger_on", "is required of an outgoing webhook"));
    };
    let (column, filter) = condition(&table, trigger, &input)?;
    let mapping = Mapping::read(&table, input.field_mapping.as_ref(), Way::Out)?;
    let name = input.name.clone().unwrap_or_else(|| trigger.as_str().to_owned());
    let secret = made_secret(&app);
    let mut hook = Hook {
        state: 0,
        enabled: true,
        reason: None,
        url,
        trigger,
        column,
        filter,
        field_mapping: mapping,
        headers: Vec::new(),
        secret: String::new(),
        batch: input.batch.unwrap_or(true),
    };
    let watch = hook.watch(&table)?;
    let seal_it = |state| {
        hook.state = state;
        let place = place_of(Hook::KIND, state, &hook.url);
        hook.headers = sealed_headers(&app, input.headers.as_ref(), &place)?;
        hook.secret = seal(&app, &secret, &signing_place(state))?;
        Ok(hook)
    };
    let kept = hooks::make(&app, &table, &name, &watch, seal_it).await;
    let kept = kept.map_err(|error| name_taken(error, &name))?;
    let hint = Hint::new("test_webhook", "send it a sample").with("webhook", kept.item.id);
    let view = view(&kept, &table).with(Some(secret));
    Ok(Outcome::new(view).meta("table", table.name).hint(hint))
}

/// The column or the filter that a trigger wants, and none that it does not.
fn condition(
    table: &Table,
    trigger: Trigger,
    input: &CreateWebhook,
) -> Result<(Option<i64>, Option<Json>)> {
    let (name, filter) = (&input.trigger_column, &input.trigger_filter);
    match (trigger, name, filter) {
        (Trigger::NewRow, None, None) => Ok((None, None)),
        (Trigger::FieldChange, Some(name), None) => Ok((Some(column(table, name)?.id.0), None)),
        (Trigger::FilterMatch, None, Some(filter)) => Ok((None, Some(filter.clone()))),
        (Trigger::FieldChange, None, _) => {
            Err(ApiError::field("trigger_column", "is required with trigger_on field_change"))
        }
        (Trigger::FilterMatch, _, None) => {
            Err(ApiError::field("trigger_filter", "is required with trigger_on filter_match"))
        }
        (_, Some(_), _) => {
            Err(ApiError::field("trigger_column", "belongs to trigger_on field_change only"))
        }
        (_, _, Some(_)) => {
            Err(ApiError::field("trigger_filter", "belongs to trigger_on filter_match only"))
        }
    }
}

/// A source of type webhook.
async fn incoming(app: &App, table: &Table, input: CreateWebhook) -> Result<Outcome<WebhookView>> {
    let others = [
        ("target_url", input.target_url.is_some()),
        ("trigger_on", input.trigger_on.is_some()),
        ("trigger_column", input.trigger_column.is_some()),
        ("trigger_filter", input.trigger_filter.is_some()),
        ("headers", input.headers.is_some()),
        ("batch", input.batch.is_some()),
    ];
    if let Some((field, _)) = others.iter().find(|(_, given)| *given) {
        return Err(ApiError::field(*field, "belongs to outgoing webhooks only"));
    }
    let config = input.field_mapping.map(|mapping| serde_json::json!({"field_mapping": mapping}));
    let draft = Draft::read("webhook", config)?;
    let secret = made_secret(app);
    let kind = draft.webhook(table, &secret)?;
    let name = input.name.unwrap_or_else(|| "webhook".to_owned());
    let kept = sources::make(app, table, &name, SourceState::default(), |_| Ok(kind)).await;
    let kept = kept.map_err(|error| name_taken(error, &name))?;
    let view = incoming_view(&kept, table).with(Some(secret));
    let hint =
        Hint::new("list_webhooks", "see what it has brought").with("table", table.name.as_str());
    Ok(Outcome::new(view).meta("table", table.name.as_str()).hint(hint))
}

pub(crate) async fn list(app: App, input: ListWebhooks) -> Result<Outcome<Vec<WebhookView>>> {
    let table = table(&app, &input.table).await?;
    let store = app.engine.store();
    let mut views = Vec::new();
    for item in store.items(Hook::KIND, Some(table.id)).await? {
        views.push(view(&kept::read::<Hook>(&app, item).await?, &table));
    }
    for item in store.items(Source::KIND, Some(table.id)).await? {
        let kept = kept::read::<Source>(&app, item).await?;
        if kept.is_webhook() {
            views.push(incoming_view(&kept, &table));
        }
    }
    views.sort_by_key(|view| view.id);
    Ok(Outcome::new(views).meta("table", table.name))
}

pub(crate) async fn update(app: App, input: UpdateWebhook) -> Result<Outcome<WebhookView>> {
    // Waits for the delivery under way: it has one writer at a time.
    let turn = app.sources.turn(input.webhook);
    let _turn = turn.lock().await;
    let mut kept = found(&app, input.webhook).await?;
    let table = table(&app, &kept.table().to_string()).await?;
    let mut secret = None;
    let hook = &mut kept.asked;
    if let Some(url) = &input.target_url {
        app.engine.outbound().check_url(url).map_err(refused_url)?;
        let moved = place_of("", 0, url) != place_of("", 0, &hook.url);
        if moved && !hook.headers.is_empty() && input.headers.is_none() {
            let problem = "must be given again with a target_url on another host, which does not get the old ones";
            return Err(ApiError::field("headers", problem));
        }
        hook.url.clone_from(url);
    }
    if let Some(headers) = &input.headers {
        let place = place_of(Hook::KIND, hook.state, &hook.url);
        hook.headers = sealed_headers(&app, Some(headers), &place)?;
    }
    if input.field_mapping.is_some() {
        hook.field_mapping = Mapping::read(&table, input.field_mapping.as_ref(), Way::Out)?;
    }
    hook.batch = input.batch.unwrap_or(hook.batch);
    if input.rotate_secret == Some(true) {
        let made = made_secret(&app);
        hook.secret = seal(&app, &made, &signing_place(hook.state))?;
        secret = Some(made);
    }
    if let Some(enabled) = input.enabled {
        (hook.enabled, hook.reason) = (enabled, None);
        if enabled {
            kept.state.revive(app.clock.wall());
        }
    }
    app.engine.store().keep(vec![kept.asked_note(), kept.note()]).await?;
    app.sources.changed();
    let view = view(&kept, &table).with(secret);
    Ok(Outcome::new(view).meta("table", table.name))
}

pub(crate) async fn delete(app: App, input: DeleteWebhook) -> Result<Outcome<Deleted>> {
    let turn = app.sources.turn(input.webhook);
    let _turn = turn.lock().await;
    if let Some(kept) =
        kept::load::<Source>(&app, input.webhook).await?.filter(|kept| kept.is_webhook())
    {
        confirmed(&input, &kept.item.name)?;
        sources::forget(&app, &kept).await?;
    } else {
        let kept = found(&app, input.webhook).await?;
        confirmed(&input, &kept.item.name)?;
        hooks::forget(&app, &kept).await?;
    }
    Ok(Outcome::new(Deleted { id: input.webhook, deleted: true }))
}

fn confirmed(input: &DeleteWebhook, name: &str) -> Result<()> {
    if input.confirm {
        return Ok(());
    }
    let again = Hint::new("delete_webhook", "delete it").with("webhook", input.webhook);
    let message = format!("this deletes the webhook {name:?} for good");
    Err(unconfirmed(message, again.with("confirm", true)))
}

pub(crate) async fn test(app: App, input: TestWebhook) -> Result<Outcome<Tested>> {
    let kept = found(&app, input.webhook).await?;
    let table = table(&app, &kept.table().to_string()).await?;
    let (sent, http_status) = hooks::sample(&app, &kept, &table).await?;
    let hint =
        Hint::new("list_webhook_deliveries", "see it in the log").with("webhook", input.webhook);
    Ok(Outcome::new(Tested { http_status, sent }).hint(hint))
}

pub(crate) async fn deliveries(
    app: App,
    input: ListDeliveries,
) -> Result<Outcome<Vec<DeliveryView>>> {
    let kept = found(&app, input.webhook).await?;
    let max = input.limit.unwrap_or(usize::try_from(RUNS_DEFAULT).unwrap_or(25));
    let query = EntryQuery { subject: Some(kept.item.id), before: input.before, max };
    let entries = app.engine.store().entries(hooks::DELIVERY_LOG, query).await?;
    let next = entries.last().filter(|_| entries.len() == max).map(|entry| entry.sequence);
    let views = entries.into_iter().map(DeliveryView::from);
    let outcome = Outcome::new(views.collect()).meta("before", next);
    Ok(match next {
        None => outcome,
        Some(next) => outcome.hint(
            Hint::new("list_webhook_deliveries", "earlier ones")
                .with("webhook", input.webhook)
                .with("before", next),
        ),
    })
}

/// The outgoing webhook of that id.
async fn found(app: &App, id: i64) -> Result<Kept> {
    if let Some(kept) = kept::load::<Hook>(app, id).await? {
        return Ok(kept);
    }
    let error = ApiError::new(Code::NotFound, format!("there is no outgoing webhook {id}"));
    Err(match kept::load::<Source>(app, id).await? {
        Some(_) => error.fix("it is a source; use the operations of sources for it"),
        None => error.hint(Hint::new("list_tables", "list the webhooks of one of the tables")),
    })
}
