//! The configuration of a column that posts to Slack: read, sealed, opened, masked, bound.

use std::collections::BTreeMap;
use std::sync::Arc;

use paceline_governor::{Ceilings, Rate};
use paceline_model::{ColumnType, Table};
use serde_json::{Map, Value as Json, json};

use super::super::fields::Fields;
use super::super::{Bound, Called, KindSpec, Rename, host_of};
use super::{SlackCall, Way};
use crate::secret::{MASK, open_field, seal_field};
use crate::{Error, HttpColumn, HttpSpec, OutboundGuard, Result, Sealer};

/// What the field `provider` says.
pub(in crate::kind) const PROVIDER: &str = "slack";
/// Where Slack's methods are called, if the configuration does not say (GovSlack has another one).
const BASE_URL: &str = "https://slack.com/api";
const FIELDS: [&str; 8] =
    ["provider", "webhook_url", "token", "channel", "text", "blocks", "base_url", "timeout_ms"];
const WEBHOOK: &str = "config.webhook_url";
const TOKEN: &str = "config.token";

/// The configuration: `webhook_url`, or `token` with `channel`; `text`, `blocks`; `base_url`, `timeout_ms`. `channel`, `text`
/// and every text in `blocks` are templates.
#[derive(Clone, Default)]
pub(in crate::kind) struct SlackSpec {
    webhook_url: Option<String>,
    token: Option<String>,
    channel: Option<String>,
    text: String,
    blocks: Option<Json>,
    base_url: Option<String>,
    timeout_ms: Option<u64>,
}

impl SlackSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The field and the remedy; never a value.
    pub(in crate::kind) fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "config", &FIELDS)?;
        let spec = Self {
            webhook_url: fields.text("webhook_url")?,
            token: fields.text("token")?,
            channel: fields.text("channel")?,
            text: fields.text("text")?.unwrap_or_default(),
            blocks: fields.any("blocks").cloned(),
            base_url: fields.text("base_url")?,
            timeout_ms: fields.number("timeout_ms")?,
        };
        spec.check()?;
        Ok(spec)
    }

    fn check(&self) -> Result<()> {
        let fault = |field: &str, problem: &str| Err(Error::config(field, problem));
        match (&self.webhook_url, &self.token) {
            (None, None) => {
                return fault("config.webhook_url", "is required, or token with channel");
            }
            (Some(_), Some(_)) => {
                return fault(TOKEN, "stands beside webhook_url; give one of them");
            }
            (Some(url), None) if url.contains("{{") => {
                return fault(WEBHOOK, "is a secret and no template; give the address as it is");
            }
            (Some(_), None) if self.channel.is_some() => {
                return fault("config.channel", "is the webhook's own; leave it out");
            }
            (Some(_), None) if self.base_url.is_some() => {
                return fault("config.base_url", "goes with token; webhook_url is the address");
            }
            (None, Some(_)) if self.channel.as_deref().is_none_or(str::is_empty) => {
                return fault("config.channel", "is required with a token: a channel's id");
            }
            (None, Some(token)) if token.contains("{{") || token.chars().any(char::is_control) => {
                return fault(TOKEN, "is no token; copy it as it is");
            }
            _ => {}
        }
        if self.base_url.as_deref().is_some_and(|url| url.contains("{{")) {
            return fault("config.base_url", "is no template; give the address as it is");
        }
        if self.text.trim().is_empty() {
            let problem = "is required; with blocks it is what notifications show";
            return fault("config.text", problem);
        }
        if self.blocks.as_ref().is_some_and(|blocks| !blocks.is_array()) {
            return fault("config.blocks", "must be a list of Slack's blocks");
        }
        Ok(())
    }

    fn way(&self) -> Way {
        match &self.webhook_url {
            Some(_) => Way::Webhook,
            None => Way::Token {
                one_channel: !self.channel.as_deref().unwrap_or_default().contains("{{"),
            },
        }
    }

    /// The call that it makes.
    fn call(&self) -> HttpSpec {
        let mut body = Map::new();
        body.extend(self.channel.clone().map(|channel| ("channel".to_owned(), channel.into())));
        body.insert("text".to_owned(), self.text.clone().into());
        body.extend(self.blocks.clone().map(|blocks| ("blocks".to_owned(), blocks)));
        let base = self.base_url.as_deref().unwrap_or(BASE_URL).trim_end_matches('/');
        let mut headers = BTreeMap::new();
        // Slack warns where the charset is missing.
        headers.insert("content-type".to_owned(), "application/json; charset=utf-8".to_owned());
        headers.extend(
            self.token
                .as_ref()
                .map(|token| ("authorization".to_owned(), format!("Bearer {token}"))),
        );
        HttpSpec {
            url: self.webhook_url.clone().unwrap_or_else(|| format!("{base}/chat.postMessage")),
            method: Some("POST".to_owned()),
            headers,
            body: Some(Json::Object(body)),
            extract: None,
            timeout_ms: self.timeout_ms,
            repeatable: Some(false),
        }
    }

    /// As [`Call::identity`](super::super::Call::identity). Two webhooks are two channels, so the address is in it, as a
    /// hash; a new token posts the same messages.
    fn identity(&self) -> String {
        let address = self.webhook_url.as_deref().map(|url| blake3::hash(url.as_bytes()).to_hex());
        let bare = Self { webhook_url: None, token: None, timeout_ms: None, ..self.clone() };
        format!("{} {}", bare.to_json(), address.as_ref().map_or("", |hash| hash.as_str()))
    }
}

