//! A call for every tool, in an order in which each is right: what an earlier one made, a later one uses. A new operation
//! adds its call here; the test names those that are missing.

use serde_json::{Value as Json, json};

/// The tool of a client with the default tools that does every other operation.
pub(crate) const OTHERS: &str = "hypertab_call_operation";

/// `url` is where the server is: its own health is an API that can be called.
pub(crate) fn all(url: &str) -> Vec<(&'static str, Json)> {
    [tables(), smart_columns(url), runs()].concat()
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
    ]
}

fn runs() -> Vec<(&'static str, Json)> {
    let column = json!({"table": "leads", "column": "health"});
    // At one call a second, forty rows are at work until it is cancelled.
    vec![
        ("hypertab_run_column", column.clone()),
        ("hypertab_get_run", json!({"run": 1})),
        ("hypertab_pause_run", json!({"run": 1})),
        (OTHERS, json!({"operation": "get_run", "arguments": {"run": 1}})),
        ("hypertab_resume_run", json!({"run": 1})),
        ("hypertab_cancel_run", json!({"run": 1})),
        ("hypertab_list_runs", json!({"table": "leads"})),
        ("hypertab_retry_failed_cells", column),
        (OTHERS, json!({})),
        (OTHERS, json!({"operation": "list_runs"})),
    ]
}
