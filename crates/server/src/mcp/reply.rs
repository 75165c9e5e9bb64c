//! An envelope as it goes to an agent: hints name tools, and nothing is longer than an agent's context bears. What is too
//! long gets shorter by whole values and whole items, so that it stays JSON, and says so.

use paceline_model::limits::MCP_REPLY_BYTES_MAX;
use serde_json::{Map, Value as Json, json};

use super::{Visitor, others, tools};
use crate::envelope;
use crate::error::{ApiError, Code};

/// Bytes that a text inside is cut to, one after the other until the whole fits.
const TEXT_BYTES: [usize; 3] = [4_096, 512, 64];

/// The envelope as the visitor gets it.
pub(super) fn fitted(visitor: &Visitor, mut envelope: Json) -> Json {
    for hint in envelope["hints"].as_array_mut().into_iter().flatten() {
        *hint = for_tools(visitor, hint);
    }
    if size(&envelope) <= MCP_REPLY_BYTES_MAX {
        return envelope;
    }
    for bytes_max in TEXT_BYTES {
        let mut shorter = envelope.clone();
        shorten(&mut shorter["data"], bytes_max);
        note(&mut shorter, &format!("texts of more than {bytes_max} bytes are cut"));
        if size(&shorter) <= MCP_REPLY_BYTES_MAX {
            return shorter;
        }
        envelope["data"] = shorter["data"].take();
    }
    first_items(envelope).unwrap_or_else(|| too_large(visitor))
}

/// A hint as a call of a tool that the visitor has, with arguments that are valid as they stand.
fn for_tools(visitor: &Visitor, hint: &Json) -> Json {
    let name = hint["operation"].as_str().unwrap_or_default();
    let is_shown = tools::shown(visitor).any(|operation| operation.name == name);
    let (tool, arguments) = if is_shown {
        (format!("{}{name}", tools::PREFIX), hint["arguments"].clone())
    } else {
        let (tool, arguments) = others::by_way(name, hint["arguments"].clone());
        (tool.to_owned(), arguments)
    };
    json!({"why": hint["why"], "tool": tool, "arguments": arguments})
}

fn size(envelope: &Json) -> usize {
    envelope.to_string().len()
}

/// Cuts texts that are longer, wherever they stand.
fn shorten(value: &mut Json, bytes_max: usize) {
    match value {
        Json::String(text) if text.len() > bytes_max => {
            let bytes = text.len();
            let end = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push_str(&format!("... (cut; {bytes} bytes in all)"));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| shorten(item, bytes_max)),
        Json::Object(fields) => fields.values_mut().for_each(|field| shorten(field, bytes_max)),
        _ => {}
    }
}

/// Keeps as many of the first items as fit; `None` if there are none to leave out, or not one fits.
fn first_items(mut envelope: Json) -> Option<Json> {
    let items = std::mem::take(envelope["data"].as_array_mut()?);
    let total = items.len();
    note(&mut envelope, &format!("the first of {total} items only"));
    let mut left = MCP_REPLY_BYTES_MAX.checked_sub(size(&envelope))?;
    let fitting = items.into_iter().take_while(|item| {
        let fits = left.checked_sub(size(item) + 1);
        left = fits.unwrap_or(0);
        fits.is_some()
    });
    let kept: Vec<Json> = fitting.collect();
    if kept.is_empty() {
        return None;
    }
    envelope["data"] = kept.into();
    Some(envelope)
}

fn note(envelope: &mut Json, what: &str) {
    let note = format!(
        "{what}: a reply over MCP has at most {MCP_REPLY_BYTES_MAX} bytes; REST gives the whole"
    );
    if !envelope["meta"].is_object() {
        envelope["meta"] = Map::new().into();
    }
    envelope["meta"]["note"] = note.into();
}

fn too_large(visitor: &Visitor) -> Json {
    let message =
        format!("the answer is longer than the {MCP_REPLY_BYTES_MAX} bytes of a reply over MCP");
    let error = ApiError::new(Code::ReplyTooLarge, message).attempting(|| "reply".to_owned());
    let envelope = serde_json::from_slice(&envelope::failure(&error)).unwrap_or_default();
    let _ = visitor;
    envelope
}
