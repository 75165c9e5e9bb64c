//! JSON Schema, as far as answers are held to it: whether a value fits, whether a schema is one of OpenAI's strict ones, and
//! how Google writes it.

use paceline_model::limits;
use serde_json::{Map, Value as Json, json};

/// Whether a value fits a schema, as far as `type`, `enum`, `const`, `properties`, `required`, `additionalProperties: false`,
/// `items` and `anyOf` say; other words are not looked at.
///
/// # Errors
/// The place that does not fit, and why.
pub(super) fn fits(schema: &Json, value: &Json, at: &str) -> Result<(), String> {
    fits_at(schema, value, at, 0)
}

fn fits_at(schema: &Json, value: &Json, at: &str, depth: usize) -> Result<(), String> {
    if depth > limits::AI_SCHEMA_DEPTH_MAX {
        return Err(format!("{at} is nested too deep"));
    }
    if let Some(any) = schema.get("anyOf").and_then(Json::as_array)
        && !any.iter().any(|one| fits_at(one, value, at, depth + 1).is_ok())
    {
        return Err(format!("{at} fits none of the schemas of anyOf"));
    }
    if let Some(kinds) = schema.get("type")
        && !types(kinds).any(|kind| is_of(kind, value))
    {
        return Err(format!("{at} is {}, not of type {kinds}", name_of(value)));
    }
    let allowed = schema.get("enum").and_then(Json::as_array);
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        return Err(format!("{at} is none of the values of enum"));
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return Err(format!("{at} is not the value of const"));
    }
    match value {
        Json::Object(fields) => fields_fit(schema, fields, at, depth),
        Json::Array(items) => {
            let Some(schema) = schema.get("items") else { return Ok(()) };
            let mut places = items.iter().enumerate();
            places.try_for_each(|(place, item)| {
                fits_at(schema, item, &format!("{at}[{place}]"), depth + 1)
            })
        }
        _ => Ok(()),
    }
}

fn fields_fit(
    schema: &Json,
    fields: &Map<String, Json>,
    at: &str,
    depth: usize,
) -> Result<(), String> {
    let none = Map::new();
    let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    if let Some(name) =
        required.iter().filter_map(Json::as_str).find(|name| !fields.contains_key(*name))
    {
        return Err(format!("{at}.{name} is missing"));
    }
    for (name, value) in fields {
        match properties.get(name) {
            Some(schema) => fits_at(schema, value, &format!("{at}.{name}"), depth + 1)?,
            None if schema.get("additionalProperties") == Some(&Json::Bool(false)) => {
                return Err(format!("{at}.{name} was not asked for"));
            }
            None => {}
        }
    }
    Ok(())
}

/// The names of a `type`: one, or several.
fn types(kinds: &Json) -> impl Iterator<Item = &str> {
    let several = kinds.as_array().map_or(&[][..], Vec::as_slice);
    kinds.as_str().into_iter().chain(several.iter().filter_map(Json::as_str))
}

