//! A column of kind `integration` with the provider `webhook`: one signed POST per row, never repeated blindly.

use std::sync::Arc;

use http::HeaderValue;
use paceline_clock::Timestamp;
use paceline_governor::{Ceilings, Preset, Rate};
use paceline_model::{CellError, Column, ColumnId, ColumnType, Table, Value};
use serde_json::Value as Json;

use super::fields::Fields;
use super::{Answer, Bound, Call, Called, KindSpec, Rename};
use crate::secret::{MASK, open_field, seal_field};
use crate::{
    Error, HttpColumn, HttpSpec, OutboundGuard, Reply, Request, Result, SIGNATURE, Sealer, extract,
    signed,
};

/// What the field `provider` says.
pub(super) const PROVIDER: &str = "webhook";
const FIELDS: [&str; 7] = ["provider", "url", "body", "headers", "secret", "extract", "timeout_ms"];
const SECRET: &str = "config.secret";

/// The configuration: `url` and `body` (templates), `headers`, `secret` (signs each call as outgoing webhooks do),
/// `extract`, `timeout_ms`.
///
/// There is no default body: what leaves the house is chosen, or a new column would leave it with nobody asking.
#[derive(Clone)]
pub(super) struct WebhookSpec {
    http: HttpSpec,
    secret: Option<String>,
}

impl WebhookSpec {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The field and the remedy; never a value.
    pub(super) fn from_json(json: &Json) -> Result<Self> {
        let fields = Fields::of(json, "config", &FIELDS)?;
        let secret = fields.text("secret")?;
        if secret.as_deref().is_some_and(|secret| secret.trim().is_empty()) {
            return Err(Error::config(SECRET, "is empty; leave it out and nothing is signed"));
        }
        if fields.any("body").is_none() {
            let problem = "is required: what is sent, such as {\"email\": \"{{email}}\"}";
            return Err(Error::config("config.body", problem));
        }
        let mut call = json.clone();
        if let Some(call) = call.as_object_mut() {
            call.retain(|name, value| {
                !["provider", "secret"].contains(&name.as_str()) && !value.is_null()
            });
        }
        let http = HttpSpec::from_json(&call)?;
        // A POST that nobody may make again unless somebody says so.
        let http = HttpSpec { method: Some("POST".to_owned()), repeatable: Some(false), ..http };
        Ok(Self { http, secret })
    }
}

impl KindSpec for WebhookSpec {
    fn to_json(&self) -> Json {
        let bare = HttpSpec { method: None, repeatable: None, ..self.http.clone() };
        let mut json = bare.to_json();
        if let Some(fields) = json.as_object_mut() {
            fields.insert("provider".to_owned(), PROVIDER.into());
            fields.extend(self.secret.clone().map(|secret| ("secret".to_owned(), secret.into())));
        }
        json
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        let http = HttpColumn::new(&self.http, table, own, guard)?;
        let secret = self.secret.clone();
        Ok(Bound::Call(Arc::new(WebhookCall { http, secret })))
    }

    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self { http: self.http.renamed(rename)?, secret: self.secret }))
    }

    fn sealed(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        let secret = seal_field(self.secret, sealer, SECRET, &secret_place(place))?;
        Ok(Box::new(Self { http: self.http.sealed(sealer, place)?, secret }))
    }

    fn opened(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        let secret = open_field(self.secret, sealer, SECRET, &secret_place(place))?;
        Ok(Box::new(Self { http: self.http.opened(sealer, place)?, secret }))
    }

    fn masked(self: Box<Self>) -> Box<dyn KindSpec> {
        let secret = self.secret.map(|_| MASK.to_owned());
        Box::new(Self { http: self.http.masked(), secret })
    }

    fn calls(&self) -> Option<Called> {
        KindSpec::calls(&self.http)
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }

    /// As an `http` column; conservative (10 calls per second, 5 at once) if nothing is said.
    fn rate(&self, json: &Json, ceilings: Ceilings) -> Result<Rate> {
        if json.is_null() {
            return Ok(Preset::Conservative.rate());
        }
        let rate = Rate::from_json(json, ceilings).map_err(Error::Rate)?;
        HttpColumn::check_rate(&rate)?;
        Ok(rate)
    }
}

fn secret_place(place: &str) -> String {
    format!("{place}.secret")
}

struct WebhookCall {
    http: HttpColumn,
    secret: Option<String>,
}

impl Call for WebhookCall {
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
        format!("{PROVIDER} {}", self.http.identity)
    }

    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        self.http.render(values, key)
    }

    /// Signed when it leaves and not before: a receiver refuses what is minutes old, and a call may have to wait that long.
    fn stamped(&self, mut request: Request, at: Timestamp) -> Request {
        let Some(secret) = &self.secret else { return request };
        let body = request.body.as_deref().unwrap_or_default();
        if let Ok(value) = HeaderValue::from_str(&signed(secret, at, body)) {
            request.headers.push((SIGNATURE, value));
        }
        request
    }

    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        let value = match &self.http.extract {
            Some(path) => extract::value(reply, Some(path), column)?,
            None => delivered(reply, column),
        };
        Ok(Answer { value, tokens: None })
    }
}

/// The value of a call that was delivered and of which nothing more is wanted: the reply where it fits. What does not fit is
/// no failure, because the effect is there, and retrying the cell would send it again.
fn delivered(reply: &Reply, column: &Column) -> Value {
    match column.kind {
        ColumnType::Boolean => Value::Bool(true),
        _ if reply.body.is_empty() => Value::Null,
        _ => extract::value(reply, None, column).unwrap_or_default(),
    }
}
