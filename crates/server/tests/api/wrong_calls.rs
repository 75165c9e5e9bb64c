//! Wrong calls that an agent might make. Each is answered with a code, with what to do instead, and with hints that work
//! when they are called. The table is for every face: over MCP the same calls get the same answers.

use http::Method;
use paceline_server::{Operation, Place, operations};
use serde_json::{Map, Value as Json, json};

use crate::support::{Answer, TestApp, app, request};

/// A call and what is wrong with it.
pub(crate) struct WrongCall {
    pub(crate) operation: &'static str,
    pub(crate) arguments: Json,
    /// The code of the error.
    pub(crate) code: &'static str,
    /// Words of its message.
    pub(crate) words: &'static [&'static str],
    /// What is suggested instead of a name.
    pub(crate) did_you_mean: Option<&'static str>,
}

/// The tables that the calls are about.
pub(crate) async fn fixture(app: &TestApp) {
    app.airports().await;
    app.near(json!("gentle")).await.ok();
    let columns = json!([
        {"name": "email", "type": "email"},
        {"name": "stage", "type": "select", "config": {"options": ["lead", "customer"]}},
        {"name": "price", "type": "number"},
    ]);
    for name in ["leads", "old"] {
        app.post("/api/tables", json!({"name": name, "columns": columns})).await.ok();
    }
    let rows = json!([{"email": "a@example.com", "price": 1}, {"email": "b@example.com"}]);
    app.post("/api/tables/leads/rows", json!({"rows": rows})).await.ok();
    app.send(request(Method::DELETE, "/api/tables/old?confirm=true", None)).await.ok();
}

fn wrong(
    operation: &'static str,
    arguments: Json,
    code: &'static str,
    words: &'static [&'static str],
) -> WrongCall {
    WrongCall { operation, arguments, code, words, did_you_mean: None }
}

impl WrongCall {
    fn meant(self, name: &'static str) -> Self {
        Self { did_you_mean: Some(name), ..self }
    }
}

