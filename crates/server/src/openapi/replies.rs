//! What an operation answers: its envelope, and every error that a caller may meet.

use std::collections::BTreeMap;

use schemars::SchemaGenerator;
use serde_json::{Map, Value as Json, json};

use crate::catalog::{Field, Kind, Operation, Place};
use crate::envelope::Hint;
use crate::error::{Code, Fault};

/// Statuses that only a request with a body meets.
const OF_BODIES: [u16; 2] = [413, 415];
/// Statuses that no operation answers: the request met none.
const OF_NOBODY: [u16; 1] = [405];

/// Answered before a request is one, and so without an envelope.
const HEADS: [(u16, &str); 2] = [
    (414, "the address is longer than 65,534 bytes"),
    (431, "the headers are too many or too long"),
];

/// The responses of an operation.
pub(super) fn of(operation: &Operation, generator: &mut SchemaGenerator) -> Json {
    let data = operation.schema(generator);
    let takes_body = operation.fields.iter().any(|field| field.place == Place::Body);
    let mut responses = Map::new();
    let mut done = success(operation.name, data.to_value(), generator);
    if operation.fields.iter().any(streams) {
        let about = "one row per line; a line that is an error is the last";
        done["content"]["application/x-ndjson"] = json!({"schema": {"description": about}});
    }
    responses.insert("200".to_owned(), done);
    for status in by_status().into_keys() {
        if OF_NOBODY.contains(&status) || (OF_BODIES.contains(&status) && !takes_body) {
            continue;
        }
        let reference = format!("#/components/responses/{status}");
        responses.insert(status.to_string(), json!({"$ref": reference}));
    }
    for (status, description) in HEADS {
        responses.insert(status.to_string(), json!({"description": description}));
    }
    responses.into()
}

/// Whether it is the choice to get rows line by line.
fn streams(field: &Field) -> bool {
    matches!(field.kind, Kind::OneOf(names) if names().contains(&"ndjson"))
}

fn success(name: &str, data: Json, generator: &mut SchemaGenerator) -> Json {
    let hint = generator.subschema_for::<Hint>();
    let schema = json!({
        "type": "object",
        "properties": {
            "success": {"const": true},
            "data": data,
            "meta": {
                "type": "object",
                "properties": {"operation": {"const": name}},
                "required": ["operation"],
            },
            "hints": {"type": "array", "items": hint},
        },
        "required": ["success", "data", "meta"],
        "additionalProperties": false,
    });
    json!({
        "description": "it was done",
        "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
        "content": {"application/json": {"schema": schema}},
    })
}

/// The responses that are errors, by status.
pub(super) fn refusals(generator: &mut SchemaGenerator) -> Json {
    let (fault, hint) = (generator.subschema_for::<Fault>(), generator.subschema_for::<Hint>());
    let mut responses = Map::new();
    for (status, codes) in by_status() {
        let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
        let schema = json!({
            "type": "object",
            "properties": {
                "success": {"const": false},
                "error": {"allOf": [fault, {"properties": {"code": {"enum": names}}}]},
                "hints": {"type": "array", "items": hint},
            },
            "required": ["success", "error", "hints"],
            "additionalProperties": false,
        });
        let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}});
        if matches!(status, 429 | 503) {
            headers["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
        }
        if status == 401 {
            headers["WWW-Authenticate"] = json!({"$ref": "#/components/headers/WWW-Authenticate"});
        }
        let response = json!({
            "description": told(&codes),
            "headers": headers,
            "content": {"application/json": {"schema": schema}},
        });
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

/// Each code with what to do about it.
fn told(codes: &[Code]) -> String {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("* `{}`: {}", code.as_str(), code.fix())).collect();
    lines.join("\n")
}

fn by_status() -> BTreeMap<u16, Vec<Code>> {
    let mut codes: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL {
        codes.entry(code.status()).or_default().push(*code);
    }
    codes
}

/// The headers of replies.
pub(super) fn headers() -> Json {
    json!({
        "X-Request-Id": {
            "description": "this request's id in the server's log; yours, if you sent one of at most 64 letters, digits, - and _",
            "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": 64},
        },
        "Retry-After": {
            "description": "seconds to wait before the next try",
            "schema": {"type": "integer", "minimum": 0},
        },
        "WWW-Authenticate": {
            "description": "how to send a key",
            "required": true,
            "schema": {"type": "string"},
        },
    })
}
