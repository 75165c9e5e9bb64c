//! What holds for the catalogue as a whole.

use std::collections::HashSet;

use axum::body::Body;
use http::Request;
use paceline_server::{Kind, Place, Verb, operations};
use serde_json::{Map, Value as Json, json};

use crate::support::{KEY, app};

#[test]
fn names_and_routes_are_unique_and_paths_name_their_fields() {
    let mut names = HashSet::new();
    let mut routes = HashSet::new();
    for operation in operations() {
        assert!(names.insert(operation.name), "{}", operation.name);
        assert!(routes.insert((operation.verb, operation.path)), "{}", operation.name);
        assert!(
            operation.path.starts_with("/api/") && operation.summary.len() < 120,
            "{}",
            operation.name
        );
        let in_path: Vec<&str> =
            operation.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect();
        let fields = operation.fields.iter().filter(|field| field.place == Place::Path);
        assert_eq!(
            in_path,
            fields.map(|field| field.name).collect::<Vec<_>>(),
            "{}",
            operation.name
        );
        for field in operation.fields {
            assert!(!field.about.is_empty());
            assert!(
                operation.verb != Verb::Get || field.place != Place::Body,
                "{}",
                operation.name
            );
            assert!(field.place != Place::Path || field.required, "{}", operation.name);
        }
    }
}

/// A value that a field accepts and that refers to nothing.
fn value(kind: &Kind) -> Json {
    match kind {
        Kind::Text { .. } => json!("nowhere"),
        Kind::Whole { min, .. } => json!(min),
        Kind::OneOf(names) => json!(names()[0]),
        Kind::Names { .. } => json!(["a"]),
        Kind::Objects { fields, .. } => {
            let item: Map<_, _> =
                fields.iter().map(|field| (field.name.to_owned(), value(&field.kind))).collect();
            json!([item])
        }
        Kind::Rows => json!([{"a": 1}]),
        Kind::Object => json!({"url": "https://vendor.example/"}),
        Kind::Rate => json!("gentle"),
        Kind::Flag => json!(true),
        Kind::Any => json!(1),
    }
}

/// Whatever the fields of an operation allow, its input takes: no reply complains of `arguments`.
#[test]
fn every_field_reaches_its_operation() {
    app(|app| async move {
        for operation in operations() {
            let mut path = operation.path.to_owned();
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            let mut body = Map::new();
            for field in operation.fields {
                let given = value(&field.kind);
                let text = given
                    .as_str()
                    .map_or_else(|| given.to_string().replace(['[', ']', '"'], ""), str::to_owned);
                match field.place {
                    Place::Path => path = path.replace(&format!("{{{}}}", field.name), &text),
                    Place::Query => {
                        query.append_pair(field.name, &text);
                    }
                    Place::Body => {
                        body.insert(field.name.to_owned(), given);
                    }
                }
            }
            let request = Request::builder()
                .method(operation.verb.as_str())
                .uri(format!("{path}?{}", query.finish()))
                .header("authorization", format!("Bearer {KEY}"))
                .body(if body.is_empty() {
                    Body::empty()
                } else {
                    Json::Object(body).to_string().into()
                })
                .unwrap();
            let answer = app.send(request).await;
            let code = answer.body["error"]["code"].as_str().unwrap_or("none");
            let wanted: &[&str] = match operation.name {
                "list_tables" | "create_table" => &["none"],
                // The table is deleted, and restored by the next.
                "update_table" | "delete_table" | "restore_table" | "list_deleted_tables" => {
                    &["none"]
                }
                "add_column" => &["COLUMN_ALREADY_EXISTS"],
                "delete_column" => &["CONFLICT"],
                "search_rows" => &["COLUMN_NOT_FOUND"],
                "count_rows" | "update_rows" | "delete_rows" | "run_column" | "plan_run"
                | "unlock_cells" => &["INVALID_FILTER"],
                // The table "nowhere" has one smart column of that name, and so there is a run.
                // The object is no caps.
                "resume_run" => &["VALIDATION_ERROR"],
                name if name.ends_with("_run") => &["none", "CONFLICT", "RUN_NOT_FOUND"],
                "update_smart_column" | "set_auto_run" => &["none"],
                "retry_failed_cells" => &["none", "CONFLICT"],
                "explain_cell" => &["ROW_NOT_FOUND"],
                // The second one made the table "nowhere", which has one column of that name.
                "add_smart_column" => &["COLUMN_ALREADY_EXISTS"],
                "insert_rows" | "query_rows" => {
                    &["COLUMN_NOT_FOUND", "VALIDATION_ERROR", "INVALID_FILTER"]
                }
                "get_row" => &["COLUMN_NOT_FOUND"],
                "get_table_schema" | "list_runs" => &["none"],
                "get_limits" | "get_stats" | "list_budgets" | "list_shared_budgets" => &["none"],
                "delete_budget" => &["NOT_FOUND"],
                "list_api_keys" | "list_audit" | "list_ai_providers" => &["none"],
                "revoke_api_key" => &["NOT_FOUND"],
                // Nobody made the source or the webhook 1.
                "update_source" | "delete_source" | "trigger_source" => &["NOT_FOUND"],
                "create_webhook" => &["VALIDATION_ERROR"],
                "list_webhooks" | "list_sources" | "list_table_sources" => &["none"],
                name if name.contains("_webhook") => &["NOT_FOUND"],
                "create_function" | "list_functions" | "get_function" => &["none"],
                "update_function" | "delete_function" => &["none"],
                "export_rows" => &["INVALID_FILTER"],
                "list_jobs" => &["none"],
                "get_job" | "cancel_job" | "get_recording" | "delete_recording" => &["NOT_FOUND"],
                "delete_ai_provider" | "test_ai_provider" => &["PROVIDER_NOT_FOUND"],
                _ => &["VALIDATION_ERROR"],
            };
            assert!(wanted.contains(&code), "{}: {:#}", operation.name, answer.body);
            let told = answer.body["error"]["message"].as_str().unwrap_or_default();
            assert!(!told.starts_with("arguments:"), "{}: {told}", operation.name);
        }
    });
}
