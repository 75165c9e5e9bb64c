//! An `http` smart column, bound to its table, and the request it renders for a row.

mod rate;
mod spec;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use paceline_model::{BoundTemplate, CellError, ColumnId, Place, Table, Template, Value, limits};
use serde_json::Value as Json;
use serde_json_path::JsonPath;

pub use self::spec::HttpSpec;
use crate::labels::{Labels, render_error, template, template_error};
use crate::task::cell_error;
use crate::{Error, OutboundGuard, Request, Result};

/// The header that tells a vendor that two calls are one.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const METHODS: [Method; 6] =
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD];

/// An `http` column, bound to the columns of its table: everything checked that can be checked before a row is seen.
#[derive(Clone, Debug)]
pub struct HttpColumn {
    method: Method,
    url: BoundTemplate,
    headers: Vec<(HeaderName, BoundTemplate)>,
    body: Option<BoundTemplate>,
    pub(crate) extract: Option<JsonPath>,
    timeout: Duration,
    pub(crate) names_timeout: bool,
    pub(crate) repeatable: bool,
    sends_own_key: bool,
    /// See [`HttpSpec::identity`].
    pub(crate) identity: String,
    guard: OutboundGuard,
    /// The columns whose values [`HttpColumn::render`] takes, in this order.
    pub(crate) inputs: Vec<ColumnId>,
}

