//! Requests as each vendor reads them, and answers and errors as each writes them.

use paceline_lab::{AiConfig, AiDialect, AiRequest, ai_text, ai_tokens, ai_value};
use serde_json::{Value, json};

use super::{ask, ended, question, request, text};

#[test]
fn the_same_question_gets_the_same_answer_in_each_vendors_shape() {
    for dialect in AiDialect::ALL {
        let answer = ask(AiConfig::default(), question(dialect, "Capital of Norway?", 500));
        assert_eq!(answer.status(), Some(200), "{dialect:?}");
        let expected = ai_text("Capital of Norway?");
        assert_eq!(text(dialect, &answer), expected, "{dialect:?}");
        let (usage, names) = match dialect {
            AiDialect::OpenAi => ("usage", ["prompt_tokens", "completion_tokens"]),
            AiDialect::Anthropic => ("usage", ["input_tokens", "output_tokens"]),
            AiDialect::Google => ("usageMetadata", ["promptTokenCount", "candidatesTokenCount"]),
        };
        let counts = names.map(|name| answer.json()[usage][name].as_u64().unwrap());
        assert_eq!(counts, [5, ai_tokens(&expected)], "{dialect:?}");
    }
}

#[test]
fn a_schema_is_answered_with_json_that_satisfies_it() {
    let schema = json!({
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": ["large", "small"]},
            "score": {"type": "number", "minimum": 3, "maximum": 4},
            "open": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["kind", "score", "open", "tags"],
        "additionalProperties": false,
    });
    let mut for_google = schema.clone();
    for_google.as_object_mut().unwrap().remove("additionalProperties");
    let messages = json!([{"role": "user", "content": "rate it"}]);
    for dialect in AiDialect::ALL {
        let (body, path) = match dialect {
            AiDialect::OpenAi => (
                json!({"model": "m", "messages": messages, "response_format": {"type": "json_schema",
                    "json_schema": {"name": "cell", "strict": true, "schema": schema}}}),
                "/choices/0/message/content",
            ),
            AiDialect::Anthropic => (
                json!({"model": "m", "max_tokens": 900, "messages": messages,
                    "tools": [{"name": "cell", "input_schema": schema}],
                    "tool_choice": {"type": "tool", "name": "cell"}}),
                "/content/0/input",
            ),
            AiDialect::Google => (
                json!({"contents": [{"parts": [{"text": "rate it"}]}],
                    "generationConfig": {"responseMimeType": "application/json", "responseSchema": for_google}}),
                "/candidates/0/content/parts/0/text",
            ),
        };
        let answer = ask(AiConfig::default(), request(dialect, &body)).json();
        let said = answer.pointer(path).unwrap();
        let said = match said {
            Value::String(text) => serde_json::from_str(text).unwrap(),
            said => said.clone(),
        };
        assert_eq!(said, ai_value(&schema, "rate it"), "{dialect:?}");
        assert!(["large", "small"].contains(&said["kind"].as_str().unwrap()));
        assert!((3.0..=4.0).contains(&said["score"].as_f64().unwrap()));
        assert!(said["open"].is_boolean() && said["tags"][0].is_string());
    }
}