pub(crate) fn wrong_calls() -> Vec<WrongCall> {
    let text = json!([{"name": "a", "type": "text"}]);
    let columns = |columns: Json| json!({"name": "t", "columns": columns});
    let rows = |row: Json| json!({"table": "leads", "rows": [row]});
    let near = |config: Json, rate: Json| {
        json!({
            "table": "airports", "name": "other", "type": "json", "kind": "http",
            "config": config, "rate_limit": rate,
        })
    };
    let many: Vec<Json> = (0..10_001).map(|n| json!({"price": n})).collect();
    let leads = |name: &str, value: Json| json!({"table": "leads", name: value});
    vec![
        wrong("query_rows", json!({"table": "airprots"}), "TABLE_NOT_FOUND", &["airprots"])
            .meant("airports"),
        wrong("get_table_schema", json!({"table": "old"}), "TABLE_DELETED", &["old", "deleted"]),
        wrong(
            "create_table",
            json!({"name": "leads", "columns": text}),
            "TABLE_ALREADY_EXISTS",
            &["leads"],
        ),
        wrong(
            "create_table",
            json!({"name": "My Leads", "columns": text}),
            "INVALID_TABLE_NAME",
            &["My Leads", "a-z"],
        ),
        wrong(
            "create_table",
            json!({"name": "_ht_x", "columns": text}),
            "RESERVED_PREFIX",
            &["_ht_"],
        ),
        wrong(
            "create_table",
            columns(json!([{"name": "a b", "type": "text"}])),
            "INVALID_COLUMN_NAME",
            &["columns[0].name"],
        ),
        wrong(
            "create_table",
            columns(json!([{"name": "a", "type": "text"}, {"name": "a", "type": "text"}])),
            "DUPLICATE_COLUMN",
            &["columns[1].name"],
        ),
        wrong(
            "create_table",
            columns(json!([{"name": "a", "type": "select"}])),
            "VALIDATION_ERROR",
            &["columns[0].config.options", "required"],
        ),
        wrong(
            "create_table",
            columns(json!([{"name": "a", "type": "txt"}])),
            "VALIDATION_ERROR",
            &["columns[0].type"],
        )
        .meant("text"),
        wrong(
            "add_column",
            json!({"table": "leads", "name": "email", "type": "text"}),
            "COLUMN_ALREADY_EXISTS",
            &["email"],
        ),
        wrong(
            "update_column",
            json!({"table": "leads", "column": "_ht_id", "name": "id"}),
            "SYSTEM_COLUMN_IMMUTABLE",
            &["_ht_id"],
        ),
        wrong(
            "delete_column",
            json!({"table": "airports", "column": "lat", "confirm": true}),
            "CONFLICT",
            &["near"],
        ),
        wrong(
            "insert_rows",
            rows(json!({"price": "12"})),
            "VALIDATION_ERROR",
            &["rows[0].price", "without quotes"],
        ),
        wrong(
            "insert_rows",
            rows(json!({"stage": "custmer"})),
            "VALIDATION_ERROR",
            &["did you mean \"customer\"?"],
        ),
        wrong(
            "insert_rows",
            rows(json!({"email": "nobody"})),
            "VALIDATION_ERROR",
            &["rows[0].email", "one @"],
        ),
        wrong(
            "insert_rows",
            rows(json!({"favourite": 1})),
            "COLUMN_NOT_FOUND",
            &["rows[0].favourite"],
        ),
        wrong(
            "insert_rows",
            rows(json!({"_ht_id": 1})),
            "SYSTEM_COLUMN_IMMUTABLE",
            &["rows[0]._ht_id"],
        ),
        wrong(
            "insert_rows",
            json!({"table": "airports", "rows": [{"near": 1}]}),
            "VALIDATION_ERROR",
            &["smart column"],
        ),
        wrong("insert_rows", leads("rows", json!(many)), "BATCH_TOO_LARGE", &["10001", "10000"]),
        wrong(
            "insert_rows",
            json!({"table": "leads", "rows": [], "upsert_by": ["mail"]}),
            "COLUMN_NOT_FOUND",
            &["mail"],
        )
        .meant("email"),
        wrong(
            "query_rows",
            leads("limit", json!(10_001)),
            "VALIDATION_ERROR",
            &["limit: 10001", "0 to 10000"],
        ),
        wrong("query_rows", leads("limti", json!(5)), "VALIDATION_ERROR", &["limti"])
            .meant("limit"),
        wrong("query_rows", leads("cursor", json!("abc")), "VALIDATION_ERROR", &["cursor"]),
        wrong(
            "query_rows",
            leads("where", json!({"price": {"greater": 5}})),
            "INVALID_FILTER",
            &["where.price", "gt"],
        ),
        wrong(
            "query_rows",
            leads("where", json!({"prcie": 5})),
            "INVALID_FILTER",
            &["where.prcie"],
        )
        .meant("price"),
        wrong(
            "query_rows",
            leads("where", json!("price > 5")),
            "INVALID_FILTER",
            &["where", "JSON"],
        ),
        wrong(
            "query_rows",
            leads("order_by", json!({"emial": "asc"})),
            "INVALID_FILTER",
            &["order_by.emial"],
        )
        .meant("email"),
        wrong("query_rows", leads("columns", json!(["emial"])), "COLUMN_NOT_FOUND", &["emial"])
            .meant("email"),
        wrong("get_row", leads("row", json!(999)), "ROW_NOT_FOUND", &["999"]),
        wrong(
            "update_rows",
            leads("values", json!({"price": 2})),
            "VALIDATION_ERROR",
            &["where: is required"],
        ),
        wrong(
            "update_rows",
            json!({"table": "leads", "where": {}, "values": {"price": 2}}),
            "CONFIRMATION_REQUIRED",
            &["all 2 rows"],
        ),
        wrong(
            "delete_rows",
            leads("where", json!({"price": 1})),
            "CONFIRMATION_REQUIRED",
            &["1 of the 2 rows"],
        ),
        wrong(
            "delete_rows",
            leads("confirm", json!(true)),
            "VALIDATION_ERROR",
            &["where: is required"],
        ),
        wrong("delete_rows", leads("ids", json!(["a"])), "VALIDATION_ERROR", &["ids: item 0"]),
        wrong(
            "delete_table",
            json!({"table": "leads"}),
            "CONFIRMATION_REQUIRED",
            &["2 rows", "30 days"],
        ),
        wrong(
            "delete_column",
            json!({"table": "leads", "column": "price"}),
            "CONFIRMATION_REQUIRED",
            &["price"],
        ),
        wrong("restore_table", json!({"table": "leads"}), "CONFLICT", &["not deleted"]),
        wrong(
            "run_column",
            json!({"table": "airports", "column": "lat"}),
            "VALIDATION_ERROR",
            &["not a smart column"],
        ),
        wrong(
            "add_smart_column",
            near(json!({"url": "https://x.example/{{iatta}}"}), json!("gentle")),
            "VALIDATION_ERROR",
            &["iatta"],
        )
        .meant("iata"),
        wrong(
            "add_smart_column",
            near(json!({"url": "http://169.254.169.254/"}), json!("gentle")),
            "BLOCKED_URL",
            &["config.url"],
        ),
        wrong(
            "add_smart_column",
            near(json!({"url": "https://x.example/"}), json!("agressive")),
            "VALIDATION_ERROR",
            &["rate_limit"],
        )
        .meant("aggressive"),
        wrong("get_run", json!({"run": 999}), "RUN_NOT_FOUND", &["999"]),
    ]
}

