//! Which rows are meant: filters, orders and ids as callers write them.

use paceline_model::{Filter, FilterError, Operator, Sort, Subject, Table, Test, Value, limits};
use serde_json::Value as Json;

use crate::envelope::Hint;
use crate::error::{ApiError, Code, Detail, Result, format_meant};
use crate::ops::schema_hint;

/// The filter, if there is one.
pub(crate) fn filter(table: &Table, given: Option<&Json>) -> Result<Option<Filter>> {
    let Some(given) = given else { return Ok(None) };
    Filter::parse(table, &unpacked("where", given)?)
        .map(Some)
        .map_err(|error| refused(table, "where", error))
}

/// The order; that of the ids if none is given.
pub(crate) fn order(table: &Table, given: Option<&Json>) -> Result<Vec<Sort>> {
    let Some(given) = given else { return Ok(Vec::new()) };
    let written = given.as_str().is_some_and(|text| text.starts_with(['{', '[']));
    let given = if written { unpacked("order_by", given)? } else { given.clone() };
    Sort::parse(table, &given).map_err(|error| refused(table, "order_by", error))
}

/// Rows to change or delete: `where` or `ids`, one of them. A filter that means every row is said as such, so that a
/// forgotten one does not mean it.
pub(super) fn chosen(
    table: &Table,
    filter_given: Option<&Json>,
    ids: Option<&Json>,
) -> Result<Filter> {
    match (filter(table, filter_given)?, ids) {
        (Some(filter), None) => Ok(filter),
        (None, Some(ids)) => of_ids(ids),
        (None, None) => {
            let problem = "is required, or ids: which rows; {} means every row of the table";
            Err(ApiError::field("where", problem))
        }
        (Some(_), Some(_)) => {
            Err(ApiError::field("ids", "is given beside where; give one of them"))
        }
    }
}

/// Whether a filter lets every row pass.
pub(super) fn is_everything(filter: &Filter) -> bool {
    matches!(filter, Filter::All(parts) if parts.iter().all(is_everything))
}

/// Numbers of rows: a list, one number, or in a query `1,2,3`.
fn of_ids(given: &Json) -> Result<Filter> {
    let written: Vec<Json> = match given {
        Json::Array(items) => items.clone(),
        Json::String(text) => text
            .split(',')
            .map(|part| part.trim().parse::<i64>().map_or_else(|_| part.into(), Json::from))
            .collect(),
        one => vec![one.clone()],
    };
    let wrong = |problem: String| Err(ApiError::field("ids", problem));
    if written.is_empty() || written.len() > limits::FILTER_VALUES_MAX {
        let (given, most) = (written.len(), limits::FILTER_VALUES_MAX);
        return wrong(format!("a list of {given} is not a list of 1 to {most} rows"));
    }
    let mut values = Vec::with_capacity(written.len());
    for (index, id) in written.iter().enumerate() {
        match id.as_i64().filter(|id| *id > 0) {
            Some(id) => values.push(Value::Int(id)),
            None => return wrong(format!("item {index} is not the _ht_id of a row, as in [7, 8]")),
        }
    }
    Ok(Filter::Test(Test {
        subject: Subject::Id,
        path: Vec::new(),
        operator: Operator::In(values),
    }))
}

/// JSON, also where a caller put it into a text.
fn unpacked(field: &str, given: &Json) -> Result<Json> {
    let Json::String(text) = given else { return Ok(given.clone()) };
    serde_json::from_str(text).map_err(|error| {
        let message = format!("{field}: is not JSON ({error})");
        ApiError::new(Code::InvalidFilter, message)
    })
}

/// What is wrong with a filter or an order.
fn refused(table: &Table, argument: &str, error: FilterError) -> ApiError {
    let field = match error.field.as_str() {
        "" => argument.to_owned(),
        at if at.starts_with('[') => format!("{argument}{at}"),
        at => format!("{argument}.{at}"),
    };
    let meant = error.did_you_mean.as_deref().map_or_else(String::new, format_meant);
    let message = format!("{field}: {}{meant}", error.problem);
    let mut told = ApiError::new(Code::InvalidFilter, message).meant_as_said(error.did_you_mean);
    told.0.details = vec![Detail { field, problem: error.problem }];
    told.hint(schema_hint(table)).hint(
        Hint::new("query_rows", "look at some rows without a filter")
            .with("table", table.name.as_str()),
    )
}
