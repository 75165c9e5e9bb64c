//! What the simulated models say: computed from the prompt alone, so that a test can tell the right answer.

use serde_json::{Map, Value, json};

/// Of the prompt, so many characters come back in an answer.
const ECHOED_CHARS: usize = 120;
/// Schemas nested deeper are answered with null.
const DEPTH_MAX: usize = 16;
/// Items of a list that asks for more.
const ITEMS_MAX: u64 = 16;

/// How many tokens a text is to the simulated vendors: one for every four characters begun, the rule of thumb that
/// OpenAI gives for English.
///
/// ```
/// assert_eq!(paceline_lab::ai_tokens("Capital of Norway?"), 5);
/// ```
#[must_use]
pub fn ai_tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}

/// What a simulated model answers to a prompt (the last text of the user): its checksum and its beginning.
///
/// ```
/// use paceline_lab::ai_text;
/// assert!(ai_text("Capital of Norway?").ends_with("Capital of Norway?"));
/// assert_ne!(ai_text("a"), ai_text("b"));
/// ```
#[must_use]
pub fn ai_text(prompt: &str) -> String {
    let begun: String = prompt.chars().take(ECHOED_CHARS).collect();
    format!("{:08x} {begun}", checksum(prompt))
}

/// What a simulated model answers to a prompt under a JSON Schema: a value that satisfies it, chosen by the checksum of
/// the prompt and of each place.
///
/// Of a schema `type`, `properties`, `items`, `enum`, `const`, `anyOf`, `oneOf`, `minimum`, `maximum`, `minItems`,
/// `maxLength` and `format` (`date`, `date-time`) are heeded; types may be in capitals, as Google writes them.
///
/// ```
/// use serde_json::json;
/// let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}, "kind": {"enum": ["a", "b"]}}});
/// let value = paceline_lab::ai_value(&schema, "a prompt");
/// assert!(value["ok"].is_boolean() && ["a", "b"].contains(&value["kind"].as_str().unwrap()));
/// ```
#[must_use]
pub fn ai_value(schema: &Value, prompt: &str) -> Value {
    value(schema, prompt, "", 0)
}

fn value(schema: &Value, prompt: &str, place: &str, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    let drawn = u64::from(checksum(&format!("{place}\n{prompt}")));
    if let Some(given) = schema.get("const") {
        return given.clone();
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        // Null stands for an answer that nobody knows, and the lab always knows one.
        let known: Vec<&Value> = options.iter().filter(|option| !option.is_null()).collect();
        let chosen = known.get((drawn % known.len().max(1) as u64) as usize);
        return chosen.map_or(Value::Null, |chosen| (*chosen).clone());
    }
    for word in ["anyOf", "oneOf"] {
        if let Some(first) = schema.get(word).and_then(Value::as_array).and_then(|all| all.first())
        {
            return value(first, prompt, place, depth + 1);
        }
    }
    match type_of(schema).as_deref() {
        Some("boolean") => Value::Bool(drawn.is_multiple_of(2)),
        Some("integer") => json!(number(schema, (drawn % 1_000) as f64) as i64),
        Some("number") => json!(number(schema, (drawn % 10_000) as f64 / 10.0)),
        Some("null") => Value::Null,
        Some("array") => {
            let items = schema.get("items").unwrap_or(&Value::Null);
            let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
            let one = |at| value(items, prompt, &format!("{place}/{at}"), depth + 1);
            (0..least.clamp(1, ITEMS_MAX)).map(one).collect()
        }
        Some("object") => {
            let none = Map::new();
            let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
            let one = |(name, schema): (&String, &Value)| {
                let value = value(schema, prompt, &format!("{place}/{name}"), depth + 1);
                (name.clone(), value)
            };
            Value::Object(properties.iter().map(one).collect())
        }
        _ => text(schema, prompt),
    }
}

/// The type, in small letters; of several the first that is not null.
fn type_of(schema: &Value) -> Option<String> {
    let kind = match schema.get("type")? {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null")?,
        kind => kind,
    };
    Some(kind.as_str()?.to_ascii_lowercase())
}

fn number(schema: &Value, drawn: f64) -> f64 {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    let at_least = bound("minimum").map_or(drawn, |least| drawn.max(least));
    bound("maximum").map_or(at_least, |most| at_least.min(most))
}

fn text(schema: &Value, prompt: &str) -> Value {
    let text = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-11-22".to_owned(),
        Some("date-time") => "2026-11-22T12:00:00Z".to_owned(),
        _ => ai_text(prompt),
    };
    let most = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
    Value::String(text.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect())
}

/// FNV-1a, 32 bits.
fn checksum(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
