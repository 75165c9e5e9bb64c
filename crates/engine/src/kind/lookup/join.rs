//! Rows of a batch and the rows of the other table that match them: a few queries for all of them, none for each.

use std::collections::HashMap;

use paceline_model::{
    CellError, Column, ColumnId, ColumnType, Filter, Operator, RowId, RowQuery, Store, Subject,
    Table, Task, Test, Value, limits, suggest,
};
use serde_json::Value as Json;

use super::super::plain::{self, Filled};
use super::{LookupColumn, Many};
use crate::task::cell_error;
use crate::{Error, Result};

/// What the id of a row is called.
pub(super) const ROW_ID: &str = "_ht_id";

/// A column of the other table, or its rows' ids.
#[derive(Clone, Copy)]
enum Theirs<'t> {
    Id,
    Column(&'t Column),
}

/// What must stand in a row, as text that is the same where the values are (3 is 3.0).
type Key = Vec<String>;

/// The rows found for one key.
#[derive(Default)]
struct Found {
    count: u64,
    first: Json,
}

/// Fills a batch.
pub(super) async fn fill(
    lookup: &LookupColumn,
    store: &dyn Store,
    other: &Table,
    column: &Column,
    rows: &[Task],
) -> Result<Vec<Filled>> {
    let mut theirs = Vec::with_capacity(lookup.matching.len());
    for (name, _) in &lookup.matching {
        theirs.push(comparable(other, name)?);
    }
    let value = match lookup.many {
        Many::Count if lookup.value.is_empty() => Theirs::Id,
        _ => find(other, &lookup.value, "value")?,
    };
    let wanted: Vec<Option<Vec<Value>>> =
        rows.iter().map(|task| values(lookup, &theirs, task)).collect();
    let keys: HashMap<Key, &Vec<Value>> =
        wanted.iter().flatten().map(|values| (key_of(values), values)).collect();
    let keys: Vec<(Key, &Vec<Value>)> = keys.into_iter().collect();
    let mut found: HashMap<Key, Found> = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks((limits::FILTER_VALUES_MAX / theirs.len().max(1)).max(1)) {
        // Where several columns are matched, the query brings rows of other chunks' keys, too: each key is counted in one.
        let mut here: HashMap<Key, Found> =
            chunk.iter().map(|(key, _)| (key.clone(), Found::default())).collect();
        let values: Vec<&Vec<Value>> = chunk.iter().map(|(_, values)| *values).collect();
        read(store, other, &theirs, value, &values, &mut here).await?;
        found.extend(here);
    }
    let none = Found::default();
    Ok(wanted
        .into_iter()
        .map(|key| {
            let found = key.and_then(|key| found.get(&key_of(&key))).unwrap_or(&none);
            cell(lookup, found, column)
        })
        .collect())
}

/// Reads every row of the other table that has the values of some key, page by page.
async fn read(
    store: &dyn Store,
    other: &Table,
    theirs: &[Theirs<'_>],
    value: Theirs<'_>,
    keys: &[&Vec<Value>],
    found: &mut HashMap<Key, Found>,
) -> Result<()> {
    let tests = theirs.iter().enumerate().map(|(at, theirs)| {
        let mut values: Vec<Value> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for key in keys {
            if seen.insert(text_of(&key[at])) {
                values.push(key[at].clone());
            }
        }
        Filter::Test(Test {
            subject: theirs.subject(),
            path: Vec::new(),
            operator: Operator::In(values),
        })
    });
    let mut query = RowQuery {
        columns: theirs.iter().chain([&value]).filter_map(Theirs::id).collect(),
        filter: Some(Filter::All(tests.collect())),
        limit: limits::PAGE_ROWS_MAX,
        ..RowQuery::of(other.id)
    };
    loop {
        let page = store.rows(query.clone()).await?;
        for row in &page {
            let mut columns = row.values.iter();
            let mut next = |theirs: &Theirs<'_>| match theirs {
                Theirs::Id => Value::Int(row.id.0),
                Theirs::Column(_) => columns.next().cloned().unwrap_or_default(),
            };
            let key: Vec<Value> = theirs.iter().map(&mut next).collect();
            let Some(known) = found.get_mut(&key_of(&key)) else { continue };
            if known.count == 0 {
                known.first = next(&value).to_json();
            }
            known.count += 1;
        }
        match page.last() {
            Some(last) if page.len() == query.limit => query.after = RowId(last.id.0),
            _ => return Ok(()),
        }
    }
}

