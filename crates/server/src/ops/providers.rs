//! AI providers: whose models are used. A key is sealed for the origin that it belongs to: for any other it does not open, so
//! nothing that names another address gets it.

mod ask;
mod known;

use std::time::Duration;

use paceline_engine::{AiProvider, AiService, FetchRequest, OutboundError, OutboundGuard, ai_url};
use paceline_model::{Item, NewItem, limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::iso;
use crate::App;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};

/// Their names.
pub(crate) const NAMES: [&str; 7] = AiService::NAMES;
/// The kind of their items.
const KIND: &str = AiProvider::KIND;
/// Anything that speaks as OpenAI does, at an address of its own.
const OPENAI_COMPATIBLE: &str = "openai_compatible";
/// Time for a test.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);
/// Characters of a key that are shown.
const SHOWN_CHARS: usize = 4;

#[derive(Debug, Deserialize)]
pub(crate) struct SaveProvider {
    label: String,
    api_key: String,
    provider: Option<String>,
    base_url: Option<String>,
    #[serde(default)]
    is_default: bool,
}

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct ListProviders {}

#[derive(Debug, Deserialize)]
pub(crate) struct OneProvider {
    provider: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProviderLine {
    id: i64,
    label: String,
    provider: String,
    base_url: String,
    /// The key's last four characters.
    key: String,
    is_default: bool,
    /// As of the last test.
    models: Vec<String>,
    tested_at: Option<String>,
    created_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    deleted: bool,
    id: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TestedProvider {
    id: i64,
    /// Whether the provider took the key.
    ok: bool,
    /// The status of its answer.
    status: u16,
    models: Vec<String>,
    problem: Option<String>,
    duration_ms: u64,
}

pub(crate) async fn save(app: App, input: SaveProvider) -> Result<Outcome<ProviderLine>> {
    let label = input.label.trim();
    if label.is_empty() {
        return Err(ApiError::field("label", "is empty; say what a person calls it"));
    }
    let key = input.api_key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ApiError::field(
            "api_key",
            "is no key: it is empty, or has signs that a header cannot carry",
        ));
    }
    let known = known::service(input.provider.as_deref(), key)?;
    let base_url = base_url(&app, known, input.base_url.as_deref())?;
    let store = app.engine.store();
    let items = store.items(KIND, None).await?;
    let same = items.iter().find(|item| item.name == label);
    if same.is_none() && items.len() >= limits::PROVIDERS_MAX {
        let problem = format!("there are {} providers, as many as may be; delete one", items.len());
        return Err(ApiError::new(Code::Conflict, problem).hint(list_hint()));
    }
    let before = same.map(read).transpose()?;
    let default_since = before.and_then(|before| before.default_since_micros);
    let now = input.is_default.then(|| app.clock.wall().as_micros());
    let body = AiProvider {
        provider: known.name.to_owned(),
        key: seal(&app, key, &base_url)?,
        ends: ends(key),
        base_url: base_url.into(),
        default_since_micros: now.or(default_since),
        models: Vec::new(),
        tested_at_micros: None,
    };
    let json = body.to_json();
    let saved = match same {
        Some(item) => store.update_item(KIND, item.id, item.version, json).await?,
        None => {
            store
                .create_item(NewItem {
                    kind: KIND,
                    table: None,
                    name: label.to_owned(),
                    body: json,
                })
                .await?
        }
    };
    let all = lines(&store.items(KIND, None).await?)?;
    let line = all.into_iter().find(|line| line.id == saved.id);
    let line = line.ok_or_else(|| ApiError::new(Code::Conflict, "it was deleted meanwhile"))?;
    let hint =
        Hint::new("test_ai_provider", "see that the key is good, and which models there are");
    Ok(Outcome::new(line).hint(hint.with("provider", saved.id)))
}

pub(crate) async fn list(app: App, _: ListProviders) -> Result<Outcome<Vec<ProviderLine>>> {
    Ok(Outcome::new(lines(&app.engine.store().items(KIND, None).await?)?))
}

pub(crate) async fn delete(app: App, input: OneProvider) -> Result<Outcome<Deleted>> {
    if !app.engine.store().delete_item(KIND, input.provider).await? {
        return Err(missing(input.provider));
    }
    Ok(Outcome::new(Deleted { deleted: true, id: input.provider }))
}

