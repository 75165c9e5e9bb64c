//! The arguments of a tool: their schema, and what is made of them before the catalogue checks them.

use paceline_model::limits;
use serde_json::{Map, Value as Json};

use crate::catalog::{Field, Kind, Operation, Place, from_text};
use crate::error::{ApiError, Result};

/// The field that says how many items a page has.
const LIMIT: &str = "limit";
/// The field that says where a page begins.
const CURSOR: &str = "cursor";

/// The schema of an operation's arguments, with the pages of MCP.
pub(super) fn schema(operation: &Operation, page_rows_max: usize) -> Map<String, Json> {
    let mut schema = operation.arguments_schema();
    if let Some(limit) = schema
        .get_mut("properties")
        .and_then(|properties| properties.get_mut(LIMIT))
        .and_then(Json::as_object_mut)
        .filter(|limit| limit.contains_key("maximum"))
    {
        let most = limit["maximum"].as_u64().unwrap_or(u64::MAX).min(page_rows_max as u64);
        limit.insert("minimum".to_owned(), 1.into());
        limit.insert("maximum".to_owned(), most.into());
        limit.insert("description".to_owned(), "items of the page".into());
        limit.insert("default".to_owned(), limits::PAGE_ROWS_DEFAULT.min(page_rows_max).into());
    }
    trim(&mut schema);
    schema
}

/// Takes out bounds that no agent comes near: each costs every client's context, and the check tells them anyway.
fn trim(schema: &mut Map<String, Json>) {
    schema.remove("maxLength");
    schema.remove("maxItems");
    for value in schema.values_mut() {
        match value {
            Json::Object(inner) => trim(inner),
            Json::Array(items) => {
                items.iter_mut().filter_map(Json::as_object_mut).for_each(trim);
            }
            _ => {}
        }
    }
}

/// Whether the operation answers in pages.
pub(super) fn is_paged(operation: &Operation) -> bool {
    let has = |name: &str| operation.fields.iter().any(|field| field.name == name);
    has(LIMIT) && has(CURSOR)
}

/// Sets how many items a page has.
pub(super) fn set_limit(arguments: &mut Map<String, Json>, limit: usize) {
    arguments.insert(LIMIT.to_owned(), limit.into());
}

/// Makes the arguments what they are over REST, where whatever stands in a path or a query is text: `"run": "7"` and
/// `"table": 7` are the same there and here. Refuses pages that are longer than MCP has them.
///
/// # Errors
/// A `VALIDATION_ERROR` that names the limit.
pub(super) fn prepare(
    operation: &Operation,
    arguments: &mut Map<String, Json>,
    page_rows_max: usize,
) -> Result<()> {
    for field in operation.fields.iter().filter(|field| field.place != Place::Body) {
        if let Some(value) = arguments.get_mut(field.name) {
            loosen(field, value);
        }
    }
    let Some(field) = operation.fields.iter().find(|field| field.name == LIMIT) else {
        return Ok(());
    };
    // An operator may allow less than the operation would choose by itself.
    let is_chosen = arguments.contains_key(field.name);
    if !is_chosen && page_rows_max < limits::PAGE_ROWS_DEFAULT && is_paged(operation) {
        set_limit(arguments, page_rows_max);
    }
    let Some(limit) = arguments.get(field.name).and_then(Json::as_u64) else {
        // Left out, or wrong in a way that the catalogue tells.
        return Ok(());
    };
    if (1..=page_rows_max as u64).contains(&limit) {
        return Ok(());
    }
    let problem = format!(
        "{limit} is not a whole number from 1 to {page_rows_max}: a page over MCP has at most {page_rows_max} rows"
    );
    let fix = format!(
        "ask for {page_rows_max} and go on with `meta.next_cursor`; whole tables are for REST and for exports"
    );
    Err(ApiError::field(LIMIT, problem).fix(fix))
}

fn loosen(field: &Field, value: &mut Json) {
    let loosened = match (&field.kind, &*value) {
        (Kind::Text { .. }, Json::Number(number)) if field.place == Place::Path => {
            number.to_string().into()
        }
        (Kind::Whole { .. } | Kind::Flag | Kind::Names { .. }, Json::String(text)) => {
            from_text(field, text)
        }
        // A filter that was written as JSON twice.
        (Kind::Any, Json::String(text)) if text.trim_start().starts_with(['{', '[']) => {
            from_text(field, text)
        }
        _ => return,
    };
    *value = loosened;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::find;

    fn prepared(operation: &str, given: Json) -> Result<Json> {
        let Json::Object(mut given) = given else { return Ok(Json::Null) };
        prepare(find(operation).unwrap(), &mut given, limits::MCP_PAGE_ROWS_MAX)?;
        Ok(given.into())
    }

    #[test]
    fn arguments_are_taken_as_loosely_as_in_a_url_and_no_looser() {
        let cases = [
            ("get_run", json!({"run": "7"}), json!({"run": 7})),
            ("get_run", json!({"run": "seven"}), json!({"run": "seven"})),
            ("query_rows", json!({"table": 7}), json!({"table": "7"})),
            ("query_rows", json!({"table": "t", "limit": "5"}), json!({"table": "t", "limit": 5})),
            ("query_rows", json!({"columns": "a, b"}), json!({"columns": ["a", "b"]})),
            // In a body there are types.
            ("create_table", json!({"name": 7}), json!({"name": 7})),
        ];
        for (operation, given, wanted) in cases {
            assert_eq!(prepared(operation, given).unwrap(), wanted, "{operation}");
        }
    }

    #[test]
    fn a_page_has_at_most_a_hundred_rows() {
        for (limit, is_ok) in
            [(json!(1), true), (json!(100), true), (json!(0), false), (json!(101), false)]
        {
            let result = prepared("query_rows", json!({"table": "t", "limit": limit}));
            assert_eq!(result.is_ok(), is_ok, "{limit}");
            if let Err(error) = result {
                assert!(error.0.message.contains("100") && error.0.fix.contains("next_cursor"));
            }
        }
        let (operation, mut given) = (find("query_rows").unwrap(), Map::new());
        prepare(operation, &mut given, 7).unwrap();
        assert_eq!(Json::Object(given.clone()), json!({"limit": 7}), "an operator's own limit");
        set_limit(&mut given, 8);
        assert!(prepare(operation, &mut given, 7).is_err());
        let schema = schema(operation, limits::MCP_PAGE_ROWS_MAX);
        assert_eq!(schema["properties"]["limit"]["maximum"], 100);
        assert!(schema["properties"]["table"].get("maxLength").is_none());
    }
}