impl KindSpec for SlackSpec {
    fn to_json(&self) -> Json {
        let mut json = Map::new();
        json.insert("provider".to_owned(), PROVIDER.into());
        let mut put = |name: &str, value: Option<Json>| {
            json.extend(value.map(|value| (name.to_owned(), value)));
        };
        put("webhook_url", self.webhook_url.clone().map(Json::from));
        put("token", self.token.clone().map(Json::from));
        put("channel", self.channel.clone().map(Json::from));
        put("text", Some(self.text.clone().into()));
        put("blocks", self.blocks.clone());
        put("base_url", self.base_url.clone().map(Json::from));
        put("timeout_ms", self.timeout_ms.map(Json::from));
        Json::Object(json)
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        let http =
            HttpColumn::new(&self.call(), table, own, guard).map_err(|error| match error {
                // The body is put together here: its parts are what the user knows.
                Error::Config { field, problem, did_you_mean } if field == "config.body" => {
                    let field = "config.text, channel or blocks".to_owned();
                    Error::Config { field, problem, did_you_mean }
                }
                other => other,
            })?;
        Ok(Bound::Call(Arc::new(SlackCall { http, way: self.way(), identity: self.identity() })))
    }

    fn renamed(mut self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        self.channel = self.channel.as_deref().map(rename).transpose()?;
        self.text = rename(&self.text)?;
        if let Some(blocks) = self.blocks.take() {
            let text = rename(&blocks.to_string())?;
            let blocks = serde_json::from_str(&text).map_err(|error| {
                Error::config("config.blocks", format!("is no JSON with that name: {error}"))
            })?;
            self.blocks = Some(blocks);
        }
        Ok(self)
    }

    fn sealed(
        mut self: Box<Self>,
        sealer: Option<&Sealer>,
        place: &str,
    ) -> Result<Box<dyn KindSpec>> {
        let (address, token) = (self.webhook_url.take(), self.token.take());
        self.webhook_url = seal_field(address, sealer, WEBHOOK, &format!("{place}.webhook_url"))?;
        self.token = seal_field(token, sealer, TOKEN, &format!("{place}.token"))?;
        Ok(self)
    }

    fn opened(
        mut self: Box<Self>,
        sealer: Option<&Sealer>,
        place: &str,
    ) -> Result<Box<dyn KindSpec>> {
        let (address, token) = (self.webhook_url.take(), self.token.take());
        self.webhook_url = open_field(address, sealer, WEBHOOK, &format!("{place}.webhook_url"))?;
        self.token = open_field(token, sealer, TOKEN, &format!("{place}.token"))?;
        Ok(self)
    }

    fn masked(mut self: Box<Self>) -> Box<dyn KindSpec> {
        for secret in [&mut self.webhook_url, &mut self.token].into_iter().flatten() {
            MASK.clone_into(secret);
        }
        self
    }

    fn calls(&self) -> Option<Called> {
        let secret = self.webhook_url.as_ref().or(self.token.as_ref()).cloned();
        Some(Called { host: host_of(&self.call().url)?, secret })
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }

    fn check_type(&self, kind: ColumnType) -> Result<()> {
        if matches!(kind, ColumnType::Boolean | ColumnType::Text | ColumnType::Json) {
            return Ok(());
        }
        let problem = format!("a column that posts to Slack is boolean, text or json, not {kind}");
        Err(Error::config("type", problem))
    }

    /// If nothing is said, one message per second and one at a time, which is what Slack allows in the long run: of
    /// `chat.postMessage` for each channel, with a limit of the whole workspace above it, and of each incoming webhook
    /// (<https://docs.slack.dev/apis/web-api/rate-limits>). Short bursts above it pass without any promise; beyond, Slack answers
    /// 429 with `Retry-After` in seconds. With channels that differ from row to row more may be configured.
    fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        let own = json!({
            "limits": ["1/s"], "max_concurrent": 1, "retry_strategy": "exponential", "max_retries": 3,
            "retry_delay_ms": 1000, "cool_down_on_429": true
        });
        let (json, ceilings) = match json {
            Json::Null => (&own, Ceilings { rate_optional: true, ..ceilings }),
            given => (given, ceilings),
        };
        let rate = Rate::from_json(json, ceilings).map_err(Error::Rate)?;
        HttpColumn::check_rate(&rate)?;
        Ok(rate)
    }
}
