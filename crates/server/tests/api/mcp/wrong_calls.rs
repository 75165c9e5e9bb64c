//! Calls that an agent gets wrong: each is a result with a code, a remedy, and a hint that works when it is called. (issue
//! 5, acceptance 1)

use serde_json::{Value as Json, json};

use super::{Client, OTHERS};
use crate::support::{TestApp, app};

struct Wrong {
    tool: &'static str,
    arguments: Json,
    code: &'static str,
    words: &'static [&'static str],
}

fn wrong(
    tool: &'static str,
    arguments: Json,
    code: &'static str,
    words: &'static [&'static str],
) -> Wrong {
    Wrong { tool, arguments, code, words }
}

fn calls() -> Vec<Wrong> {
    let rows = |count: usize| (0..count).map(|n| json!({"lat": n})).collect::<Vec<_>>();
    let columns = json!([{"name": "a", "type": "text"}]);
    let near = json!({"url": "https://vendor.example/{{lat}}"});
    vec![
        wrong(
            "hypertab_query_row",
            json!({}),
            "TOOL_NOT_FOUND",
            &["did you mean \"hypertab_query_rows\""],
        ),
        wrong(
            "query_rows",
            json!({"table": "airprots"}),
            "TABLE_NOT_FOUND",
            &["did you mean \"airports\""],
        ),
        wrong("hypertab_query_rows", json!({}), "VALIDATION_ERROR", &["table: is required"]),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "limit": 101}),
            "VALIDATION_ERROR",
            &["limit: 101", "at most 100"],
        ),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "limit": 0}),
            "VALIDATION_ERROR",
            &["limit: 0", "1 to 100"],
        ),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "limit": "many"}),
            "VALIDATION_ERROR",
            &["limit: \"many\""],
        ),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "columns": ["itaa"]}),
            "COLUMN_NOT_FOUND",
            &["did you mean \"iata\""],
        ),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "cursor": "x"}),
            "VALIDATION_ERROR",
            &["cursor: is not a cursor"],
        ),
        wrong(
            "hypertab_query_rows",
            json!({"table": "airports", "colunms": ["iata"]}),
            "VALIDATION_ERROR",
            &["colunms", "did you mean \"columns\""],
        ),
        wrong(
            "hypertab_create_table",
            json!({"name": "airports", "columns": columns}),
            "TABLE_ALREADY_EXISTS",
            &["airports"],
        ),
        wrong(
            "hypertab_create_table",
            json!({"name": "My Table", "columns": columns}),
            "INVALID_TABLE_NAME",
            &["My Table"],
        ),
        wrong(
            "hypertab_create_table",
            json!({"name": "_ht_mine", "columns": columns}),
            "RESERVED_PREFIX",
            &["_ht_"],
        ),
        wrong(
            "hypertab_create_table",
            json!({"name": "t", "columns": [{"name": "a", "type": "string"}]}),
            "VALIDATION_ERROR",
            &["columns[0].type", "text"],
        ),
        wrong(
            "hypertab_create_table",
            json!({"name": "t", "columns": "a, b"}),
            "VALIDATION_ERROR",
            &["columns:"],
        ),
        wrong(
            "hypertab_insert_rows",
            json!({"table": "airports", "rows": rows(10_001)}),
            "BATCH_TOO_LARGE",
            &["10001", "10000"],
        ),
        wrong(
            "hypertab_insert_rows",
            json!({"table": "airports", "rows": [{"lat": "north"}]}),
            "VALIDATION_ERROR",
            &["rows[0].lat", "takes a number"],
        ),
        wrong(
            "hypertab_insert_rows",
            json!({"table": "airports", "rows": {"lat": 1}}),
            "VALIDATION_ERROR",
            &["rows:"],
        ),
        wrong(
            "hypertab_add_smart_column",
            json!({"table": "airports", "name": "near", "type": "json", "kind": "htpp", "config": near}),
            "VALIDATION_ERROR",
            &["kind", "did you mean \"http\""],
        ),
        wrong(
            "hypertab_add_smart_column",
            json!({"table": "airports", "name": "near", "type": "json", "kind": "http", "config": {"url": "https://vendor.example/{{latt}}"}}),
            "VALIDATION_ERROR",
            &["latt"],
        ),
        wrong(
            "hypertab_add_smart_column",
            json!({"table": "airports", "name": "near", "type": "json", "kind": "http", "config": near, "rate_limit": "agressive"}),
            "VALIDATION_ERROR",
            &["agressive"],
        ),
        wrong(
            "hypertab_add_smart_column",
            json!({"table": "airports", "name": "near", "type": "json", "kind": "http", "config": {"url": "http://169.254.169.254/"}}),
            "BLOCKED_URL",
            &["169.254.169.254"],
        ),
        wrong(
            "hypertab_run_column",
            json!({"table": "airports", "column": "iata"}),
            "VALIDATION_ERROR",
            &["holds data"],
        ),
        wrong(
            "hypertab_run_column",
            json!({"table": "airports", "column": "nothing"}),
            "COLUMN_NOT_FOUND",
            &["nothing"],
        ),
        wrong("hypertab_get_run", json!({"run": 99}), "RUN_NOT_FOUND", &["99"]),
        wrong(
            "hypertab_explain_cell",
            json!({"table": "airports", "column": "iata", "row": 99}),
            "ROW_NOT_FOUND",
            &["99"],
        ),
        wrong(
            OTHERS,
            json!({"operation": "pause_run", "arguments": {"run": "first"}}),
            "VALIDATION_ERROR",
            &["run: \"first\""],
        ),
    ]
}

