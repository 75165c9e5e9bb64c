//! How a question is put to each vendor, and how its answer is read.

mod anthropic;
mod google;
mod openai;

use paceline_model::CellError;
use serde_json::Value as Json;
use url::Url;

use super::output::Shape;
use crate::ai_service::{AiService, Dialect, ai_url};
use crate::task::cell_error;

/// A question.
pub(super) struct Question<'a> {
    pub(super) model: &'a str,
    pub(super) system: Option<&'a str>,
    pub(super) prompt: &'a str,
    pub(super) max_tokens: u64,
    pub(super) temperature: Option<f64>,
    pub(super) shape: Option<&'a Shape>,
}

/// What a model answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Text(String),
    Json(Json),
}

/// What the schema, the tool or the function is called at the vendors.
const SHAPE_NAME: &str = "cell";

/// Where a question goes.
pub(super) fn url(service: &AiService, base: &Url, model: &str) -> Url {
    match service.dialect {
        Dialect::OpenAi | Dialect::Compatible => ai_url(base, &["chat", "completions"]),
        Dialect::Anthropic => ai_url(base, &["messages"]),
        Dialect::Google => {
            let model = model.strip_prefix("models/").unwrap_or(model);
            ai_url(base, &["models", &format!("{model}:generateContent")])
        }
    }
}

/// The body of a question.
pub(super) fn body(service: &AiService, question: &Question<'_>) -> Json {
    match service.dialect {
        Dialect::OpenAi | Dialect::Compatible => openai::body(service, question),
        Dialect::Anthropic => anthropic::body(question),
        Dialect::Google => google::body(question),
    }
}

/// The answer in a vendor's reply.
pub(super) fn read(dialect: Dialect, reply: &Json, shaped: bool) -> Result<Said, CellError> {
    match dialect {
        Dialect::OpenAi | Dialect::Compatible => openai::read(reply),
        Dialect::Anthropic => anthropic::read(reply, shaped),
        Dialect::Google => google::read(reply),
    }
}

/// How many tokens a call took of the vendor's limits, as its reply says.
pub(super) fn tokens(dialect: Dialect, reply: &Json) -> Option<u64> {
    match dialect {
        Dialect::OpenAi | Dialect::Compatible => openai::tokens(reply),
        Dialect::Anthropic => anthropic::tokens(reply),
        Dialect::Google => google::tokens(reply),
    }
}

/// Whether the tokens of an answer count against the vendor's limits. Google limits input tokens ("Rate limits": tokens per
/// minute, input).
pub(super) fn counts_output(dialect: Dialect) -> bool {
    dialect != Dialect::Google
}

/// The text of an answer, if there is any.
fn text(text: &str) -> Result<Said, CellError> {
    if text.trim().is_empty() {
        let message = "the model answered with nothing; say in the prompt what to answer when there is nothing to say";
        return Err(cell_error("AI_EMPTY", message));
    }
    Ok(Said::Text(text.trim().to_owned()))
}

fn truncated() -> CellError {
    let message = "the answer was cut at max_tokens; raise max_tokens (a model that thinks spends them on that too), or ask \
                   for less";
    cell_error("AI_TRUNCATED", message)
}

fn refused(why: &str) -> CellError {
    let why: String = why.chars().take(300).collect();
    cell_error(
        "AI_REFUSED",
        format!("the vendor gave no answer to this row: {why}; change the prompt or the row"),
    )
}

fn no_answer(what: &str) -> CellError {
    cell_error(
        "AI_FORMAT",
        format!("the reply has {what}; is this the address of the service that was meant?"),
    )
}
