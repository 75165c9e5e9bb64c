//! Configurations: what is refused when the column is made, whose key is used, and what is kept of it.

use paceline_clock::{Random, SimClock};
use paceline_engine::{AiProvider, Sealer};
use paceline_lab::{AiConfig, AiDialect};
use paceline_model::{ColumnType, NewItem, RunStatus, SmartKind};
use serde_json::{Value as Json, json};
use url::Url;

use crate::support::{COLUMN, World, config, rate};

#[test]
fn what_cannot_work_is_refused_with_its_field_before_anything_happens() {
    let with = |field: &str, value: Json| {
        let mut config = config(AiDialect::OpenAi, "Rate {{n}}");
        config[field] = value;
        config
    };
    let cases = [
        (json!(7), "config: must be an object"),
        (with("modle", json!("m")), "config.modle: there is no such field"),
        (with("model", json!("")), "config.model: must be text"),
        (with("prompt", Json::Null), "config.prompt: is required"),
        (with("prompt", json!("{{nn}}")), "config.prompt: "),
        (with("max_tokens", json!(0)), "config.max_tokens: must be from 1"),
        (with("max_tokens", json!("9")), "config.max_tokens: must be a whole number"),
        (with("temperature", json!(2.5)), "config.temperature: must be from 0 to 2"),
        (with("timeout_ms", json!(0)), "config.timeout_ms: must be from 1"),
        (with("api_key", json!("two words")), "config.api_key: is no key"),
        (with("api_key", json!(["top secret"])), "config.api_key: must be text"),
        (with("base_url", json!("http://vendor.example/v1")), "config.base_url: is http:"),
        (with("base_url", json!("https://127.0.0.1/v1")), "127.0.0.1"),
        (with("provider", json!("opnai")), "config.provider: is not one of"),
        (with("provider", json!("compatible")), "config.base_url: is required"),
        (with("output", json!({"fields": {"a": "text"}})), "config.output: gives an object"),
        (with("output", json!({"schema": {"type": "array"}})), "config.output.schema: must be"),
        (
            with("output", json!({"fields": {"a": "nubmer"}})),
            "config.output.fields.a: must be a type",
        ),
        (with("output", json!("json")), "config.output: must be"),
        (
            json!({"provider": "openai", "model": "m", "prompt": "p"}),
            "has no key: give config.api_key",
        ),
        (json!({"provider": "my key", "model": "m", "prompt": "p"}), "no stored provider"),
    ];
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let table = world.rows(1).await;
        for (config, problem) in cases {
            let fits = problem.contains("output") && !problem.contains("gives an object");
            let kind = if fits { ColumnType::Json } else { ColumnType::Text };
            let refused = world.add(&table, kind, &[], config.clone(), rate(&[], 1)).await;
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(problem) && !text.contains("secret"), "{config}: {text}");
        }
    });
}

#[test]
fn the_key_is_sealed_in_the_store_and_masked_to_people() {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let table = world.table(1, config(AiDialect::OpenAi, "Rate {{n}}"), rate(&[], 1)).await;
        let smart = table.column(COLUMN).unwrap().smart.as_ref().unwrap();
        assert_eq!(smart.kind, SmartKind::Ai);
        assert!(smart.config["api_key"].as_str().unwrap().starts_with("sealed:"));
        let shown = world.engine.masked_config(smart);
        assert_eq!(shown["api_key"], "********");
        // What was shown is sent back with another prompt: the key must be given again, and the column stays as it was.
        let sent_back = world.engine.update_smart_column(&table, COLUMN, Some(shown), None).await;
        let refused = sent_back.unwrap_err().to_string();
        assert!(refused.contains("config.api_key: is the mask"), "{refused}");
    });
}

#[test]
fn a_stored_provider_is_used_by_its_name_and_as_the_default_of_its_service() {
    SimClock::new().run(|clock| async move {
        let lab = AiConfig { keys: vec!["stored".to_owned()], ..AiConfig::default() };
        let world = World::new(lab, &clock);
        let base = Url::parse("https://api.anthropic.com/v1").unwrap();
        let sealer = Sealer::new(&[7; 32], Random::seeded(9));
        let body = AiProvider {
            provider: "anthropic".to_owned(),
            base_url: base.to_string(),
            key: AiProvider::seal_key(&sealer, "stored", &base).unwrap(),
            ends: String::new(),
            default_since_micros: None,
            models: Vec::new(),
            tested_at_micros: None,
        };
        let name = "our key".to_owned();
        let item = NewItem { kind: AiProvider::KIND, table: None, name, body: body.to_json() };
        world.engine.store().create_item(item).await.unwrap();
        let table = world.rows(2).await;
        for (column, provider) in [("our key", "our key"), ("the default", "anthropic")] {
            let config = json!({"provider": provider, "model": "m", "prompt": "Rate {{n}}"});
            let table =
                world.add(&table, ColumnType::Text, &[], config, rate(&[], 1)).await.unwrap();
            let run = world.run(&table).await;
            assert_eq!(run.status, RunStatus::Completed, "{column}: {:?}", run.reason);
            let id = table.column(COLUMN).unwrap().id;
            world.engine.store().delete_column(id).await.unwrap();
        }
        assert_eq!(world.stats(AiDialect::Anthropic).served, 4);
    });
}

#[test]
fn limits_of_tokens_are_taken_by_ai_and_refused_by_http() {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let table = world.rows(1).await;
        let limits = rate(&["60000 tokens/min"], 1);
        let asked = config(AiDialect::Google, "{{n}}");
        assert!(world.add(&table, ColumnType::Text, &[], asked, limits).await.is_ok());
    });
}
