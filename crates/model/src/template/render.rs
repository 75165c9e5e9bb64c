//! From a bound reference and a row to text, escaped for where it stands.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::{BoundReference, Place, Step};
use crate::Value;

/// What a URL component keeps unescaped (RFC 3986 "unreserved").
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a template cannot be rendered for one row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The row has no such value, and the template no default.
    #[error(
        "{{{{{reference}}}}} has no value in this row; fill it, or write a default: {{{{{reference} ?? \"...\"}}}}"
    )]
    Missing {
        /// The reference, as column and path.
        reference: String,
    },
    /// The value cannot stand where the template puts it.
    #[error("{{{{{reference}}}}} cannot stand here: {problem}")]
    NotAllowed {
        /// The reference, as column and path.
        reference: String,
        /// Why, and what to do.
        problem: String,
    },
}

pub(super) fn reference(
    out: &mut String,
    place: Place,
    reference: &BoundReference,
    values: &[Value],
) -> Result<(), RenderError> {
    let found = find(reference, values)?;
    write_escaped(out, place, reference, &found)
}

/// The value that a reference stands for: the row's, or the default.
pub(super) fn find<'v>(
    reference: &BoundReference,
    values: &'v [Value],
) -> Result<Cow<'v, Value>, RenderError> {
    let value = values.get(reference.input).unwrap_or(const { &Value::Null });
    let found = if reference.path.is_empty() {
        Some(Cow::Borrowed(value))
    } else {
        follow(value, &reference.path)
    };
    match (found.filter(|value| !is_missing(value)), &reference.default) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(Cow::Owned(Value::Json(default.clone()))),
        (None, None) => Err(RenderError::Missing { reference: describe(reference) }),
    }
}

/// An empty text is a missing value: that is how files say "nothing here".
fn is_missing(value: &Value) -> bool {
    value.is_null() || matches!(value, Value::Text(text) if text.is_empty())
}

fn follow(value: &Value, path: &[Step]) -> Option<Cow<'static, Value>> {
    let parsed;
    let mut json = match value {
        Value::Json(json) => json,
        // A text column may hold JSON: a file knows no other way.
        Value::Text(text) => {
            parsed = serde_json::from_str::<Json>(text).ok()?;
            &parsed
        }
        _ => return None,
    };
    for step in path {
        json = match step {
            Step::Field(name) => json.get(name)?,
            Step::Index(index) => json.get(index)?,
        };
    }
    Some(Cow::Owned(Value::Json(json.clone())))
}

fn write_escaped(
    out: &mut String,
    place: Place,
    reference: &BoundReference,
    value: &Value,
) -> Result<(), RenderError> {
    match place {
        // At the very beginning of a URL the value is the address itself.
        Place::Url if out.is_empty() => out.push_str(&value.to_text()),
        Place::Url | Place::FormBody => {
            out.extend(utf8_percent_encode(&value.to_text(), COMPONENT));
        }
        Place::Header => {
            let text = value.to_text();
            if text.chars().any(char::is_control) {
                let problem =
                    "a header's value may hold no line break or other control character".to_owned();
                return Err(RenderError::NotAllowed { reference: describe(reference), problem });
            }
            out.push_str(&text);
        }
        Place::JsonBody if reference.quoted => {
            let quoted = Json::String(value.to_text()).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
        Place::JsonBody => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", value.to_json());
        }
        Place::Text => out.push_str(&value.to_text()),
    }
    Ok(())
}

fn describe(reference: &BoundReference) -> String {
    let mut text = reference.label.clone();
    for step in &reference.path {
        let _ = match step {
            Step::Field(name) => write!(text, ".{name}"),
            Step::Index(index) => write!(text, "[{index}]"),
        };
    }
    text
}
