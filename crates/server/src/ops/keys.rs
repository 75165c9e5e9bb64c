//! API keys: make, list, revoke.

use paceline_clock::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::iso;
use crate::auth::keyring::MadeKey;
use crate::envelope::{Hint, Outcome};
use crate::error::{ApiError, Code, Result};
use crate::{App, KeyScope};

#[derive(Debug, Deserialize)]
pub(crate) struct CreateKey {
    name: String,
    scope: KeyScope,
    expires_at: Option<String>,
}

/// Nothing is asked.
#[derive(Debug, Deserialize)]
pub(crate) struct ListKeys {}

#[derive(Debug, Deserialize)]
pub(crate) struct RevokeKey {
    key: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeyLine {
    id: i64,
    name: String,
    scope: KeyScope,
    /// How the key begins.
    prefix: String,
    created_at: Option<String>,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct NewKey {
    /// Shown this once; only its hash is kept.
    key: String,
    #[serde(flatten)]
    line: KeyLine,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Revoked {
    revoked: bool,
    id: i64,
    name: String,
}

pub(crate) async fn create(app: App, input: CreateKey) -> Result<Outcome<NewKey>> {
    let name = input.name.trim();
    if name.is_empty() {
        return Err(ApiError::field("name", "is empty; say what the key is for"));
    }
    let expires_at =
        input.expires_at.as_deref().map(|text| moment_ahead(&app, text)).transpose()?;
    let keys = &app.access.keys;
    let made = keys.create(&app.random, name.to_owned(), input.scope, expires_at).await;
    let (key, made) = made.map_err(|error| {
        if error.0.code == Code::Conflict {
            error.fix("choose another name, or revoke the key that has it").hint(list_hint())
        } else {
            error
        }
    })?;
    Ok(Outcome::new(NewKey { key, line: line(&made) }))
}

pub(crate) async fn list(app: App, _: ListKeys) -> Result<Outcome<Vec<KeyLine>>> {
    let keys = app.access.keys.all().await?;
    Ok(Outcome::new(keys.iter().map(|key| line(key)).collect()))
}

pub(crate) async fn revoke(app: App, input: RevokeKey) -> Result<Outcome<Revoked>> {
    let Some(key) = app.access.keys.revoke(input.key).await? else {
        let message = format!("there is no API key {}; it may have been revoked", input.key);
        return Err(ApiError::new(Code::NotFound, message).hint(list_hint()));
    };
    Ok(Outcome::new(Revoked { revoked: true, id: key.id, name: key.name.as_ref().to_owned() }))
}

fn list_hint() -> Hint {
    Hint::new("list_api_keys", "see which keys there are")
}

fn moment_ahead(app: &App, text: &str) -> Result<Timestamp> {
    let moment: jiff::Timestamp = text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        ApiError::field(
            "expires_at",
            format!("{shown:?} is not a moment; write one as 2027-01-31T00:00:00Z"),
        )
    })?;
    let moment = Timestamp::from_micros(moment.as_microsecond());
    if moment <= app.clock.wall() {
        return Err(ApiError::field("expires_at", "lies in the past; such a key would never work"));
    }
    Ok(moment)
}

fn line(key: &MadeKey) -> KeyLine {
    KeyLine {
        id: key.id,
        name: key.name.as_ref().to_owned(),
        scope: key.scope,
        prefix: key.prefix.clone(),
        created_at: iso(key.created_at),
        expires_at: key.expires_at.and_then(iso),
        last_used_at: key.last_used_at().and_then(iso),
    }
}
