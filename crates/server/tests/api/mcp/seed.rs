//! The JSON that the seed prints, word for word: presets, the custom object, and the way out of a tripped breaker. (issue
//! 5, acceptance 1)

use paceline_model::RunId;
use serde_json::{Value as Json, json};

use super::Client;
use crate::support::{Says, TestApp, app};

/// "Using a preset", as printed; only the ellipsis of its config is filled in.
const PRESET: &str = r#"{
  "tool": "hypertab_add_smart_column",
  "arguments": {
    "table": "leads",
    "name": "enriched",
    "type": "json",
    "kind": "http",
    "config": { ... },
    "rate_limit": "conservative"
  }
}"#;

/// "Custom rate limit", as printed.
const CUSTOM: &str = r#"{
  "rate_limit": {
    "requests_per_second": 10,
    "max_concurrent": 5,
    "retry_strategy": "exponential",
    "max_retries": 3,
    "retry_delay_ms": 1000,
    "cool_down_on_429": true
  }
}"#;

const CONFIG: &str =
    r#"{ "url": "https://vendor.example/find?email={{email}}", "extract": "$.asked" }"#;

fn printed(text: &str) -> Json {
    serde_json::from_str(&text.replace("{ ... }", CONFIG)).unwrap()
}

async fn leads(client: &Client) {
    let columns = json!([{"name": "email", "type": "email"}]);
    client.data("hypertab_create_table", json!({"name": "leads", "columns": columns})).await;
    let rows = json!([{"email": "a@example.com"}, {"email": "b@example.com"}]);
    client.data("hypertab_insert_rows", json!({"table": "leads", "rows": rows})).await;
}

async fn settled(app: &TestApp, run: &Json) {
    app.engine.wait(RunId(run["id"].as_i64().unwrap())).await.unwrap();
}

#[test]
fn what_the_seed_prints_runs_and_is_shown_as_it_was_given() {
    app(|app| async move {
        let client = Client::of(&app);
        leads(&client).await;
        let call = printed(PRESET);
        let tool = call["tool"].as_str().unwrap();
        client.data(tool, call["arguments"].clone()).await;

        let schema = client.data("hypertab_get_table_schema", json!({"table": "leads"})).await;
        let column = &schema["columns"][1];
        assert_eq!((&column["name"], &column["type"]), (&json!("enriched"), &json!("json")));
        assert_eq!(column["smart"]["kind"], "http");
        assert_eq!(column["smart"]["config"], call["arguments"]["config"]);
        assert_eq!(column["smart"]["rate_limit"], "conservative");

        // "when creating or updating": every preset, then the custom object.
        let mut rates: Vec<Json> =
            ["aggressive", "moderate", "conservative", "gentle"].map(Json::from).to_vec();
        rates.push(printed(CUSTOM)["rate_limit"].clone());
        for rate in rates {
            let update = json!({"table": "leads", "column": "enriched", "rate_limit": rate});
            client.data("hypertab_update_smart_column", update).await;
            let schema = client.data("hypertab_get_table_schema", json!({"table": "leads"})).await;
            assert_eq!(schema["columns"][1]["smart"]["rate_limit"], rate);
        }

        let of = json!({"table": "leads", "column": "enriched"});
        let run = client.data("hypertab_run_column", of).await;
        settled(&app, &run).await;
        let run = client.data("hypertab_get_run", json!({"run": run["id"]})).await;
        assert_eq!((&run["status"], &run["counts"]["completed"]), (&json!("completed"), &json!(2)));
        let rows = client.data("hypertab_query_rows", json!({"table": "leads"})).await;
        assert_eq!(rows[1]["enriched"], "https://vendor.example/find?email=b%40example.com");
    });
}

#[test]
fn the_custom_object_is_taken_when_the_column_is_made() {
    app(|app| async move {
        let client = Client::of(&app);
        leads(&client).await;
        let mut arguments = printed(PRESET)["arguments"].clone();
        arguments["rate_limit"] = printed(CUSTOM)["rate_limit"].clone();
        let made = client.data("hypertab_add_smart_column", arguments.clone()).await;
        assert_eq!(made["smart"]["rate_limit"], arguments["rate_limit"]);
    });
}

#[test]
fn each_wrong_field_of_the_custom_object_has_its_own_message() {
    app(|app| async move {
        let client = Client::of(&app);
        leads(&client).await;
        let wrong = [
            ("requests_per_second", json!(0.05)),
            ("requests_per_second", json!(1001)),
            ("max_concurrent", json!(7)),
            ("retry_strategy", json!("linaer")),
            ("max_retries", json!(11)),
            ("retry_delay_ms", json!(99)),
            ("cool_down_on_429", json!("yes")),
        ];
        let mut messages = Vec::new();
        for (field, value) in wrong {
            let mut arguments = printed(PRESET)["arguments"].clone();
            arguments["rate_limit"] = printed(CUSTOM)["rate_limit"].clone();
            arguments["rate_limit"][field] = value;
            let called = client.call("hypertab_add_smart_column", arguments).await;
            let error = called.refused("VALIDATION_ERROR", &[field]);
            assert_eq!(error["details"][0]["field"], format!("rate_limit.{field}"));
            messages.push(error["message"].clone());
        }
        let different: std::collections::HashSet<String> =
            messages.iter().map(Json::to_string).collect();
        assert_eq!(different.len(), messages.len());
    });
}

/// "then use hypertab_retry_failed_cells to reprocess failed cells".
#[test]
fn a_refused_key_is_dealt_with_as_the_seed_says() {
    app(|app| async move {
        let client = Client::of(&app);
        leads(&client).await;
        client.data("hypertab_add_smart_column", printed(PRESET)["arguments"].clone()).await;
        app.vendor.says([("", Says::Status(404))]);
        let of = json!({"table": "leads", "column": "enriched"});
        let run = client.data("hypertab_run_column", of.clone()).await;
        settled(&app, &run).await;
        app.vendor.says([]);
        let again = client.data("hypertab_retry_failed_cells", of).await;
        settled(&app, &again).await;
        let rows = client.data("hypertab_query_rows", json!({"table": "leads"})).await;
        assert_eq!(rows[0]["_ht_cells"]["enriched"]["state"], "completed");
    });
}