#[test]
fn every_wrong_call_is_told_what_to_do_instead() {
    app(|app: TestApp| async move {
        app.airports().await;
        let client = Client::of(&app);
        for call in calls() {
            let called = client.call(call.tool, call.arguments.clone()).await;
            let error = called.refused(call.code, call.words);
            assert!(error["attempted"].is_string() && error["retryable"] == false, "{error:#}");
            for hint in called.body["hints"].as_array().unwrap() {
                let followed = client.follow(hint).await;
                assert!(!followed.is_error, "{} -> {hint}: {:#}", call.tool, followed.body);
            }
        }
        let tables = client.data("hypertab_list_tables", json!({})).await;
        assert_eq!(
            (tables.as_array().unwrap().len(), &tables[0]["rows"]),
            (1, &json!(3)),
            "nothing was changed"
        );
    });
}

#[test]
fn arguments_that_are_no_object_are_a_result_too() {
    app(|app: TestApp| async move {
        let client = Client::of(&app);
        for arguments in [json!([]), json!("x"), json!(7)] {
            let called = client.call("hypertab_list_tables", arguments).await;
            called.refused("VALIDATION_ERROR", &["arguments:", "is not an object"]);
        }
        // None at all is what many clients send to a tool that takes none.
        let result = client.result("tools/call", json!({"name": "hypertab_list_tables"})).await;
        assert_eq!(result["isError"], false);
    });
}

#[test]
fn hints_name_tools_that_the_client_has() {
    app(|app: TestApp| async move {
        app.airports().await;
        app.near(json!("gentle")).await.ok();
        let of = json!({"table": "airports", "column": "near"});
        let client = Client::of(&app);
        client.data("hypertab_run_column", of.clone()).await;
        // A second run is a conflict, and its hint is an operation that is no default tool.
        let called = client.call("hypertab_run_column", of.clone()).await;
        called.refused("CONFLICT", &[]);
        let hint = &called.body["hints"][0];
        assert_eq!(
            (&hint["tool"], &hint["arguments"]["operation"]),
            (&json!(OTHERS), &json!("list_runs"))
        );
        assert!(!client.follow(hint).await.is_error);

        let client = client.with_toolsets("runs");
        let called = client.call("hypertab_run_column", of).await;
        let hint = &called.body["hints"][0];
        assert_eq!(hint["tool"], "hypertab_list_runs");
        assert!(!client.follow(hint).await.is_error);
    });
}