/// The call over REST.
async fn call(app: &TestApp, operation: &Operation, arguments: &Map<String, Json>) -> Answer {
    let mut path = operation.path.to_owned();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let mut body = Map::new();
    for (name, value) in arguments {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let field = operation.fields.iter().find(|field| field.name == name);
        match field.map(|field| field.place) {
            Some(Place::Path) => path = path.replace(&format!("{{{name}}}"), &text),
            Some(Place::Body) => drop(body.insert(name.clone(), value.clone())),
            Some(Place::Query) | None => {
                let text = match value {
                    // Names, with commas.
                    Json::Array(items) if name == "columns" => {
                        items[0].as_str().unwrap().to_owned()
                    }
                    _ => text,
                };
                query.append_pair(name, &text);
            }
        }
    }
    let method = operation.verb.as_str().parse().unwrap();
    let body = (!body.is_empty()).then(|| Json::Object(body).to_string());
    app.send(request(method, &format!("{path}?{}", query.finish()), body)).await
}

#[test]
fn each_wrong_call_is_answered_with_a_code_a_remedy_and_hints_that_work() {
    let calls = wrong_calls();
    assert!(calls.len() >= 20);
    for wrong in calls {
        app(|app| async move {
            fixture(&app).await;
            let operation = operations().find(|known| known.name == wrong.operation).unwrap();
            let answer = call(&app, operation, wrong.arguments.as_object().unwrap()).await;
            let status = answer.status.as_u16();
            let error = answer.refused(status, wrong.code, wrong.words);
            assert!((400..500).contains(&status), "{error:#}");
            assert_eq!(error["did_you_mean"].as_str(), wrong.did_you_mean, "{error:#}");
            assert!(error["fix"].as_str().unwrap().len() > 10, "{error:#}");
            assert!(error["attempted"].as_str().unwrap().starts_with(wrong.operation), "{error:#}");
            let hints = answer.body["hints"].as_array().unwrap();
            assert!(!hints.is_empty(), "{:#}", answer.body);
            for hint in hints {
                let method: Method = hint["method"].as_str().unwrap().parse().unwrap();
                let body = hint["body"].is_object().then(|| hint["body"].to_string());
                app.send(request(method, hint["path"].as_str().unwrap(), body)).await.ok();
            }
        });
    }
}