fn is_of(kind: &str, value: &Json) -> bool {
    match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn name_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "true or false",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// Whether OpenAI takes it as strict: each object of it requires every property and allows no other.
pub(super) fn is_strict(schema: &Json) -> bool {
    let own = match schema.get("properties").and_then(Json::as_object) {
        None => schema.get("type").and_then(Json::as_str) != Some("object"),
        Some(properties) => {
            let required = schema.get("required").and_then(Json::as_array);
            let named = |name: &String| {
                required.is_some_and(|all| all.iter().any(|known| known == name.as_str()))
            };
            schema.get("additionalProperties") == Some(&Json::Bool(false))
                && properties.keys().all(named)
                && properties.values().all(is_strict)
        }
    };
    let any = schema.get("anyOf").and_then(Json::as_array);
    own && schema.get("items").is_none_or(is_strict)
        && any.is_none_or(|any| any.iter().all(is_strict))
}

/// As Google's `responseSchema` has it, a subset of OpenAPI's: types in capitals, `nullable` instead of a type null, and
/// none of the words that it does not know.
pub(super) fn for_google(schema: &Json) -> Json {
    const KEPT: [&str; 14] = [
        "description",
        "format",
        "title",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "required",
        "minProperties",
        "maxProperties",
        "example",
    ];
    let Some(words) = schema.as_object() else { return json!({}) };
    let mut google = Map::new();
    for (word, given) in words {
        match (word.as_str(), given) {
            ("type", kinds) => {
                if let Some(kind) = types(kinds).find(|kind| *kind != "null") {
                    google.insert("type".to_owned(), json!(kind.to_ascii_uppercase()));
                }
                if types(kinds).any(|kind| kind == "null") {
                    google.insert("nullable".to_owned(), json!(true));
                }
            }
            ("properties", Json::Object(properties)) => {
                let properties =
                    properties.iter().map(|(name, inner)| (name.clone(), for_google(inner)));
                google.insert("properties".to_owned(), Json::Object(properties.collect()));
                let order: Vec<&String> =
                    given.as_object().into_iter().flat_map(Map::keys).collect();
                google.insert("propertyOrdering".to_owned(), json!(order));
            }
            ("items", items) => {
                google.insert("items".to_owned(), for_google(items));
            }
            ("enum", Json::Array(values)) => {
                let texts: Vec<&Json> = values.iter().filter(|value| value.is_string()).collect();
                google.insert("enum".to_owned(), json!(texts));
            }
            ("const", Json::String(only)) => {
                google.insert("enum".to_owned(), json!([only]));
            }
            ("anyOf" | "oneOf", Json::Array(all)) => {
                google.insert("anyOf".to_owned(), all.iter().map(for_google).collect());
            }
            (word, given) if KEPT.contains(&word) => {
                google.insert(word.to_owned(), given.clone());
            }
            _ => {}
        }
    }
    Json::Object(google)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Json {
        json!({
            "type": "object", "required": ["kind", "tags"], "additionalProperties": false,
            "properties": {
                "kind": {"type": ["string", "null"], "enum": ["a", "b", null]},
                "tags": {"type": "array", "items": {"type": "integer"}},
            },
        })
    }

    #[test]
    fn values_fit_or_it_is_said_where_they_do_not() {
        for (value, problem) in [
            (json!({"kind": "a", "tags": [1, 2.0]}), ""),
            (json!({"kind": null, "tags": []}), ""),
            (json!({"kind": "c", "tags": []}), "$.kind is none of the values"),
            (json!({"kind": "a"}), "$.tags is missing"),
            (json!({"kind": "a", "tags": [1, "x"]}), "$.tags[1] is text"),
            (json!({"kind": "a", "tags": 1}), "$.tags is a number"),
            (json!({"kind": "a", "tags": [], "more": 1}), "$.more was not asked for"),
            (json!([]), "$ is a list"),
        ] {
            let told = fits(&schema(), &value, "$").err().unwrap_or_default();
            assert!(
                told.starts_with(problem) && told.is_empty() == problem.is_empty(),
                "{value}: {told}"
            );
        }
    }

    #[test]
    fn a_strict_schema_is_known_by_every_object_in_it() {
        assert!(is_strict(&schema()));
        let mut loose = schema();
        loose["required"] = json!(["kind"]);
        assert!(!is_strict(&loose));
        let mut inner = schema();
        inner["properties"]["tags"]["items"] = json!({"type": "object"});
        assert!(!is_strict(&inner));
    }

    #[test]
    fn google_gets_its_own_words() {
        let expected = json!({
            "type": "OBJECT", "required": ["kind", "tags"], "propertyOrdering": ["kind", "tags"],
            "properties": {
                "kind": {"type": "STRING", "nullable": true, "enum": ["a", "b"]},
                "tags": {"type": "ARRAY", "items": {"type": "INTEGER"}},
            },
        });
        assert_eq!(for_google(&schema()), expected);
    }
}
