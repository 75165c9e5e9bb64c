//! The three ways to ask a language model: what each vendor reads from a request, and how it writes answers and errors.

mod anthropic;
mod google;
mod openai;

use std::time::Duration;

use hyper::Method;
use paceline_clock::Timestamp;
use serde_json::Value;

use super::request::AiRequest;
use crate::hints::Headers;

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AiDialect {
    /// OpenAI's chat completions, at any path that ends with `/chat/completions`.
    OpenAi,
    /// Anthropic's messages, at `/v1/messages`.
    Anthropic,
    /// Google's `generateContent`, at `/v1beta/models/MODEL:generateContent`.
    Google,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Chat,
    ListModels,
}

/// A question, as far as a vendor has to know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ask {
    pub(super) model: String,
    /// Every text of it, which is what its tokens are counted from.
    pub(super) input: String,
    /// The last text of the user, which is what the answer is computed from.
    pub(super) prompt: String,
    pub(super) shape: Option<Shape>,
    /// The most tokens that the answer may take.
    pub(super) output_max: Option<u64>,
}

/// JSON is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) schema: Value,
    /// The tool that is called with it, where JSON is asked for in that way.
    pub(super) tool: Option<String>,
}

/// What the model says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// The text, or the JSON as text.
    pub(super) text: String,
    pub(super) end: End,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
}

/// Why it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Length,
    Refusal,
    Blocked,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Problem {
    NoKey,
    BadKey,
    NoModel(String),
    /// The field, and what is wrong with it.
    Invalid(String, String),
    TooMany(TooMany),
    /// No money is left.
    Quota,
    Internal,
    Overloaded,
}

/// A refusal by a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany {
    pub(super) counts: Counts,
    pub(super) limit: u64,
    pub(super) used: u64,
    pub(super) requested: u64,
    pub(super) wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    Requests,
    Tokens,
}

/// Where the tightest limit of a kind stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) limit: u64,
    pub(super) remaining: u64,
    /// Until all of it is there again.
    pub(super) reset: Duration,
}

/// What is told of the limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lefts {
    pub(super) requests: Option<Left>,
    pub(super) tokens: Option<Left>,
}

/// An error as a vendor writes it.
pub(super) struct Told {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Value,
}

const MODELS: [&str; 2] = ["/v1/models", "/v1beta/models"];

/// Whether a path belongs to one of the vendors.
pub(crate) fn is_ours(path: &str) -> bool {
    path.ends_with(openai::PATH)
        || path == anthropic::PATH
        || path.starts_with(google::PREFIX)
        || MODELS.contains(&path)
}

impl AiDialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OpenAi, Self::Anthropic, Self::Google];

    /// The name in the verdict.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Google => "google",
        }
    }

    /// Whom a request is for, by its path; OpenAI and Anthropic list their models at the same one.
    pub(super) fn of(request: &AiRequest) -> Self {
        let path = request.path.as_str();
        let anthropic = path == anthropic::PATH
            || (path == MODELS[0] && request.headers.contains_key(anthropic::KEY_HEADER));
        match path {
            _ if anthropic => Self::Anthropic,
            _ if path.starts_with(google::PREFIX) || path == MODELS[1] => Self::Google,
            _ => Self::OpenAi,
        }
    }

    /// What it is for; the problem if there is nothing of that method here.
    pub(super) fn operation(request: &AiRequest) -> Result<Operation, Problem> {
        let listing = MODELS.contains(&request.path.as_str());
        match (&request.method, listing) {
            (&Method::GET, true) => Ok(Operation::ListModels),
            (&Method::POST, false) => Ok(Operation::Chat),
            (method, _) => {
                Err(Problem::Invalid("method".to_owned(), format!("{method} is not allowed here")))
            }
        }
    }

    /// The key that a request shows.
    pub(super) fn key(self, request: &AiRequest) -> Option<&str> {
        match self {
            Self::OpenAi => request.header("authorization")?.strip_prefix("Bearer "),
            Self::Anthropic => request.header(anthropic::KEY_HEADER),
            Self::Google => request.header(google::KEY_HEADER),
        }
        .map(str::trim)
        .filter(|key| !key.is_empty())
    }

    /// Reads a question.
    pub(super) fn read(self, request: &AiRequest) -> Result<Ask, Problem> {
        let body: Value = serde_json::from_slice(&request.body).map_err(|error| {
            Problem::Invalid("body".to_owned(), format!("is not valid JSON: {error}"))
        })?;
        match self {
            Self::OpenAi => openai::read(&body),
            Self::Anthropic => anthropic::read(request, &body),
            Self::Google => google::read(request, &body),
        }
    }

    /// Whether the tokens that an answer takes count against its limits.
    pub(super) fn counts_output(self) -> bool {
        self != Self::Google
    }

    pub(super) fn answer(self, ask: &Ask, said: &Said, id: u64) -> Value {
        match self {
            Self::OpenAi => openai::answer(ask, said, id),
            Self::Anthropic => anthropic::answer(ask, said, id),
            Self::Google => google::answer(ask, said, id),
        }
    }

    pub(super) fn models(self, models: &[String]) -> Value {
        match self {
            Self::OpenAi => openai::models(models),
            Self::Anthropic => anthropic::models(models),
            Self::Google => google::models(models),
        }
    }

    pub(super) fn error(self, problem: &Problem, id: u64) -> Told {
        match self {
            Self::OpenAi => openai::error(problem),
            Self::Anthropic => anthropic::error(problem, id),
            Self::Google => google::error(problem),
        }
    }

    /// What every answer tells of the limits.
    pub(super) fn headers(self, lefts: Lefts, wall: Timestamp) -> Headers {
        match self {
            Self::OpenAi => openai::headers(lefts),
            Self::Anthropic => anthropic::headers(lefts, wall),
            Self::Google => Headers::new(),
        }
    }
}

impl Problem {
    pub(super) fn invalid(field: &str, problem: impl Into<String>) -> Self {
        Self::Invalid(field.to_owned(), problem.into())
    }
}

/// The field of that name, if it is a text.
fn text_of(body: &Value, field: &str) -> Option<String> {
    body.get(field)?.as_str().map(str::to_owned)
}

/// A field that must be a whole number from 1 on if it is there.
fn count_of(body: &Value, field: &str) -> Result<Option<u64>, Problem> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(Problem::invalid(field, "must be a whole number from 1 on")),
        },
    }
}

/// The texts of a message's content: a text, or parts that have some.
fn texts(content: Option<&Value>) -> Option<String> {
    match content? {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Option<Vec<&str>> =
                parts.iter().map(|part| part.get("text")?.as_str()).collect();
            texts.filter(|texts| !texts.is_empty()).map(|texts| texts.concat())
        }
        _ => None,
    }
}

/// A temperature between 0 and `most`, if there is one.
fn check_temperature(body: &Value, most: f64) -> Result<(), Problem> {
    match body.get("temperature") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_f64().is_some_and(|t| (0.0..=most).contains(&t)) => Ok(()),
        Some(_) => Err(Problem::invalid("temperature", format!("must be from 0 to {most}"))),
    }
}

fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