impl HttpColumn {
    /// Checks a configuration against a table (`own` is the column's own name, which it may not refer to).
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Outbound`], with the field and the remedy.
    pub fn new(spec: &HttpSpec, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Self> {
        let method = method(spec.method.as_deref())?;
        let url = template("config.url", &spec.url, Place::Url)?;
        check_address(&url, guard)?;
        let headers = headers(&spec.headers)?;
        let json_body = spec.body.as_ref().is_some_and(|body| !body.is_string())
            || content_type_is(&headers, "json");
        let body =
            spec.body.as_ref().map(|body| body_template(body, json_body, &headers)).transpose()?;
        let extract = spec.extract.as_deref().map(path).transpose()?;
        let timeout = timeout(spec.timeout_ms)?;
        let labels = Labels::of(table, own);
        let used = labels.used(
            std::iter::once(("config.url", &url))
                .chain(headers.iter().map(|(name, value)| (name.as_str(), value)))
                .chain(body.iter().map(|body| ("config.body", body))),
        )?;
        let names: Vec<&str> = used.iter().map(|index| labels.names[*index]).collect();
        let bind = |template: &Template| {
            template.bind(&names).map_err(|error| template_error("config", &error))
        };
        let sends_own_key =
            spec.headers.keys().any(|name| name.eq_ignore_ascii_case(IDEMPOTENCY_KEY));
        let repeatable_method = !matches!(method, Method::POST | Method::PATCH);
        let mut bound_headers = Vec::with_capacity(headers.len() + 1);
        for (name, value) in &headers {
            bound_headers.push((name.clone(), bind(value)?));
        }
        if json_body
            && body.is_some()
            && !headers.iter().any(|(name, _)| name == header::CONTENT_TYPE)
        {
            let json = template("config.headers", "application/json", Place::Header)?;
            bound_headers.push((header::CONTENT_TYPE, bind(&json)?));
        }
        Ok(Self {
            url: bind(&url)?,
            headers: bound_headers,
            body: body.as_ref().map(bind).transpose()?,
            extract,
            timeout,
            names_timeout: spec.timeout_ms.is_some(),
            repeatable: spec.repeatable.unwrap_or(repeatable_method || sends_own_key),
            sends_own_key,
            identity: spec.identity(),
            method,
            guard: guard.clone(),
            inputs: used.iter().map(|index| labels.columns[*index]).collect(),
        })
    }

    /// The columns whose values it needs.
    #[must_use]
    pub fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    /// The request for a row whose input values are `values`. `key` tells the vendor that two attempts are one call.
    ///
    /// # Errors
    /// The cell's error: a missing value, or one that cannot stand where it is put.
    pub(crate) fn render(
        &self,
        values: &[Value],
        key: &str,
    ) -> std::result::Result<Request, CellError> {
        let text = self.url.render(values).map_err(|error| render_error(&error))?;
        if text.len() > limits::URL_BYTES_MAX {
            let message = format!(
                "the URL is {} bytes long; at most {} are sent",
                text.len(),
                limits::URL_BYTES_MAX
            );
            return Err(cell_error("TOO_LONG", message));
        }
        let url = self
            .guard
            .check_url(&text)
            .map_err(|error| cell_error("BLOCKED_URL", error.to_string()))?;
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        for (name, template) in &self.headers {
            let text = template.render(values).map_err(|error| render_error(&error))?;
            let value =
                HeaderValue::from_str(&text).or_else(|_| HeaderValue::from_bytes(text.as_bytes()));
            let value = value.map_err(|_| {
                cell_error("NOT_ALLOWED", format!("header {name} has a value that cannot be sent"))
            })?;
            headers.push((name.clone(), value));
        }
        if !self.sends_own_key
            && let Ok(value) = HeaderValue::from_str(key)
        {
            headers.push((HeaderName::from_static(IDEMPOTENCY_KEY), value));
        }
        let body = self
            .body
            .as_ref()
            .map(|body| body.render(values))
            .transpose()
            .map_err(|error| render_error(&error))?;
        if let Some(body) = body.as_ref().filter(|body| body.len() > limits::REQUEST_BODY_BYTES_MAX)
        {
            let message = format!(
                "the body is {} bytes long; at most {} are sent",
                body.len(),
                limits::REQUEST_BODY_BYTES_MAX
            );
            return Err(cell_error("TOO_LONG", message));
        }
        Ok(Request {
            method: self.method.clone(),
            url,
            headers,
            body: body.map(Bytes::from),
            timeout: self.timeout,
            reply_bytes_max: limits::RESPONSE_BODY_BYTES_MAX,
        })
    }
}

fn method(name: Option<&str>) -> Result<Method> {
    let name = name.unwrap_or("GET");
    METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names = METHODS.map(|method| method.to_string()).join(", ");
        let shown: String = name.chars().take(40).collect();
        Error::config("config.method", format!("{shown:?} is not one of {names}"))
    })
}

fn headers(given: &BTreeMap<String, String>) -> Result<Vec<(HeaderName, Template)>> {
    if given.len() > limits::HEADERS_MAX {
        let problem = format!("{} headers; at most {} are sent", given.len(), limits::HEADERS_MAX);
        return Err(Error::config("config.headers", problem));
    }
    let header = |(name, value): (&String, &String)| {
        let field = format!("config.headers.{}", name.chars().take(60).collect::<String>());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            Error::config(&*field, "is not a header's name; write letters, digits and hyphens")
        })?;
        if value.chars().any(char::is_control) {
            return Err(Error::config(
                &*field,
                "a header's value may hold no line break or other control character",
            ));
        }
        Ok((name, template(&field, value, Place::Header)?))
    };
    given.iter().map(header).collect()
}

fn content_type_is(headers: &[(HeaderName, Template)], word: &str) -> bool {
    let kind = headers.iter().find(|(name, _)| name == header::CONTENT_TYPE);
    kind.is_some_and(|(_, value)| value.literal_prefix().to_ascii_lowercase().contains(word))
}

fn body_template(body: &Json, json: bool, headers: &[(HeaderName, Template)]) -> Result<Template> {
    let place = match body {
        _ if json => Place::JsonBody,
        Json::String(text) if text.trim_start().starts_with(['{', '[']) => Place::JsonBody,
        _ if content_type_is(headers, "x-www-form-urlencoded") => Place::FormBody,
        _ => Place::Text,
    };
    match body {
        Json::String(text) => template("config.body", text, place),
        other => template("config.body", &other.to_string(), place),
    }
}

fn path(text: &str) -> Result<JsonPath> {
    JsonPath::parse(text).map_err(|error| {
        Error::config(
            "config.extract",
            format!("{text:?} is not a JSONPath ({error}); write one as $.person.name"),
        )
    })
}

fn timeout(millis: Option<u64>) -> Result<Duration> {
    let timeout = millis.map_or(limits::CALL_TIMEOUT_DEFAULT, Duration::from_millis);
    if timeout.is_zero() || timeout > limits::CALL_TIMEOUT_MAX {
        let problem = format!("must be from 1 to {} ms", limits::CALL_TIMEOUT_MAX.as_millis());
        return Err(Error::config("config.timeout_ms", problem));
    }
    Ok(timeout)
}

/// Checks the address as far as it is known before any row is: scheme, and host if no value is part of it.
fn check_address(url: &Template, guard: &OutboundGuard) -> Result<()> {
    let prefix = url.literal_prefix();
    let Some((_, after_scheme)) = prefix.split_once("://") else {
        // Only a value at the very beginning may bring the address with it.
        if url.is_literal() || !prefix.is_empty() {
            guard.check_url(prefix)?;
        }
        return Ok(());
    };
    let host_is_known = url.is_literal() || after_scheme.contains(['/', '?', '#']);
    if host_is_known {
        guard.check_url(prefix)?;
    } else if let Some(scheme) = prefix.split_once("://").map(|(scheme, _)| scheme)
        && !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https")
    {
        return Err(crate::OutboundError::Scheme(scheme.to_owned()).into());
    }
    Ok(())
}
