//! An `ai` column is one call per row to a language model: OpenAI's, Anthropic's, Google's, or one that speaks as OpenAI
//! does (spec C6), under limits of calls and of tokens (G13).

mod cause;
mod dialect;
mod output;
mod provider;
mod schema;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use paceline_model::{
    BoundTemplate, CellError, Column, ColumnId, ColumnType, Place, Table, Template, Value, limits,
};
use serde_json::Value as Json;
use url::Url;

use self::dialect::{Question, Said};
use self::output::Shape;
pub(crate) use self::spec::AiSpec;
use self::spec::Found;
use super::{Answer, Around, Bound, Call, Called, Cause, KindSpec, Outside, Rename};
use crate::ai_service::AiService;
use crate::labels::{Labels, render_error, template, template_error};
use crate::task::cell_error;
use crate::{OutboundGuard, Reply, Request, Result, Sealer, extract};

/// The header that tells a vendor that two calls are one.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[async_trait]
impl KindSpec for AiSpec {
    fn to_json(&self) -> Json {
        Self::to_json(self)
    }

    fn bind(&self, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Bound> {
        Ok(Bound::Call(Arc::new(AiColumn::new(self, table, own, guard)?)))
    }

    fn renamed(self: Box<Self>, rename: Rename<'_>) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::renamed(*self, rename)?))
    }

    fn sealed(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::sealed(*self, sealer, place)?))
    }

    fn opened(self: Box<Self>, sealer: Option<&Sealer>, place: &str) -> Result<Box<dyn KindSpec>> {
        Ok(Box::new(Self::opened(*self, sealer, place)?))
    }

    fn masked(self: Box<Self>) -> Box<dyn KindSpec> {
        Box::new(Self::masked(*self))
    }

    fn boxed(&self) -> Box<dyn KindSpec> {
        Box::new(self.clone())
    }

    fn calls(&self) -> Option<Called> {
        self.called()
    }

    fn check_type(&self, kind: ColumnType) -> Result<()> {
        output::check_type(self.output.as_ref(), kind)
    }

    async fn resolved(&self, around: Around<'_>) -> Result<Box<dyn KindSpec>> {
        let Some(name) = self.wants_stored() else { return Ok(self.boxed()) };
        let found = provider::stored(around.store, around.sealer, name).await?;
        Ok(Box::new(Self { found: Some(found), ..self.clone() }))
    }

    fn stored_provider(&self) -> Option<(&str, &str)> {
        self.found.as_ref().map(|found| (found.service.as_str(), found.base_url.as_str()))
    }

    fn outside(&self) -> Option<Outside> {
        let Found { service, base_url, key: _ } = self.found.as_ref()?;
        Some(Outside::Provider(serde_json::json!([service, base_url]).to_string()))
    }
}

/// A column, bound to its table.
#[derive(Debug)]
struct AiColumn {
    prompt: BoundTemplate,
    system: Option<BoundTemplate>,
    model: String,
    max_tokens: u64,
    temperature: Option<f64>,
    shape: Option<Shape>,
    /// Where it goes; none as long as its stored provider was not looked up.
    way: Option<Way>,
    timeout: Duration,
    names_timeout: bool,
    identity: String,
    inputs: Vec<ColumnId>,
}

/// Where questions go, and the headers that show the key.
#[derive(Debug)]
struct Way {
    service: &'static AiService,
    url: Url,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl AiColumn {
    fn new(spec: &AiSpec, table: &Table, own: &str, guard: &OutboundGuard) -> Result<Self> {
        let prompt = template("config.prompt", &spec.prompt, Place::Text)?;
        let system = spec.system.as_deref();
        let system =
            system.map(|system| template("config.system", system, Place::Text)).transpose()?;
        let labels = Labels::of(table, own);
        let used = labels.used(
            std::iter::once(("config.prompt", &prompt))
                .chain(system.iter().map(|system| ("config.system", system))),
        )?;
        let names: Vec<&str> = used.iter().map(|index| labels.names[*index]).collect();
        let bind = |template: &Template| {
            template.bind(&names).map_err(|error| template_error("config", &error))
        };
        let column = table.columns.iter().find(|column| column.name == own);
        let way = spec.endpoint(guard)?.map(|endpoint| Way {
            url: dialect::url(endpoint.service, &endpoint.base, &spec.model),
            service: endpoint.service,
            headers: endpoint.headers,
        });
        let timeout = spec.timeout_ms.map_or(limits::AI_TIMEOUT_DEFAULT, Duration::from_millis);
        let shape = output::shape(spec.output.as_ref(), column)?;
        let schema = shape.as_ref().map(|shape| &shape.schema);
        let identity = serde_json::json!([spec.identity(), schema]).to_string();
        Ok(Self {
            prompt: bind(&prompt)?,
            system: system.as_ref().map(bind).transpose()?,
            model: spec.model.clone(),
            max_tokens: spec.max_tokens(),
            temperature: spec.temperature,
            shape,
            way,
            timeout,
            names_timeout: spec.timeout_ms.is_some(),
            identity,
            inputs: used.iter().map(|index| labels.columns[*index]).collect(),
        })
    }

    fn way(&self) -> std::result::Result<&Way, CellError> {
        let missing = || cell_error("AI_PROVIDER", "the provider of this column was not looked up");
        self.way.as_ref().ok_or_else(missing)
    }
}

impl Call for AiColumn {
    fn inputs(&self) -> &[ColumnId] {
        &self.inputs
    }

