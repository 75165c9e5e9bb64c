//! `/api/tables/{table}/smart-columns` and `.../{column}`.

use serde_json::{Value as Json, json};

use crate::support::{TestApp, app};

const PATH: &str = "/api/tables/airports/smart-columns";

/// The custom object of the seed, word for word.
fn seed_rate() -> Json {
    json!({
        "requests_per_second": 10,
        "max_concurrent": 5,
        "retry_strategy": "exponential",
        "max_retries": 3,
        "retry_delay_ms": 1000,
        "cool_down_on_429": true
    })
}

fn enriched(rate_limit: Option<Json>) -> Json {
    let mut body = json!({
        "name": "enriched",
        "type": "json",
        "kind": "http",
        "config": {"url": "https://vendor.example/{{iata}}"},
    });
    if let Some(rate_limit) = rate_limit {
        body["rate_limit"] = rate_limit;
    }
    body
}

async fn shown(app: &TestApp) -> Json {
    let table = app.get("/api/tables/airports").await;
    table.ok()["columns"][3]["smart"].clone()
}

#[test]
fn presets_and_the_custom_object_go_in_and_come_out_unchanged() {
    let presets = ["aggressive", "moderate", "conservative", "gentle"].map(Json::from);
    for rate in presets.into_iter().chain([seed_rate()]) {
        app(|app| async move {
            app.airports().await;
            let added = app.post(PATH, enriched(Some(rate.clone()))).await;
            assert_eq!(added.ok()["smart"]["rate_limit"], rate);
            assert_eq!(shown(&app).await["rate_limit"], rate);
            assert_eq!(added.body["hints"][0]["path"], "/api/tables/airports/columns/enriched/run");
        });
    }
}

#[test]
fn the_rate_is_conservative_if_none_is_given() {
    app(|app| async move {
        app.airports().await;
        app.post(PATH, enriched(None)).await.ok();
        assert_eq!(shown(&app).await["rate_limit"], "conservative");
    });
}

#[test]
fn each_wrong_field_of_the_rate_has_its_own_message() {
    let cases = [
        ("requests_per_second", json!(0.05), vec!["0.05", "0.1 to 1000"]),
        ("requests_per_second", json!(1001), vec!["1001", "0.1 to 1000"]),
        ("requests_per_second", json!("10"), vec!["\"10\"", "number"]),
        ("max_concurrent", json!(7), vec!["7", "1 to 6"]),
        ("max_concurrent", json!(0), vec!["0", "1 to 6"]),
        ("max_concurrent", json!(1.5), vec!["1.5", "whole number"]),
        (
            "retry_strategy",
            json!("exponentail"),
            vec!["exponentail", "exponential", "linear", "fixed"],
        ),
        ("max_retries", json!(11), vec!["11", "0 to 10"]),
        ("max_retries", json!(-1), vec!["-1", "0 to 10"]),
        ("retry_delay_ms", json!(99), vec!["99", "100 to 60000"]),
        ("retry_delay_ms", json!(60_001), vec!["60001", "100 to 60000"]),
        ("cool_down_on_429", json!("yes"), vec!["yes", "true or false"]),
        ("cool_down_on_429", Json::Null, vec!["null", "true or false"]),
        ("limits", json!(["20/min", "90000 tokens/min"]), vec!["90000 tokens/min", "its calls"]),
    ];
    app(|app| async move {
        app.airports().await;
        for (field, value, words) in cases {
            let mut rate = seed_rate();
            rate[field] = value;
            let answer = app.post(PATH, enriched(Some(rate))).await;
            let path = format!("rate_limit.{field}");
            let error = answer.refused(400, "VALIDATION_ERROR", &[&path]);
            assert_eq!(error["details"][0]["field"], path.as_str());
            let problem = error["details"][0]["problem"].as_str().unwrap();
            assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
        }
        assert_eq!(shown(&app).await, Json::Null, "nothing was added");
    });
}