pub(crate) async fn test(app: App, input: OneProvider) -> Result<Outcome<TestedProvider>> {
    let store = app.engine.store();
    let item = store.item(KIND, input.provider).await?;
    let item = item.ok_or_else(|| missing(input.provider))?;
    let mut body = read(&item)?;
    let known = known::named(&body.provider)?;
    let base_url = Url::parse(&body.base_url)
        .map_err(|error| ApiError::internal(format!("AI provider {}: {error}", item.id)))?;
    let url = ai_url(&base_url, &["models"]);
    let key = open(&app, &body, &url)?;
    let request = FetchRequest {
        headers: known
            .credentials(&key)
            .ok_or_else(|| ApiError::internal("a provider's key cannot stand in a header"))?,
        timeout: TEST_TIMEOUT,
        ..FetchRequest::get(url)
    };
    let reply = app.engine.fetch(request).await?;
    let problem = known::problem(reply.status);
    let duration_ms = reply.took.as_millis().try_into().unwrap_or(u64::MAX);
    let mut tested = TestedProvider {
        id: item.id,
        ok: problem.is_none(),
        status: reply.status,
        models: Vec::new(),
        problem,
        duration_ms,
    };
    if tested.ok {
        tested.models = ask::models(&reply);
        body.models.clone_from(&tested.models);
        body.tested_at_micros = Some(app.clock.wall().as_micros());
        // Whoever changed or deleted it meanwhile knows better.
        let _ = store.update_item(KIND, item.id, item.version, body.to_json()).await;
    }
    Ok(Outcome::new(tested))
}

/// Where a provider is: one that is known where it is known to be, for its key must not go elsewhere.
fn base_url(app: &App, known: &AiService, given: Option<&str>) -> Result<Url> {
    let Some(url) = known.base_url else {
        let given = given.ok_or_else(|| {
            ApiError::field("base_url", format!("is required for {}: where it is", known.name))
        })?;
        let url = app.engine.outbound().check_url(given).map_err(|error| match error {
            OutboundError::NotAUrl(_) => ApiError::field("base_url", error.to_string()),
            error => ApiError::new(Code::BlockedUrl, format!("base_url: {error}")),
        })?;
        // Inside the network, where the operator allows it, there may be no TLS.
        if url.scheme() == "http" && OutboundGuard::default().check_url(given).is_ok() {
            return Err(ApiError::field(
                "base_url",
                "is http:, and a key goes to a public address over https: only",
            ));
        }
        return Ok(url);
    };
    if given.is_some() {
        let problem = format!("is for {OPENAI_COMPATIBLE}; {} is at {url}", known.name);
        return Err(ApiError::field("base_url", problem));
    }
    Url::parse(url).map_err(|error| ApiError::internal(format!("{url}: {error}")))
}

fn seal(app: &App, key: &str, base_url: &Url) -> Result<String> {
    let sealer = app.engine.sealer();
    let sealed = sealer.and_then(|sealer| AiProvider::seal_key(sealer, key, base_url));
    sealed.ok_or_else(|| ApiError::internal("there is nothing to seal a provider's key with"))
}

/// The key, for a call of `url` and no other origin.
fn open(app: &App, provider: &AiProvider, url: &Url) -> Result<String> {
    let opened = app.engine.sealer().and_then(|sealer| provider.open_key(sealer, url));
    opened.ok_or_else(|| {
        let message = "the key of this provider does not open: it was sealed for another host, or with another secret.key";
        ApiError::new(Code::Conflict, message).fix("save the provider again, with its key")
    })
}

/// All of them; of each provider one is the default.
fn lines(items: &[Item]) -> Result<Vec<ProviderLine>> {
    let bodies: Vec<(Item, AiProvider)> =
        items.iter().map(|item| Ok((item.clone(), read(item)?))).collect::<Result<_>>()?;
    let default =
        |provider: &str| AiProvider::default_of(&bodies, provider).map(|(item, _)| item.id);
    let line = |(item, body): &(Item, AiProvider)| ProviderLine {
        id: item.id,
        label: item.name.clone(),
        provider: body.provider.clone(),
        base_url: body.base_url.clone(),
        key: format!("********{}", body.ends),
        is_default: default(&body.provider) == Some(item.id),
        models: body.models.clone(),
        tested_at: body.tested_at_micros.map(paceline_clock::Timestamp::from_micros).and_then(iso),
        created_at: iso(item.created_at),
    };
    Ok(bodies.iter().map(line).collect())
}

/// The end of a key, if it is long enough to give that away.
fn ends(key: &str) -> String {
    let start = key.len().saturating_sub(SHOWN_CHARS);
    if start < 2 * SHOWN_CHARS { String::new() } else { key[start..].to_owned() }
}

fn read(item: &Item) -> Result<AiProvider> {
    AiProvider::read(item).map_err(|error| ApiError::internal(error.to_string()))
}

fn missing(id: i64) -> ApiError {
    ApiError::new(Code::ProviderNotFound, format!("there is no AI provider {id}")).hint(list_hint())
}

fn list_hint() -> Hint {
    Hint::new("list_ai_providers", "see which providers there are")
}
