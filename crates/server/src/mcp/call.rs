//! One call of a tool, from its name and arguments to its result. Whatever is wrong with it is a result as well: a client
//! shows results to its agent, and protocol errors to nobody.

use bytes::Bytes;
use http::StatusCode;
use paceline_model::limits::MCP_REPLY_BYTES_MAX;
use rmcp::model::CallToolResult;
use serde_json::{Map, Value as Json};

use super::{Visitor, arguments, others, reply, tools};
use crate::App;
use crate::catalog::{self, Operation};
use crate::envelope::{self, Hint};
use crate::error::{ApiError, Code, Result};

/// Calls a tool.
pub(super) async fn call(
    app: &App,
    visitor: &Visitor,
    name: &str,
    arguments: Map<String, Json>,
) -> CallToolResult {
    let answer = if name == others::NAME {
        others::call(app, visitor, arguments).await
    } else {
        match operation(visitor, name) {
            Ok(operation) => perform(app, visitor, operation, arguments).await,
            Err(error) => Err(error),
        }
    };
    result(visitor, name, answer)
}

/// The result of a call whose arguments are no object; `None` if that is not what is wrong with it.
pub(super) fn misshapen(visitor: &Visitor, params: &Json) -> Option<CallToolResult> {
    let name = params.get("name")?.as_str()?;
    let arguments = params.get("arguments").filter(|arguments| !arguments.is_object())?;
    let problem = format!("{} is not an object", catalog::shown(arguments));
    Some(result(visitor, name, Err(ApiError::field("arguments", problem))))
}

fn result(visitor: &Visitor, name: &str, answer: Result<Json>) -> CallToolResult {
    match answer {
        Ok(envelope) => CallToolResult::structured(reply::fitted(visitor, envelope)),
        Err(error) => CallToolResult::structured_error(refused(visitor, name, error)),
    }
}

/// The envelope of an error; what really happened goes to the log.
pub(super) fn refused(visitor: &Visitor, name: &str, error: ApiError) -> Json {
    let error = error.attempting(|| name.chars().take(80).collect());
    if let Some(what) = &error.0.internal {
        tracing::error!(tool = %name, what, "tool call failed");
    }
    reply::fitted(visitor, json(&envelope::failure(&error)))
}

/// The operation behind a name, whether the visitor sees it as a tool or not: toolsets are about context, not about
/// leave.
pub(super) fn operation(visitor: &Visitor, name: &str) -> Result<&'static Operation> {
    if let Some(operation) = tools::operation(name) {
        return Ok(operation);
    }
    let known = catalog::operations()
        .filter(|operation| tools::may(visitor, operation))
        .map(|operation| operation.name);
    let bare = name.strip_prefix(tools::PREFIX).unwrap_or(name);
    let meant =
        paceline_model::suggest(bare, known).map(|meant| format!("{}{meant}", tools::PREFIX));
    let shown: String = name.chars().take(80).collect();
    let error = ApiError::new(Code::ToolNotFound, format!("there is no tool {shown:?}"));
    Err(error.meant(meant.as_deref()).hint(Hint::new("list_tables", "see which tables there are")))
}

/// Does an operation; answers its envelope. A page that is too long for a reply is read again with fewer rows, so that its
/// cursor goes on where it ends.
pub(super) async fn perform(
    app: &App,
    visitor: &Visitor,
    operation: &'static Operation,
    mut arguments: Map<String, Json>,
) -> Result<Json> {
    let attempted = operation.attempt(&arguments);
    arguments::prepare(operation, &mut arguments, visitor.page_rows_max)
        .map_err(|error| error.attempting(|| attempted))?;
    let (mut bytes, mut is_cut) = (Bytes::new(), false);
    // Each time fewer rows, so a page's worth of times at the most.
    for _ in 0..=visitor.page_rows_max {
        bytes = once(app, visitor, operation, arguments.clone()).await?;
        if bytes.len() <= MCP_REPLY_BYTES_MAX || !arguments::is_paged(operation) {
            break;
        }
        let envelope = json(&bytes);
        let rows = envelope["data"].as_array().map_or(0, Vec::len);
        if rows <= 1 {
            break;
        }
        // A tenth less than would fit if all rows were alike.
        let fitting = rows.saturating_mul(MCP_REPLY_BYTES_MAX) / bytes.len() * 9 / 10;
        arguments::set_limit(&mut arguments, fitting.clamp(1, rows - 1));
        is_cut = true;
    }
    let mut envelope = json(&bytes);
    if is_cut && !envelope["meta"]["next_cursor"].is_null() {
        envelope["meta"]["note"] = format!(
            "the page ends early: a reply over MCP has at most {MCP_REPLY_BYTES_MAX} bytes; go on with next_cursor, or name fewer columns"
        )
        .into();
    }
    Ok(envelope)
}

/// As over REST: in a task of its own, so that a caller that hangs up or has no more time leaves nothing half done.
async fn once(
    app: &App,
    visitor: &Visitor,
    operation: &'static Operation,
    arguments: Map<String, Json>,
) -> Result<Bytes> {
    let refused = operation.allow(app, &visitor.caller);
    refused.map_err(|error| error.attempting(|| operation.name.to_owned()))?;
    let timeout = operation.timeout(&app.config);
    let deadline = app.clock.sleep(timeout);
    let task = tokio::spawn(operation.call(app.clone(), visitor.caller.clone(), arguments));
    tokio::select! {
        biased;
        answer = task => answer
            .map_err(|error| ApiError::internal(format!("{} panicked: {error}", operation.name)))?,
        () = deadline => {
            let message = format!("no answer within {} ms; it may still take effect", timeout.as_millis());
            Err(ApiError::new(Code::Timeout, message).attempting(|| operation.name.to_owned()))
        }
    }
}

/// An envelope of ours, read back. It is JSON, unless nothing was written.
fn json(envelope: &[u8]) -> Json {
    serde_json::from_slice(envelope).unwrap_or_default()
}

/// The envelope of what an operation of MCP alone answers.
pub(super) fn success(data: Json, name: &str) -> Result<Json> {
    let outcome = envelope::Outcome::new(data).meta("operation", name);
    Ok(json(&envelope::success(&outcome)?))
}

/// Whether a code says that what was asked for is not there.
pub(super) fn is_missing(code: Code) -> bool {
    code.status() == StatusCode::NOT_FOUND.as_u16()
}