#[test]
fn each_missing_and_each_misspelt_field_of_the_rate_has_its_own_message() {
    app(|app| async move {
        app.airports().await;
        let fields: Vec<String> = seed_rate().as_object().unwrap().keys().cloned().collect();
        for field in &fields {
            let mut rate = seed_rate();
            rate.as_object_mut().unwrap().shift_remove(field);
            let answer = app.post(PATH, enriched(Some(rate))).await;
            answer.refused(400, "VALIDATION_ERROR", &[&format!("rate_limit.{field}: is required")]);
        }
        let mut rate = seed_rate();
        rate["max_concurent"] = json!(5);
        let answer = app.post(PATH, enriched(Some(rate))).await;
        let error = answer.refused(400, "VALIDATION_ERROR", &["rate_limit.max_concurent"]);
        assert_eq!(error["did_you_mean"], "max_concurrent");

        let answer = app.post(PATH, enriched(Some(json!("agressive")))).await;
        let error = answer.refused(400, "VALIDATION_ERROR", &["rate_limit", "agressive"]);
        assert_eq!(error["did_you_mean"], "aggressive");

        let answer = app.post(PATH, enriched(Some(json!({})))).await;
        let error = answer.refused(400, "VALIDATION_ERROR", &[]);
        assert_eq!(error["details"].as_array().unwrap().len(), 6, "all at once");
    });
}

#[test]
fn a_wrong_config_is_named_by_field() {
    let cases = [
        (
            json!({"url": "https://vendor.example/{{itaa}}"}),
            400,
            "VALIDATION_ERROR",
            vec!["config.url", "itaa"],
        ),
        (
            json!({"url": "https://vendor.example/{{iata"}),
            400,
            "VALIDATION_ERROR",
            vec!["config.url"],
        ),
        (json!({"ulr": "https://vendor.example"}), 400, "VALIDATION_ERROR", vec!["config.ulr"]),
        (json!({}), 400, "VALIDATION_ERROR", vec!["config", "url"]),
        (
            json!({"url": "vendor.example/x"}),
            400,
            "VALIDATION_ERROR",
            vec!["config.url", "https://"],
        ),
        (json!({"url": "ftp://vendor.example/x"}), 400, "BLOCKED_URL", vec!["config.url", "ftp"]),
        (
            json!({"url": "http://169.254.169.254/latest"}),
            400,
            "BLOCKED_URL",
            vec!["169.254.169.254", "credentials"],
        ),
        (
            json!({"url": "https://v.example", "method": "FETCH"}),
            400,
            "VALIDATION_ERROR",
            vec!["config.method", "FETCH"],
        ),
        (
            json!({"url": "https://v.example", "extract": "$["}),
            400,
            "VALIDATION_ERROR",
            vec!["config.extract"],
        ),
        (
            json!({"url": "https://v.example", "timeout_ms": 0}),
            400,
            "VALIDATION_ERROR",
            vec!["config.timeout_ms"],
        ),
    ];
    app(|app| async move {
        app.airports().await;
        for (config, status, code, words) in cases {
            let mut body = enriched(None);
            body["config"] = config;
            app.post(PATH, body).await.refused(status, code, &words);
        }
    });
}

#[test]
fn wrong_names_types_and_kinds_are_refused() {
    app(|app| async move {
        app.airports().await;
        let with = |field: &str, value: Json| {
            let mut body = enriched(None);
            body[field] = value;
            body
        };
        let cases = [
            (with("name", json!("iata")), 409, "COLUMN_ALREADY_EXISTS", "iata"),
            (with("name", json!("Enriched")), 400, "INVALID_COLUMN_NAME", "Enriched"),
            (with("name", json!("_ht_x")), 400, "RESERVED_PREFIX", "_ht_"),
            (with("type", json!("jsn")), 400, "VALIDATION_ERROR", "did you mean \"json\"?"),
            (with("kind", json!("htttp")), 400, "VALIDATION_ERROR", "did you mean \"http\"?"),
            (with("config", json!("x")), 400, "VALIDATION_ERROR", "config: \"x\" is not an object"),
            (
                with("ratelimit", json!("gentle")),
                400,
                "VALIDATION_ERROR",
                "did you mean \"rate_limit\"?",
            ),
        ];
        for (body, status, code, word) in cases {
            app.post(PATH, body).await.refused(status, code, &[word]);
        }
        app.post("/api/tables/airprots/smart-columns", enriched(None)).await.refused(
            404,
            "TABLE_NOT_FOUND",
            &[],
        );
    });
}

