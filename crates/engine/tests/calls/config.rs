//! Configurations that are refused by their field before anything is stored, and such as come back as they were given.

use paceline_clock::SimClock;
use paceline_engine::Error;
use paceline_model::{ColumnType, SmartKind};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Vendors, engine, says, smart, table};

const INTEGRATION: SmartKind = SmartKind::Integration;

fn refused(kind: SmartKind, config: Json, rate_limit: Json, of: ColumnType) -> Error {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(0, |_, _| says(200, ""));
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let ok = json!({"provider": "webhook", "url": "https://v.example/", "body": "x"});
        let table = table(&engine, 1, smart(INTEGRATION, ok, Json::Null, of)).await;
        let mut spec = smart(kind, config, rate_limit, of);
        spec.name = "other".to_owned();
        engine.add_smart_column(&table, spec).await.unwrap_err()
    })
}

#[test]
fn a_wrong_configuration_is_refused_by_its_field() {
    let webhook = |more: Json| {
        merged(json!({"provider": "webhook", "url": "https://v.example/", "body": "x"}), more)
    };
    let posts = |more: Json| {
        merged(json!({"provider": "slack", "token": "xoxb-1", "channel": "C", "text": "x"}), more)
    };
    let source = json!({"name": "a", "url": "https://v.example/"});
    let waterfall = |sources: Json| json!({"sources": sources});
    let cases = [
        (
            INTEGRATION,
            json!({"provider": "webhok", "url": "https://v.example/"}),
            "config.provider",
        ),
        (INTEGRATION, json!({"provider": "webhook", "url": "https://v.example/"}), "config.body"),
        (INTEGRATION, webhook(json!({"body": "{{nowhere}}"})), "config.body"),
        (INTEGRATION, webhook(json!({"secret": ""})), "config.secret"),
        (INTEGRATION, webhook(json!({"secret": "********"})), "config.secret"),
        (INTEGRATION, webhook(json!({"secret": 5})), "config.secret"),
        (INTEGRATION, webhook(json!({"method": "GET"})), "config.method"),
        (INTEGRATION, webhook(json!({"extract": "mail"})), "config.extract"),
        (INTEGRATION, json!({"provider": "slack", "text": "x"}), "config.webhook_url"),
        (INTEGRATION, posts(json!({"webhook_url": "https://hooks.example/a/b"})), "config.token"),
        (INTEGRATION, posts(json!({"channel": null})), "config.channel"),
        (INTEGRATION, posts(json!({"text": " "})), "config.text"),
        (INTEGRATION, posts(json!({"blocks": {}})), "config.blocks"),
        (INTEGRATION, posts(json!({"txt": "x"})), "config.txt"),
        (INTEGRATION, posts(json!({"token": "********"})), "config.token"),
        (SmartKind::Waterfall, json!({}), "config.sources"),
        (SmartKind::Waterfall, waterfall(json!([])), "config.sources"),
        (SmartKind::Waterfall, waterfall(json!([source, source])), "config.sources[1].name"),
        (
            SmartKind::Waterfall,
            waterfall(json!([{"url": "https://v.example/"}])),
            "config.sources[0].name",
        ),
        (SmartKind::Waterfall, waterfall(json!([{"name": "a"}])), "config.sources[0].url"),
        (
            SmartKind::Waterfall,
            waterfall(json!([{"name": "a", "url": "https://v.example/{{nowhere}}"}])),
            "config.sources[0].url",
        ),
        (
            SmartKind::Waterfall,
            waterfall(json!([{"name": "a", "url": "https://v.example/", "rate_limit": "slow"}])),
            "config.sources[0].rate_limit",
        ),
        (SmartKind::Waterfall, json!({"sources": [source], "until": "found"}), "config.until"),
        (
            SmartKind::Waterfall,
            waterfall(
                (0..17)
                    .map(|n| json!({"name": n.to_string(), "url": "https://v.example/"}))
                    .collect(),
            ),
            "config.sources",
        ),
    ];
    for (kind, config, wanted) in cases {
        let rate = if kind == SmartKind::Waterfall { "gentle".into() } else { Json::Null };
        let error = refused(kind, config.clone(), rate, ColumnType::Boolean);
        let Error::Config { field, .. } = &error else { panic!("{config}: {error}") };
        assert_eq!(field, wanted, "{config}: {error}");
    }
}

#[test]
fn a_type_that_holds_no_message_is_refused() {
    let posts = json!({"provider": "slack", "token": "xoxb-1", "channel": "C", "text": "x"});
    let error = refused(INTEGRATION, posts, Json::Null, ColumnType::Number);
    assert!(matches!(&error, Error::Config { field, .. } if field == "type"), "{error}");
}

fn merged(mut json: Json, more: Json) -> Json {
    let fields = json.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    json
}