    /// A question has no effect but its answer.
    fn repeatable(&self) -> bool {
        true
    }

    fn names_timeout(&self) -> bool {
        self.names_timeout
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn render(&self, values: &[Value], key: &str) -> std::result::Result<Request, CellError> {
        let way = self.way()?;
        let text = |template: &BoundTemplate| {
            template.render(values).map_err(|error| render_error(&error))
        };
        let system = self.system.as_ref().map(text).transpose()?;
        let prompt = text(&self.prompt)?;
        if prompt.trim().is_empty() {
            return Err(cell_error("MISSING_VALUE", "the prompt of this row is empty"));
        }
        let question = Question {
            model: &self.model,
            system: system.as_deref().filter(|system| !system.trim().is_empty()),
            prompt: &prompt,
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            shape: self.shape.as_ref(),
        };
        let body = dialect::body(way.service, &question).to_string();
        if body.len() > limits::REQUEST_BODY_BYTES_MAX {
            let most = limits::REQUEST_BODY_BYTES_MAX;
            let message =
                format!("the request is {} bytes long; at most {most} are sent", body.len());
            return Err(cell_error("TOO_LONG", message));
        }
        let mut headers = way.headers.clone();
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
        if let Ok(value) = HeaderValue::from_str(key) {
            headers.push((IDEMPOTENCY_KEY, value));
        }
        Ok(Request {
            method: Method::POST,
            url: way.url.clone(),
            headers,
            body: Some(Bytes::from(body)),
            timeout: self.timeout,
            reply_bytes_max: limits::RESPONSE_BODY_BYTES_MAX,
        })
    }

    fn read(&self, reply: &Reply, column: &Column) -> std::result::Result<Answer, CellError> {
        let dialect = self.way()?.service.dialect;
        let json: Json = serde_json::from_slice(&reply.body)
            .map_err(|error| cell_error("AI_FORMAT", format!("the reply is not JSON ({error})")))?;
        let said = dialect::read(dialect, &json, self.shape.is_some())?;
        let answer = match (&self.shape, said) {
            (None, Said::Text(text)) => Json::String(text),
            (None, Said::Json(json)) => json,
            (Some(shape), said) => shaped(shape, said)?,
        };
        let value = extract::typed(answer, column)?;
        Ok(Answer { value, tokens: dialect::tokens(dialect, &json) })
    }

    /// By the rule of OpenAI's guide "Rate limits" (the estimate from the count of characters, and as many tokens as the
    /// answer may take) with four characters a token; what is not ASCII counts as a token a character, for other scripts
    /// take about as many.
    fn tokens(&self, request: &Request) -> u64 {
        let body = request.body.as_deref().unwrap_or_default();
        let ascii = body.iter().filter(|byte| byte.is_ascii()).count();
        // Every other character begins with one byte that is none of those that go on.
        let others = body.iter().filter(|byte| **byte >= 0xC0).count();
        let output = match &self.way {
            Some(way) if !dialect::counts_output(way.service.dialect) => 0,
            _ => self.max_tokens,
        };
        (ascii.div_ceil(4) + others) as u64 + output
    }

    fn cause(&self, reply: &Reply) -> Option<Cause> {
        cause::cause(reply, &self.model)
    }
}

/// The cell's value out of an answer that was to have a form.
fn shaped(shape: &Shape, said: Said) -> std::result::Result<Json, CellError> {
    let wrong = |problem: &str, text: &str| {
        let begun: String = text.chars().take(80).collect();
        let message =
            format!("the answer is not what was asked for: {problem}; it begins {begun:?}");
        cell_error("AI_FORMAT", message)
    };
    let answer = match said {
        Said::Json(json) => json,
        Said::Text(text) => serde_json::from_str(unfenced(&text))
            .map_err(|error| wrong(&format!("not JSON ({error})"), &text))?,
    };
    let text = answer.to_string();
    shape.value(answer).map_err(|problem| wrong(&problem, &text))
}

/// Some models put JSON into a fence of Markdown all the same.
fn unfenced(text: &str) -> &str {
    let inner = text.strip_prefix("```json").or_else(|| text.strip_prefix("```"));
    inner.and_then(|inner| inner.trim().strip_suffix("```")).unwrap_or(text)
}
