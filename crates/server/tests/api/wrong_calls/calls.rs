//! The wrong calls.

use serde_json::{Value as Json, json};

use super::WrongCall;

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
            json!({"table": "airports", "rows": [], "upsert_by": ["near"]}),
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