#[test]
fn each_vendor_refuses_what_it_refuses_in_its_own_shape() {
    use AiDialect::{Anthropic, Google, OpenAi};
    let config = AiConfig {
        keys: vec!["good".to_owned()],
        models: vec!["m".to_owned()],
        ..AiConfig::default()
    };
    let keyed = |dialect, headers: &[(&str, &str)]| {
        let asked = question(dialect, "hi", 9);
        AiRequest { headers: AiRequest::post("", headers, "").headers, ..asked }
    };
    let hi = json!([{"role": "user", "content": "hi"}]);
    let strict = json!({"model": "m", "messages": hi, "response_format": {"type": "json_schema", "json_schema":
        {"name": "x", "strict": true, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}}});
    let schema = json!({"contents": [{"parts": [{"text": "hi"}]}], "generationConfig":
        {"responseMimeType": "application/json", "responseSchema": {"additionalProperties": false}}});
    let version = ("anthropic-version", "2023-06-01");
    let google = |path: &str| AiRequest { path: path.to_owned(), ..question(Google, "hi", 9) };
    let cases: Vec<(AiRequest, u16, &str, &str)> = vec![
        (keyed(OpenAi, &[]), 401, "/error/type", "invalid_request_error"),
        (keyed(OpenAi, &[("authorization", "Bearer bad")]), 401, "/error/code", "invalid_api_key"),
        (keyed(Anthropic, &[version]), 401, "/error/type", "authentication_error"),
        (keyed(Anthropic, &[("x-api-key", "bad"), version]), 401, "/type", "error"),
        (keyed(Anthropic, &[("x-api-key", "good")]), 400, "/error/message", "anthropic-version"),
        (keyed(Google, &[]), 403, "/error/status", "PERMISSION_DENIED"),
        (
            keyed(Google, &[("x-goog-api-key", "bad")]),
            400,
            "/error/details/0/reason",
            "API_KEY_INVALID",
        ),
        (
            request(OpenAi, &json!({"model": "x", "messages": hi})),
            404,
            "/error/code",
            "model_not_found",
        ),
        (
            request(Anthropic, &json!({"model": "x", "max_tokens": 9, "messages": hi})),
            404,
            "/error/type",
            "not_found_error",
        ),
        (google("/v1beta/models/x:generateContent"), 404, "/error/status", "NOT_FOUND"),
        (request(OpenAi, &json!({"model": "m"})), 400, "/error/param", "messages"),
        (request(OpenAi, &strict), 400, "/error/message", "additionalProperties"),
        (
            request(Anthropic, &json!({"model": "m", "messages": hi})),
            400,
            "/error/message",
            "max_tokens: Field",
        ),
        (request(Google, &json!({"contents": []})), 400, "/error/status", "INVALID_ARGUMENT"),
        (request(Google, &schema), 400, "/error/message", "additionalProperties"),
    ];
    for (asked, status, path, word) in cases {
        let answer = ask(config.clone(), asked.clone());
        let said = answer.json().pointer(path).cloned().unwrap_or_default();
        let said = said.as_str().unwrap_or_default();
        assert!(answer.status() == Some(status) && said.contains(word), "{asked:?}: {answer:?}");
    }
}

#[test]
fn faults_of_the_model_are_told_as_each_vendor_tells_them() {
    for (fault, reasons, has_text) in [
        ("length:1", ["length", "max_tokens", "MAX_TOKENS"], true),
        ("refusal:1", ["stop", "refusal", "SAFETY"], false),
        ("blocked:1", ["content_filter", "refusal", "PROHIBITED_CONTENT"], false),
        ("empty:1", ["stop", "end_turn", "STOP"], false),
    ] {
        for (dialect, reason) in AiDialect::ALL.into_iter().zip(reasons) {
            let config = AiConfig { faults: fault.parse().unwrap(), ..AiConfig::default() };
            let answer = ask(config, question(dialect, "hi", 900));
            assert_eq!(answer.status(), Some(200), "{fault} {dialect:?}");
            assert_eq!(ended(dialect, &answer), reason, "{fault} {dialect:?}");
            assert_eq!(!text(dialect, &answer).is_empty(), has_text, "{fault} {dialect:?}");
        }
    }
}

#[test]
fn an_answer_longer_than_it_may_be_is_cut() {
    for dialect in AiDialect::ALL {
        let answer = ask(AiConfig::default(), question(dialect, "a question of some length", 3));
        assert_eq!(text(dialect, &answer).len(), 12, "{dialect:?}");
        assert!(["length", "max_tokens", "MAX_TOKENS"].contains(&ended(dialect, &answer).as_str()));
    }
}
