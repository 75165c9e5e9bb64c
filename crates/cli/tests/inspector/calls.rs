//! A call for every tool, in an order in which each is right: what an earlier one made, a later one uses. `"$create_source"`
//! stands for the id of what that operation made last. A new operation adds its call here; the test names those that are
//! missing.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

/// The tool of a client with the default tools that does every other operation.
pub(crate) const OTHERS: &str = "hypertab_call_operation";

/// Right calls that have to report a failure of something else: the job has ended before it could be cancelled, and the
/// server's own health takes no webhooks; no cell is unknown that could be settled.
pub(crate) const MAY_ANSWER: [(&str, &str); 3] = [
    ("hypertab_cancel_job", "CONFLICT"),
    ("hypertab_settle_cell", "CONFLICT"),
    ("hypertab_test_webhook", "UPSTREAM_ERROR"),
];

/// `url` is where the server is: its own health is an API that can be called.
pub(crate) fn all(url: &str) -> Vec<(&'static str, Json)> {
    [
        tables(),
        smart_columns(url),
        runs(),
        columns_and_rows(),
        system(url),
        files(),
        access(url),
        sources(url),
        webhooks(url),
        functions(),
        deletions(),
    ]
    .concat()
}

fn columns_and_rows() -> Vec<(&'static str, Json)> {
    let options = json!({"options": ["new", "won"]});
    let stage = json!({"table": "leads", "name": "stage", "type": "select", "config": options});
    let filter = json!({"score": {"gte": 30}});
    vec![
        ("hypertab_update_table", json!({"table": "leads", "description": "people"})),
        ("hypertab_add_column", stage),
        ("hypertab_update_column", json!({"table": "leads", "column": "stage", "title": "Stage"})),
        ("hypertab_search_rows", json!({"table": "leads", "where": filter, "limit": 5})),
        ("hypertab_get_row", json!({"table": "leads", "row": 1})),
        (
            "hypertab_update_rows",
            json!({"table": "leads", "where": filter, "values": {"stage": "new"}}),
        ),
        ("hypertab_delete_rows", json!({"table": "leads", "ids": [40], "confirm": true})),
        ("hypertab_delete_column", json!({"table": "leads", "column": "stage", "confirm": true})),
    ]
}

fn system(url: &str) -> Vec<(&'static str, Json)> {
    vec![
        ("hypertab_list_errors", json!({"table": "leads", "state": "unknown"})),
        ("hypertab_list_budgets", json!({})),
        ("hypertab_create_budget", json!({"name": "maps", "rate": {"limits": ["60/min"]}})),
        ("hypertab_update_budget", json!({"budget": "maps", "daily_caps": {"calls": 1000}})),
        ("hypertab_list_shared_budgets", json!({})),
        ("hypertab_delete_budget", json!({"budget": "maps", "confirm": true})),
        ("hypertab_get_limits", json!({})),
        ("hypertab_get_stats", json!({})),
        ("hypertab_http_request", json!({"method": "GET", "url": format!("{url}/healthz")})),
    ]
}

fn files() -> Vec<(&'static str, Json)> {
    let data = "email,score\nx@example.com,7\n";
    vec![
        ("hypertab_import_rows", json!({"table": "leads", "data": data, "format": "csv"})),
        ("hypertab_get_job", json!({"job": "$import_rows"})),
        ("hypertab_list_jobs", json!({"table": "leads"})),
        ("hypertab_export_rows", json!({"table": "leads", "format": "parquet"})),
        ("hypertab_cancel_job", json!({"job": "$export_rows"})),
    ]
}

fn access(url: &str) -> Vec<(&'static str, Json)> {
    let provider = json!({
        "label": "mine", "api_key": "sk-test-0123456789", "provider": "openai_compatible", "base_url": url,
    });
    vec![
        ("hypertab_save_ai_provider", provider),
        ("hypertab_list_ai_providers", json!({})),
        ("hypertab_test_ai_provider", json!({"provider": "$save_ai_provider"})),
        ("hypertab_delete_ai_provider", json!({"provider": "$save_ai_provider"})),
        ("hypertab_create_api_key", json!({"name": "reader", "scope": "read"})),
        ("hypertab_list_api_keys", json!({})),
        ("hypertab_revoke_api_key", json!({"key": "$create_api_key"})),
        ("hypertab_list_audit", json!({"limit": 5})),
    ]
}

fn sources(url: &str) -> Vec<(&'static str, Json)> {
    let config = json!({
        "url": format!("{url}/healthz"), "schedule": "0 3 * * *",
        "field_mapping": {"data.version": "email"},
    });
    let one = json!({"source": "$create_source"});
    vec![
        ("hypertab_create_source", json!({"table": "leads", "type": "api_pull", "config": config})),
        ("hypertab_list_sources", json!({})),
        ("hypertab_list_table_sources", json!({"table": "leads"})),
        ("hypertab_trigger_source", one),
        ("hypertab_update_source", json!({"source": "$create_source", "enabled": false})),
        ("hypertab_delete_source", json!({"source": "$create_source", "confirm": true})),
    ]
}

