//! Which tools a client sees, what they say of themselves, and what the list costs.

use std::collections::BTreeSet;

use paceline_model::limits::{MCP_PAGE_ROWS_MAX, MCP_TOOL_LIST_BYTES_MAX};
use paceline_server::{CATALOGUE, DEFAULT_TOOLS_MAX, KeyScope, operations};
use serde_json::{Value as Json, json};

use super::{Client, OTHERS};
use crate::support::{READ_KEY, app};

#[test]
fn the_default_tools_are_few_and_their_list_is_short() {
    app(|app| async move {
        let client = Client::of(&app);
        let tools = client.tools().await;
        let wanted: BTreeSet<String> = operations()
            .filter(|operation| operation.default_tool)
            .map(|operation| format!("hypertab_{}", operation.name))
            .chain([OTHERS.to_owned()])
            .collect();
        let names: BTreeSet<String> = client.names().await.into_iter().collect();
        assert_eq!(names, wanted);
        assert!(names.len() <= DEFAULT_TOOLS_MAX, "{} tools", names.len());
        assert!(names.contains("hypertab_explain_cell"));
        let bytes = Json::from(tools).to_string().len();
        println!("the list of {} tools has {bytes} bytes", names.len());
        assert!(bytes <= MCP_TOOL_LIST_BYTES_MAX, "{bytes} bytes");
    });
}

#[test]
fn toolsets_add_chapters_and_all_is_everything() {
    app(|app| async move {
        let client = Client::of(&app);
        let default = client.names().await;
        for chapter in CATALOGUE {
            let names = client.clone().with_toolsets(chapter.name).names().await;
            let is_there = |name: &str| names.iter().any(|n| n == &format!("hypertab_{name}"));
            assert!(chapter.operations.iter().all(|operation| is_there(operation.name)));
            assert!(default.iter().all(|name| name == OTHERS || names.contains(name)));
        }
        let all = client.clone().with_toolsets("all").names().await;
        assert_eq!(all.len(), operations().count(), "and no tool for the rest, which is none");
        let two = client.clone().with_toolsets("runs,%20tables").names().await;
        assert!(two.contains(&"hypertab_list_runs".to_owned()));

        // A client that cannot change the address sends a header; the address goes before it.
        let list = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        let mut request = client.request(&list);
        request.headers_mut().insert("x-paceline-toolsets", "all".parse().unwrap());
        let (_, _, answer) = client.send(request).await;
        assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), all.len());

        let wrong = client.clone().with_toolsets("runz");
        let (status, _, answer) = wrong.send(wrong.request(&list)).await;
        assert_eq!((status.as_u16(), &answer["error"]["did_you_mean"]), (400, &json!("runs")));
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(CATALOGUE.iter().all(|chapter| message.contains(chapter.name)), "{message}");
    });
}

#[test]
fn every_tool_says_what_it_takes_and_what_it_may_do() {
    app(|app| async move {
        let client = Client::of(&app).with_toolsets("all");
        for tool in client.tools().await {
            let name = tool["name"].as_str().unwrap().strip_prefix("hypertab_").unwrap();
            let operation = operations().find(|operation| operation.name == name).unwrap();
            assert_eq!(tool["description"], operation.summary);
            let schema = &tool["inputSchema"];
            assert_eq!(
                (&schema["type"], &schema["additionalProperties"]),
                (&json!("object"), &json!(false))
            );
            let properties: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
            let fields: Vec<_> = operation.fields.iter().map(|field| field.name).collect();
            assert_eq!(properties, fields, "{name}");
            for field in operation.fields {
                let property = &schema["properties"][field.name];
                assert!(property["description"].is_string(), "{name}.{}", field.name);
                let required = schema["required"].as_array();
                let is_required = required.is_some_and(|names| names.contains(&json!(field.name)));
                assert_eq!(is_required, field.required, "{name}.{}", field.name);
            }
            if let Some(limit) = schema["properties"].get("limit") {
                assert!(limit["maximum"].as_u64().unwrap() <= MCP_PAGE_ROWS_MAX as u64);
            }
            let hints = &tool["annotations"];
            assert_eq!(hints["readOnlyHint"], operation.scope == KeyScope::Read, "{name}");
            assert!(hints["destructiveHint"].is_boolean() && hints["idempotentHint"].is_boolean());
        }
        let of = |name: &'static str, tools: &[Json]| {
            let tool = tools.iter().find(|tool| tool["name"] == format!("hypertab_{name}"));
            tool.unwrap()["annotations"]["destructiveHint"].clone()
        };
        let tools = client.tools().await;
        assert_eq!(of("insert_rows", &tools), false);
        assert_eq!(of("update_smart_column", &tools), true);
        assert_eq!(of("cancel_run", &tools), true);
    });
}