/// What a row must have, as the other table's columns would have it; `None` if nothing can match.
fn values(lookup: &LookupColumn, theirs: &[Theirs<'_>], task: &Task) -> Option<Vec<Value>> {
    let each = lookup.matching.iter().zip(theirs).map(|((_, template), theirs)| {
        let json = template.render_json(&task.inputs).ok()?;
        let kind = theirs.kind();
        let json = match json {
            Json::Number(_) | Json::Bool(_) if kind.is_text() => Json::String(json.to_string()),
            // Numbers that stand as text, as in a file.
            Json::String(text) if !kind.is_text() => serde_json::from_str(text.trim()).ok()?,
            json => json,
        };
        // The number of a row may have been calculated.
        let whole =
            json.as_f64().filter(|number| kind == ColumnType::Relation && number.fract() == 0.0);
        let json = whole.map_or(json, |number| Json::from(number as i64));
        Value::from_json(kind, json).ok().filter(|value| !value.is_null())
    });
    each.collect()
}

fn cell(lookup: &LookupColumn, found: &Found, column: &Column) -> Filled {
    match (lookup.many, found.count) {
        (Many::Count, count) => plain::typed(Json::from(count), column),
        (_, 0) if lookup.required => {
            let problem = format!("no row of table {} matches", lookup.table);
            Err(cell_error("LOOKUP_MISSING", problem))
        }
        (_, 0) => Ok(Value::Null),
        (Many::Error, count) if count > 1 => Err(many(lookup, count)),
        _ => plain::typed(found.first.clone(), column),
    }
}

fn many(lookup: &LookupColumn, count: u64) -> CellError {
    let problem = format!(
        "{count} rows of table {} match; match by more columns, or set many to \"first\"",
        lookup.table
    );
    cell_error("LOOKUP_MANY", problem)
}

/// Refuses names of columns that the other table does not have, or that cannot be matched by.
pub(super) fn check<'n>(
    other: &Table,
    matching: impl Iterator<Item = &'n String>,
    value: &str,
) -> Result<()> {
    for name in matching {
        comparable(other, name)?;
    }
    if value.is_empty() { Ok(()) } else { find(other, value, "value").map(drop) }
}

/// Whether some value of the first type is one of the second.
pub(super) fn may_become(theirs: ColumnType, own: ColumnType) -> bool {
    let as_json = |kind| match kind {
        ColumnType::Number | ColumnType::Currency | ColumnType::Relation => "number",
        ColumnType::Boolean => "boolean",
        ColumnType::MultiSelect => "list",
        ColumnType::Json => "any",
        _ => "text",
    };
    let (from, to) = (as_json(theirs), as_json(own));
    // A text column shows numbers and flags as text.
    from == to || from == "any" || to == "any" || (own == ColumnType::Text && from != "list")
}

fn find<'t>(other: &'t Table, name: &str, field: &str) -> Result<Theirs<'t>> {
    if name == ROW_ID {
        return Ok(Theirs::Id);
    }
    let found = other.column(name).map(Theirs::Column);
    found.ok_or_else(|| Error::Config {
        field: format!("config.{field}"),
        problem: format!("table {} has no column {name:?}", other.name),
        did_you_mean: suggest(name, other.columns.iter().map(|column| column.name.as_str()))
            .map(str::to_owned),
    })
}

fn comparable<'t>(other: &'t Table, name: &str) -> Result<Theirs<'t>> {
    let found = find(other, name, &format!("match.{name}"))?;
    if matches!(found.kind(), ColumnType::Json | ColumnType::MultiSelect) {
        let problem =
            format!("column {name:?} of table {} holds JSON, which is not compared", other.name);
        return Err(Error::config(format!("config.match.{name}"), problem));
    }
    Ok(found)
}

impl Theirs<'_> {
    fn kind(self) -> ColumnType {
        match self {
            Self::Id => ColumnType::Relation,
            Self::Column(column) => column.kind,
        }
    }

    fn subject(self) -> Subject {
        match self {
            Self::Id => Subject::Id,
            Self::Column(column) => Subject::Column(column.id),
        }
    }

    fn id(&self) -> Option<ColumnId> {
        match self {
            Self::Id => None,
            Self::Column(column) => Some(column.id),
        }
    }
}

fn key_of(values: &[Value]) -> Key {
    values.iter().map(text_of).collect()
}

fn text_of(value: &Value) -> String {
    match value {
        // Whole numbers and others are compared as the numbers they are.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            Value::Int(*number as i64).to_text()
        }
        other => other.to_text(),
    }
}