fn webhooks(url: &str) -> Vec<(&'static str, Json)> {
    let webhook = json!({
        "table": "leads", "direction": "outgoing", "trigger_on": "new_row",
        "target_url": format!("{url}/healthz"),
    });
    let one = json!({"webhook": "$create_webhook"});
    vec![
        ("hypertab_create_webhook", webhook),
        ("hypertab_list_webhooks", json!({"table": "leads"})),
        ("hypertab_update_webhook", json!({"webhook": "$create_webhook", "enabled": false})),
        ("hypertab_test_webhook", one.clone()),
        ("hypertab_list_webhook_deliveries", one),
        ("hypertab_delete_webhook", json!({"webhook": "$create_webhook", "confirm": true})),
    ]
}

fn functions() -> Vec<(&'static str, Json)> {
    let source = "export default (n) => n * 2";
    vec![
        ("hypertab_create_function", json!({"name": "double", "source": source})),
        ("hypertab_list_functions", json!({})),
        ("hypertab_get_function", json!({"function": "double"})),
        ("hypertab_update_function", json!({"function": "double", "description": "twice"})),
        ("hypertab_delete_function", json!({"function": "double", "confirm": true})),
    ]
}

fn deletions() -> Vec<(&'static str, Json)> {
    vec![
        (
            "hypertab_create_table",
            json!({"name": "drafts", "columns": [{"name": "a", "type": "text"}]}),
        ),
        ("hypertab_delete_table", json!({"table": "drafts", "confirm": true})),
        ("hypertab_list_deleted_tables", json!({})),
        ("hypertab_restore_table", json!({"table": "drafts"})),
    ]
}

/// The arguments with ids in the place of what stands for them.
pub(crate) fn with_ids(arguments: &Json, ids: &HashMap<String, Json>) -> Json {
    match arguments {
        Json::String(text) => {
            let made = text.strip_prefix('$').and_then(|operation| ids.get(operation));
            made.unwrap_or(arguments).clone()
        }
        Json::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), with_ids(value, ids))).collect()
        }
        other => other.clone(),
    }
}

fn tables() -> Vec<(&'static str, Json)> {
    let columns = json!([{"name": "email", "type": "email"}, {"name": "score", "type": "number"}]);
    let rows: Vec<Json> =
        (0..40).map(|n| json!({"email": format!("{n}@example.com"), "score": n})).collect();
    vec![
        ("hypertab_list_tables", json!({})),
        ("hypertab_create_table", json!({"name": "leads", "columns": columns})),
        ("hypertab_get_table_schema", json!({"table": "leads"})),
        ("hypertab_insert_rows", json!({"table": "leads", "rows": rows})),
        ("hypertab_query_rows", json!({"table": "leads", "limit": 5, "columns": ["email"]})),
        ("hypertab_count_rows", json!({"table": "leads"})),
    ]
}

fn smart_columns(url: &str) -> Vec<(&'static str, Json)> {
    let column = json!({
        "table": "leads", "name": "health", "type": "json", "kind": "http",
        "config": {"url": format!("{url}/healthz?for={{{{email}}}}")},
        "rate_limit": "gentle",
    });
    let rate = json!({
        "requests_per_second": 1, "max_concurrent": 1, "retry_strategy": "exponential",
        "max_retries": 3, "retry_delay_ms": 1000, "cool_down_on_429": true,
    });
    vec![
        ("hypertab_add_smart_column", column),
        (
            "hypertab_update_smart_column",
            json!({"table": "leads", "column": "health", "rate_limit": rate}),
        ),
        ("hypertab_explain_cell", json!({"table": "leads", "column": "health", "row": 1})),
        (
            "hypertab_settle_cell",
            json!({"table": "leads", "column": "health", "row": 1, "outcome": "failed"}),
        ),
        ("hypertab_unlock_cells", json!({"table": "leads", "column": "health"})),
        ("hypertab_set_auto_run", json!({"table": "leads", "enabled": false})),
    ]
}

fn runs() -> Vec<(&'static str, Json)> {
    let column = json!({"table": "leads", "column": "health"});
    // At one call a second, forty rows are at work until it is cancelled.
    vec![
        ("hypertab_plan_run", column.clone()),
        ("hypertab_run_column", json!({"table": "leads", "column": "health", "record": true})),
        ("hypertab_get_run", json!({"run": 1})),
        ("hypertab_pause_run", json!({"run": 1})),
        (OTHERS, json!({"operation": "get_run", "arguments": {"run": 1}})),
        ("hypertab_resume_run", json!({"run": 1})),
        ("hypertab_cancel_run", json!({"run": 1})),
        ("hypertab_list_runs", json!({"table": "leads"})),
        ("hypertab_retry_failed_cells", column),
        ("hypertab_get_recording", json!({"run": 1})),
        ("hypertab_delete_recording", json!({"run": 1})),
        (OTHERS, json!({})),
        (OTHERS, json!({"operation": "list_runs"})),
    ]
}