#[test]
fn a_key_sees_the_tools_that_it_may_use_and_no_others() {
    app(|app| async move {
        app.airports().await;
        let client = Client::of(&app).with_key(READ_KEY).with_toolsets("all");
        let names = client.names().await;
        assert!(names.contains(&"hypertab_query_rows".to_owned()));
        assert!(!names.contains(&"hypertab_insert_rows".to_owned()));
        let called =
            client.call("hypertab_insert_rows", json!({"table": "airports", "rows": []})).await;
        called.refused("FORBIDDEN", &["insert_rows", "write"]);
        let by_way =
            json!({"operation": "run_column", "arguments": {"table": "airports", "column": "x"}});
        client.call(OTHERS, by_way).await.refused("FORBIDDEN", &["run_column"]);
        let listed = client.data(OTHERS, json!({})).await.to_string();
        assert!(listed.contains("list_runs") && !listed.contains("cancel_run"), "{listed}");
        client.data("hypertab_list_tables", json!({})).await;
    });
}

#[test]
fn one_tool_reaches_every_other_operation() {
    app(|app| async move {
        app.airports().await;
        let client = Client::of(&app);
        let tools = client.tools().await;
        let tool = tools.iter().find(|tool| tool["name"] == OTHERS).unwrap();
        let about = tool["description"].as_str().unwrap();
        for operation in operations().filter(|operation| !operation.default_tool) {
            assert!(about.contains(operation.name), "{about}");
        }
        let contents = client.data(OTHERS, json!({})).await;
        assert_eq!(contents.as_array().unwrap().len(), CATALOGUE.len());
        let told = client.data(OTHERS, json!({"operation": "list_runs"})).await;
        assert_eq!(told["arguments_schema"]["required"], json!(["table"]));
        for name in ["list_runs", "hypertab_list_runs"] {
            let call = json!({"operation": name, "arguments": {"table": "airports"}});
            assert_eq!(client.data(OTHERS, call).await, json!([]));
        }
        // Toolsets are about context, not about leave: its own name works as well.
        assert_eq!(
            client.data("hypertab_list_runs", json!({"table": "airports"})).await,
            json!([])
        );

        let wrong = [
            (json!({"operation": "list_rnus"}), "TOOL_NOT_FOUND", "hypertab_list_runs"),
            (json!({"operation": 7}), "VALIDATION_ERROR", "operation: 7"),
            (json!({"arguments": {}}), "VALIDATION_ERROR", "operation: is required"),
            (json!({"operation": "list_runs", "arguments": []}), "VALIDATION_ERROR", "arguments:"),
            (json!({"operation": "list_runs", "table": "airports"}), "VALIDATION_ERROR", "table:"),
        ];
        for (arguments, code, words) in wrong {
            client.call(OTHERS, arguments).await.refused(code, &[words]);
        }
    });
}

#[test]
fn resources_are_the_guide_the_tables_and_what_is_in_them() {
    app(|app| async move {
        app.airports().await;
        let client = Client::of(&app);
        let listed = client.result("resources/list", json!({})).await;
        assert_eq!(listed["resources"][0]["uri"], "hypertab://guide");
        assert_eq!(listed["resources"][1]["uri"], "hypertab://tables");
        let templates = client.result("resources/templates/list", json!({})).await;
        assert_eq!(templates["resourceTemplates"][1]["uriTemplate"], "hypertab://runs/{id}");

        let read = |uri: &'static str| {
            let client = client.clone();
            async move {
                let result = client.result("resources/read", json!({"uri": uri})).await;
                result["contents"][0].clone()
            }
        };
        let guide = read("hypertab://guide").await;
        assert_eq!(guide["mimeType"], "text/markdown");
        let guide = guide["text"].as_str().unwrap();
        // Every tool that the guide names exists.
        for name in guide.split('`').filter(|word| word.starts_with("hypertab_")) {
            let bare = name.trim_start_matches("hypertab_");
            assert!(
                name == OTHERS || operations().any(|operation| operation.name == bare),
                "{name}"
            );
        }
        let tables = read("hypertab://tables").await;
        assert!(tables["text"].as_str().unwrap().contains("airports"));
        for uri in
            ["hypertab://tables/airports", "hypertab://tables/1", "hypertab://tables/%61irports"]
        {
            let table: Json =
                serde_json::from_str(read(uri).await["text"].as_str().unwrap()).unwrap();
            assert_eq!(table["data"]["columns"][0]["name"], "iata", "{uri}");
        }
        for (uri, words) in [
            ("hypertab://tables/airprots", "airports"),
            ("hypertab://runs/99", "no run 99"),
            ("hypertab://runs/x", "not a whole number"),
            ("hypertab://nothing", "no resource"),
            ("hypertab://tables/", "no resource"),
            ("file:///etc/passwd", "no resource"),
        ] {
            let answer = client.ask("resources/read", json!({"uri": uri})).await;
            let message = answer["error"]["message"].as_str().unwrap();
            assert!(message.contains(words), "{uri}: {message}");
            assert!(answer["error"]["data"]["error"]["fix"].is_string(), "{uri}");
        }
    });
}
