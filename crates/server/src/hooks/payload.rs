//! The body of a delivery: rows as they are when it is sent.

use paceline_model::{Column, Table, limits};
use serde_json::{Map, Value as Json, json};

use super::kept::{Kept, Trigger};
use crate::App;
use crate::error::Result;
use crate::sources::{Bound, Way, rows_of};

/// A body, and what became of the rows it was to tell of.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) body: String,
    /// Rows in it.
    pub(super) told: Vec<i64>,
    /// Rows that had no room; the next delivery tells of them.
    pub(super) rest: Vec<i64>,
}

/// The id of a delivery: the same over all tries.
pub(super) fn id_of(hook: i64, number: u64) -> String {
    format!("whd_{hook}_{number}")
}

/// Builds the body of a delivery of these rows. Rows that are gone are left out; `None` if all of them are. `whole`: all of
/// them must be in it, because an earlier try named them.
pub(super) async fn build(
    app: &App,
    kept: &Kept,
    table: &Table,
    number: u64,
    rows: &[i64],
    whole: bool,
) -> Result<Option<Payload>> {
    let bound = kept.asked.field_mapping.bind(table, Way::Out)?;
    let columns: Vec<&Column> = bound.columns().collect();
    let mut sorted = rows.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let found = rows_of(app, table, &columns, &sorted).await?;
    let (mut records, mut told, mut rest, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for row in rows {
        let Ok(at) = found.binary_search_by_key(row, |(id, _)| id.0) else { continue };
        if !rest.is_empty() {
            rest.push(*row);
            continue;
        }
        let record = record(&bound, *row, &found[at].1, whole.then_some(rows.len()));
        bytes += record.len();
        if bytes > limits::DELIVERY_BYTES_MAX && !told.is_empty() && !whole {
            rest.push(*row);
            continue;
        }
        told.push(*row);
        records.push(record);
    }
    if told.is_empty() {
        return Ok(None);
    }
    let head = json!({
        "id": id_of(kept.item.id, number),
        "webhook": kept.item.id,
        "name": kept.item.name,
        "table": table.name,
        "event": kept.asked.trigger,
    });
    Ok(Some(Payload { body: written(&head, &records, kept.asked.batch), told, rest }))
}

/// The body that a person tries a webhook with.
pub(super) fn sample(kept: &Kept, table: &Table, number: u64) -> Result<String> {
    let bound = kept.asked.field_mapping.bind(table, Way::Out)?;
    let mut record = Map::new();
    record.insert("_ht_id".to_owned(), 0.into());
    record.append(&mut bound.record(&vec![paceline_model::Value::Null; bound.ids().len()]));
    let head = json!({
        "id": id_of(kept.item.id, number),
        "webhook": kept.item.id,
        "name": kept.item.name,
        "table": table.name,
        "event": kept.asked.trigger,
        "test": true,
    });
    Ok(written(&head, &[Json::Object(record).to_string()], kept.asked.batch))
}

/// A row as JSON. One that is larger than a delivery may be (of `among` rows, its share) is told by its id alone.
fn record(
    bound: &Bound,
    row: i64,
    values: &[paceline_model::Value],
    among: Option<usize>,
) -> String {
    let mut record = Map::new();
    record.insert("_ht_id".to_owned(), row.into());
    record.append(&mut bound.record(values));
    let text = Json::Object(record).to_string();
    let most = limits::REQUEST_BODY_BYTES_MAX / 2 / among.unwrap_or(1).max(1);
    if text.len() <= most {
        return text;
    }
    json!({"_ht_id": row, "_ht_omitted": "the row is too large for a delivery; read it by its id"})
        .to_string()
}

fn written(head: &Json, records: &[String], batch: bool) -> String {
    let head = head.to_string();
    let open = head.strip_suffix('}').unwrap_or(&head);
    match records {
        [record] if !batch => format!("{open},\"row\":{record}}}"),
        records => format!("{open},\"rows\":[{}]}}", records.join(",")),
    }
}

impl Trigger {
    /// The trigger of that name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == name)
    }
}
