//! What every backend refuses of items and logs.

use paceline_model::{Error, NewItem, limits};
use serde_json::Value as Json;

use super::{check_length, json_text};
use crate::codec::unsigned;
use crate::error::{Fault, Result};

/// Refuses an item that is too large, or whose kind has no room for more; `count` is how many the kind has.
pub(crate) fn check_item(new: &NewItem, count: i64) -> Result<()> {
    check_length("kind of an item", new.kind.len(), limits::ITEM_NAME_BYTES_MAX)?;
    check_length("name", new.name.len(), limits::ITEM_NAME_BYTES_MAX)?;
    if unsigned(count) >= limits::ITEMS_PER_KIND_MAX as u64 {
        return Err(Error::Conflict(format!(
            "there are {count} items of kind {} already, the most there may be; delete some first",
            new.kind
        ))
        .into());
    }
    Ok(())
}

pub(crate) fn item_exists(new: &NewItem) -> Fault {
    let (kind, name) = (new.kind, &new.name);
    Error::Exists(format!("there is a {kind} named {name:?} already; choose another name")).into()
}

pub(crate) fn missing_item(kind: &str, id: i64) -> Fault {
    Error::Missing(format!("there is no {kind} {id}")).into()
}

/// What is said of an item that another has changed since it was read.
pub(crate) fn item_moved_on(kind: &str, id: i64, version: i64, now: i64) -> Fault {
    Error::Conflict(format!(
        "{kind} {id} is at version {now} and not {version} any more; read it again, then change it"
    ))
    .into()
}

/// Lines of a log with their bodies as they are kept.
pub(crate) fn entry_texts(log: &str, entries: &[(i64, Json)]) -> Result<Vec<(i64, String)>> {
    check_length("name of a log", log.len(), limits::ITEM_NAME_BYTES_MAX)?;
    if entries.len() > limits::LOG_APPEND_MAX {
        return Err(Error::invalid(format!(
            "{} lines for a log in one call; at most {} are allowed",
            entries.len(),
            limits::LOG_APPEND_MAX
        ))
        .into());
    }
    let text = |(subject, body): &(i64, Json)| Ok((*subject, json_text("line of a log", body)?));
    entries.iter().map(text).collect()
}