#[test]
fn a_part_of_a_column_is_replaced_and_the_rest_stays() {
    app(|app| async move {
        app.airports().await;
        app.post(PATH, enriched(Some(json!("gentle")))).await.ok();
        let path = format!("{PATH}/enriched");

        app.patch(&path, json!({"rate_limit": seed_rate()})).await.ok();
        let smart = shown(&app).await;
        assert_eq!(
            (&smart["rate_limit"], &smart["config"]["url"]),
            (&seed_rate(), &json!("https://vendor.example/{{iata}}"))
        );

        let config = json!({"url": "https://vendor.example/v2/{{iata}}"});
        app.patch(&path, json!({"config": config})).await.ok();
        let smart = shown(&app).await;
        assert_eq!((&smart["rate_limit"], &smart["config"]), (&seed_rate(), &config));

        app.patch(&path, json!({})).await.refused(400, "VALIDATION_ERROR", &["nothing to change"]);
        app.patch(&path, json!({"rate_limit": "fast"})).await.refused(
            400,
            "VALIDATION_ERROR",
            &["rate_limit"],
        );
        app.patch(&path, json!({"config": {"url": "{{enriched}}"}})).await.refused(
            400,
            "VALIDATION_ERROR",
            &["config.url"],
        );
        let data = app.patch(&format!("{PATH}/iata"), json!({"rate_limit": "gentle"})).await;
        data.refused(400, "VALIDATION_ERROR", &["iata", "not a smart column"]);
        let missing = app.patch(&format!("{PATH}/enrichd"), json!({"rate_limit": "gentle"})).await;
        assert_eq!(missing.refused(404, "COLUMN_NOT_FOUND", &[])["did_you_mean"], "enriched");
    });
}

#[test]
fn secrets_go_in_and_never_come_out_nor_the_mask_in() {
    const SECRET: &str = "Bearer vendor-secret-123";
    app(|app| async move {
        app.airports().await;
        let mut body = enriched(None);
        body["config"]["headers"] = json!({"Authorization": SECRET, "Accept": "application/json"});
        let added = app.post(PATH, body).await;
        let config = added.ok()["smart"]["config"].clone();
        assert!(!added.body.to_string().contains("vendor-secret"));
        assert_eq!(config["headers"]["Accept"], "application/json");
        assert_ne!(config["headers"]["Authorization"], SECRET);

        // What was read, changed and sent back carries the mask.
        let mut changed = config.clone();
        changed["url"] = json!("https://elsewhere.example/{{iata}}");
        let answer = app.patch(&format!("{PATH}/enriched"), json!({"config": changed})).await;
        answer.refused(400, "VALIDATION_ERROR", &["config.headers.Authorization", "mask"]);
        assert_eq!(shown(&app).await["config"], config, "nothing was changed");

        changed["headers"]["Authorization"] = json!(SECRET);
        let answer = app.patch(&format!("{PATH}/enriched"), json!({"config": changed})).await;
        assert_eq!(answer.ok()["smart"]["config"]["url"], changed["url"]);
        assert!(!answer.body.to_string().contains("vendor-secret"));
    });
}

#[test]
fn a_column_of_kind_integration_goes_in_and_shows_no_token() {
    app(|app| async move {
        app.airports().await;
        let body = |config: Json| json!({"name": "run", "type": "json", "kind": "integration", "config": config});
        let config = json!({"provider": "hex", "project": "{{iata}}", "token": "hxtp_0123456789"});
        let added = app.post(PATH, body(config.clone())).await;
        assert_eq!(added.ok()["smart"]["config"]["token"], "********");
        let shown = shown(&app).await;
        assert_eq!((&shown["kind"], &shown["rate_limit"]), (&json!("integration"), &Json::Null));
        assert_eq!(shown["config"]["project"], "{{iata}}");

        let mut masked = config;
        masked["token"] = json!("********");
        let path = format!("{PATH}/run");
        let refused = app.patch(&path, json!({"config": masked})).await;
        refused.refused(400, "VALIDATION_ERROR", &["config.token", "mask"]);
    });
}
