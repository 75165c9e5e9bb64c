//! The document, and the browser that shows it. That replies are as it says is checked for every reply of every test here
//! (`promise.rs`).

use std::collections::BTreeSet;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use paceline_server::{CATALOGUE, Place, openapi, operations};
use serde_json::Value as Json;
use tower::ServiceExt;

use crate::promise::DOCUMENT;
use crate::support::{TestApp, app};

fn operation_of<'d>(operation: &paceline_server::Operation, document: &'d Json) -> &'d Json {
    &document["paths"][operation.path][operation.verb.as_str().to_ascii_lowercase()]
}

#[test]
fn every_operation_of_the_catalogue_stands_in_it_with_all_its_fields() {
    let mut count = 0;
    for chapter in CATALOGUE {
        for operation in chapter.operations {
            let described = operation_of(operation, &DOCUMENT);
            assert_eq!(described["operationId"], operation.name);
            assert_eq!(described["tags"][0], chapter.name);
            let parameters = described["parameters"].as_array().cloned().unwrap_or_default();
            let body = &described["requestBody"]["content"]["application/json"]["schema"];
            for field in operation.fields {
                let place = match field.place {
                    Place::Path => "path",
                    Place::Query => "query",
                    Place::Body => {
                        assert!(body["properties"][field.name].is_object(), "{}", field.name);
                        continue;
                    }
                };
                let parameter =
                    parameters.iter().find(|parameter| parameter["name"] == field.name).unwrap();
                assert_eq!(parameter["in"], place, "{} of {}", field.name, operation.name);
                assert_eq!(parameter["required"], field.required);
            }
            assert!(body.is_null() || body["additionalProperties"] == false);
            assert_eq!(
                described["responses"]["200"]["content"]["application/json"]["schema"]["properties"]
                    ["meta"]["properties"]["operation"]["const"],
                operation.name
            );
            count += 1;
        }
    }
    let paths = DOCUMENT["paths"].as_object().unwrap().values();
    assert_eq!(paths.map(|path| path.as_object().unwrap().len()).sum::<usize>(), count);
    assert_eq!(operations().count(), count);
}

fn each(json: &Json, visit: &mut impl FnMut(&serde_json::Map<String, Json>)) {
    match json {
        Json::Object(object) => {
            visit(object);
            object.values().for_each(|value| each(value, visit));
        }
        Json::Array(items) => items.iter().for_each(|item| each(item, visit)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_no_definition_is_left_over() {
    let mut led_to = BTreeSet::new();
    each(&DOCUMENT, &mut |object| {
        if let Some(Json::String(reference)) = object.get("$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(DOCUMENT.pointer(pointer).is_some(), "{reference} leads nowhere");
            led_to.insert(pointer.to_owned());
        }
    });
    for kind in ["schemas", "headers"] {
        for name in DOCUMENT["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(led_to.contains(&pointer), "nothing refers to {pointer}");
        }
    }
}

#[test]
fn every_schema_is_one_by_the_rules_of_json_schema() {
    let mut count = 0;
    each(&DOCUMENT["paths"], &mut |object| {
        if let Some(schema) = object.get("schema") {
            jsonschema::draft202012::meta::validate(schema)
                .unwrap_or_else(|error| panic!("{error}: {schema:#}"));
            count += 1;
        }
    });
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        jsonschema::draft202012::meta::validate(schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    assert!(count > operations().count());
}

#[test]
fn the_settings_of_a_server_stand_in_its_document() {
    let settings =
        paceline_model::limits::Settings { column_concurrent_max: 77, ..Default::default() };
    let rate = &openapi(&settings)["components"]["schemas"]["Rate"];
    assert_eq!(rate["oneOf"][1]["properties"]["max_concurrent"]["maximum"], 77);
}

/// A request without a key.
async fn fetch(app: &TestApp, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let (parts, body) = app.router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn the_document_is_served_to_anyone() {
    app(|app| async move {
        let (status, headers, body) = fetch(&app, "/openapi.json").await;
        assert_eq!(
            (status, &headers["content-type"]),
            (StatusCode::OK, &"application/json".parse().unwrap())
        );
        assert_eq!(serde_json::from_str::<Json>(&body).unwrap(), *DOCUMENT);
    });
}

/// What a page loads: the values of `src` and of the `href`s of its links.
fn loaded(page: &str) -> Vec<&str> {
    let after = |name: &'static str| {
        page.split(name).skip(1).filter_map(|rest| rest.split('"').next()).collect::<Vec<_>>()
    };
    [after("src=\""), after("href=\"")].concat()
}

#[test]
fn the_browser_of_the_api_is_all_ours() {
    app(|app| async move {
        let (_, headers, _) = fetch(&app, "/docs").await;
        assert_eq!(headers["location"], "/docs/");
        let (status, headers, page) = fetch(&app, "/docs/").await;
        assert_eq!(status, StatusCode::OK);
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("http") && !policy.contains('*') && !policy.contains("eval"));
        assert!(!page.contains("<script>") && !page.contains("http:") && !page.contains("https:"));
        let loaded = loaded(&page);
        assert!(loaded.len() >= 5, "{page}");
        for name in loaded {
            let path = format!("/docs/{}", name.trim_start_matches("./"));
            let (status, headers, _) = fetch(&app, &path).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(headers["content-security-policy"], policy);
        }
        let (_, _, begins) = fetch(&app, "/docs/swagger-initializer.js").await;
        assert!(begins.contains("\"url\": \"/openapi.json\""), "{begins}");
        assert!(begins.contains("\"validatorUrl\": \"none\""), "no document goes to a checker");
        let (_, _, style) = fetch(&app, "/docs/swagger-ui.css").await;
        assert!(!style.contains("url(http") && !style.contains("@import"));
        assert_eq!(fetch(&app, "/docs/nothing.js").await.0, StatusCode::NOT_FOUND);
    });
}
