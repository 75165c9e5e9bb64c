//! An envelope as it goes to an agent: hints name tools, and nothing is longer than an agent's context bears. What is too
//! long gets shorter by whole values and whole items, so that it stays JSON, and says so.

use paceline_model::limits::MCP_REPLY_BYTES_MAX;
use serde_json::{Map, Value as Json, json};

use super::{Visitor, others, tools};

/// How much of a value is shown: bytes of each text, and items of each list or object inside.
#[derive(Clone, Copy)]
struct Cut {
    text_bytes: usize,
    items: usize,
}

/// One after the other until the whole fits: texts first, for a list that lacks items misleads more than a text that lacks
/// its end.
const CUTS: [Cut; 6] = [
    Cut { text_bytes: 4_096, items: usize::MAX },
    Cut { text_bytes: 512, items: usize::MAX },
    Cut { text_bytes: 256, items: 200 },
    Cut { text_bytes: 128, items: 50 },
    Cut { text_bytes: 64, items: 10 },
    Cut { text_bytes: 16, items: 3 },
];

/// The envelope as the visitor gets it.
pub(super) fn fitted(visitor: &Visitor, mut envelope: Json) -> Json {
    for hint in envelope["hints"].as_array_mut().into_iter().flatten() {
        *hint = for_tools(visitor, hint);
    }
    if size(&envelope) <= MCP_REPLY_BYTES_MAX {
        return envelope;
    }
    for cut in CUTS {
        let mut shorter = envelope.clone();
        cut.shorten(&mut shorter["data"], true);
        cut.shorten(&mut shorter["error"], true);
        if cut.items < usize::MAX {
            if let Some(fitting) = first_items(shorter.clone()) {
                return fitting;
            }
            cut.shorten(&mut shorter["data"], false);
        }
        note(&mut shorter, &cut.told());
        if size(&shorter) <= MCP_REPLY_BYTES_MAX {
            return shorter;
        }
    }
    envelope["data"] = Json::Null;
    note(&mut envelope, "it was done, and what it answers is too long to show");
    envelope
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

impl Cut {
    /// Cuts what is longer, wherever it stands; the outermost list only if told to.
    fn shorten(self, value: &mut Json, is_outermost: bool) {
        let items_max = if is_outermost && value.is_array() { usize::MAX } else { self.items };
        match value {
            Json::String(text) if text.len() > self.text_bytes => {
                let bytes = text.len();
                let end = (0..=self.text_bytes).rev().find(|at| text.is_char_boundary(*at));
                text.truncate(end.unwrap_or(0));
                text.push_str("... (cut; ");
                text.push_str(&bytes.to_string());
                text.push_str(" bytes in all)");
            }
            Json::Array(items) => {
                items.truncate(items_max);
                items.iter_mut().for_each(|item| self.shorten(item, false));
            }
            Json::Object(fields) => {
                let late: Vec<String> = fields.keys().skip(items_max).cloned().collect();
                late.iter().for_each(|name| drop(fields.shift_remove(name)));
                fields.values_mut().for_each(|field| self.shorten(field, false));
            }
            _ => {}
        }
    }

    fn told(self) -> String {
        let texts = format!("texts of more than {} bytes are cut", self.text_bytes);
        if self.items == usize::MAX {
            return texts;
        }
        format!("{texts}, and lists and objects of more than {} items", self.items)
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
    // An error has no data, so nothing to note beside it.
    if envelope["data"].is_null() && envelope["error"].is_object() {
        if let Some(fields) = envelope.as_object_mut() {
            fields.retain(|name, _| name != "data");
        }
        return;
    }
    if let Some(fields) = envelope.as_object_mut() {
        fields.retain(|name, value| name != "error" || !value.is_null());
        let meta = fields.entry("meta").or_insert_with(|| Map::new().into());
        meta["note"] = note.into();
    }
}
