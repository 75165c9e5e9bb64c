//! What the OpenAPI document promises, held against every reply that any test here gets.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use http::Method;
use jsonschema::Validator;
use paceline_server::{Operation, openapi, operations};
use serde_json::{Value as Json, json};

pub(crate) static DOCUMENT: LazyLock<Json> = LazyLock::new(|| openapi(&Default::default()));

type Validators = HashMap<(&'static str, u16), Arc<Validator>>;
static VALIDATORS: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// A reply of an operation is one that the document knows, and of the form it says.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, status: u16, body: &Json) {
    // Whoever asks for none has no promise.
    let Some(operation) = asked_for(method, path) else { return };
    if let Err(error) = validator(operation, status).validate(body) {
        let at = error.instance_path();
        panic!("{} answers {status} with {at}: {error}\n{body:#}", operation.name);
    }
}

/// The operation of a request; of several whose paths fit, the one that spells out most of it.
fn asked_for(method: &Method, path: &str) -> Option<&'static Operation> {
    operations()
        .filter(|operation| {
            operation.verb.as_str() == method.as_str() && fits(operation.path, path)
        })
        .min_by_key(|operation| operation.path.matches('{').count())
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

#[track_caller]
fn validator(operation: &'static Operation, status: u16) -> Arc<Validator> {
    if let Some(known) = VALIDATORS.lock().unwrap().get(&(operation.name, status)) {
        return Arc::clone(known);
    }
    let method = operation.verb.as_str().to_ascii_lowercase();
    let response = &DOCUMENT["paths"][operation.path][method]["responses"][status.to_string()];
    assert!(response.is_object(), "{} is not said to answer {status}", operation.name);
    let response = match response["$ref"].as_str() {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let mut schema = response["content"]["application/json"]["schema"].clone();
    schema["components"] = json!({"schemas": DOCUMENT["components"]["schemas"]});
    let made = Arc::new(jsonschema::draft202012::new(&schema).unwrap());
    VALIDATORS.lock().unwrap().insert((operation.name, status), Arc::clone(&made));
    made
}
