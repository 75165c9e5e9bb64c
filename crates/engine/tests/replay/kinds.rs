//! Every kind that calls is recorded and replayed; what calls nobody is refused.

use paceline_clock::SimClock;
use paceline_engine::replay::Altered;
use paceline_engine::{AiProvider, Request};
use paceline_model::{ColumnType, NewItem, RunOptions, Scope, SmartKind};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Act, COLUMN, Case, InMemory, engine, record, replayed, status, table, value};

fn case(kind: SmartKind, column: ColumnType, config: Json) -> Case {
    Case { kind, column, config, rate_limit: crate::support::rate(4), ..Case::get(12) }
}

fn is_the_same(case: &Case, script: impl Fn(u32, &Request) -> Act + Send + Sync + 'static) {
    let run = record(case, script);
    let report = replayed(&case.files.read(), Altered::default()).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert_eq!((report.same, report.calls), (12, run.counts.calls));
    assert!(report.calls >= 12);
}

#[test]
fn a_webhook_and_what_became_unknown_of_it() {
    let config = json!({
        "provider": "webhook", "url": "https://in.example/hook", "body": {"n": "{{n}}"},
        "secret": "whsec_verysecret", "timeout_ms": 2000
    });
    let case = case(SmartKind::Integration, ColumnType::Boolean, config);
    is_the_same(&case, |_, request| {
        let body: Json = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
        if body["n"] == "5" { Act::Silence } else { status(200) }
    });
    assert!(case.files.text().contains("OUTCOME_UNKNOWN"));
    assert!(!case.files.text().contains("whsec_verysecret"));
}

#[test]
fn a_message_to_slack_over_an_address_that_is_a_secret() {
    let config = json!({
        "provider": "slack", "webhook_url": "https://hooks.slack.com/services/T000/B000/XXXXsecret",
        "text": "row {{n}}"
    });
    let case = case(SmartKind::Integration, ColumnType::Boolean, config);
    is_the_same(&case, |_, _| Act::Say(200, ("content-type", "text/html"), "ok".to_owned(), 10));
    assert!(!case.files.text().contains("B000"));
}

#[test]
fn a_waterfall_asks_its_sources_again_in_turn() {
    let config = json!({"sources": [
        {"name": "a", "url": "https://a.example/{{n}}", "headers": {"x-api-key": "key-of-a-1"}},
        {"name": "b", "url": "https://b.example/{{n}}", "extract": "$.v"},
    ]});
    let case = case(SmartKind::Waterfall, ColumnType::Json, config);
    is_the_same(&case, |_, request| match request.url.host_str() {
        Some("a.example") => status(404),
        _ => value(&json!({"v": request.url.path()})),
    });
    let sources: Vec<_> = case.files.read().calls.iter().map(|call| call.source.clone()).collect();
    assert_eq!(sources.iter().filter(|source| source.as_deref() == Some("b")).count(), 12);
    assert!(!case.files.text().contains("key-of-a-1"));
}

#[test]
fn a_question_to_a_model_and_a_changed_prompt() {
    let config = json!({
        "provider": "openai", "api_key": "sk-very-secret", "model": "m-1", "prompt": "Where is {{word}}?"
    });
    let case = case(SmartKind::Ai, ColumnType::Text, config.clone());
    is_the_same(&case, |_, request| {
        assert!(
            request.headers.iter().any(|(_, value)| value.as_bytes().ends_with(b"sk-very-secret"))
        );
        value(&json!({
            "choices": [{"message": {"content": "there"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        }))
    });
    assert!(!case.files.text().contains("sk-very-secret"));
    let mut other = config;
    other["prompt"] = json!("In which country is {{word}}?");
    other["api_key"] = json!("********");
    let altered = Altered { config: Some(other), ..Altered::default() };
    let report = replayed(&case.files.read(), altered).unwrap();
    assert_eq!(report.not_recorded, 12, "{report:#?}");
}

#[test]
fn a_stored_provider_is_replayed_under_its_label_without_its_key() {
    let config = json!({"provider": "ours", "model": "m-1", "prompt": "Where is {{word}}?"});
    let case = case(SmartKind::Ai, ColumnType::Text, config);
    let played = case.clone();
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, Some(&played.files), |_, _| {
            value(&json!({"choices": [{"message": {"content": "there"}, "finish_reason": "stop"}]}))
        });
        let base_url = "https://api.groq.com/openai/v1".to_owned();
        let key = AiProvider::seal_key(
            engine.sealer().unwrap(),
            "gsk_in-the-vault",
            &base_url.parse().unwrap(),
        );
        let body = AiProvider {
            provider: "groq".to_owned(),
            base_url,
            key: key.unwrap(),
            ends: String::new(),
            default_since_micros: None,
            models: Vec::new(),
            tested_at_micros: None,
        };
        let (name, body) = ("ours".to_owned(), body.to_json());
        engine
            .store()
            .create_item(NewItem { kind: AiProvider::KIND, table: None, name, body })
            .await
            .unwrap();
        let table = table(&engine, &played).await;
        assert_eq!(crate::support::run(&engine, &table).await.counts.completed, 12);
    });
    assert!(!case.files.text().contains("in-the-vault"));
    let report = replayed(&case.files.read(), Altered::default()).unwrap();
    assert!(report.is_same() && report.same == 12, "{report:#?}");
}

#[test]
fn what_cannot_be_replayed_is_not_recorded_and_no_run_is_left_behind() {
    let refused = |case: Case, files: Option<InMemory>| {
        SimClock::new().run(|clock| async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, files.as_ref(), |_, _| status(200));
            let table = table(&engine, &case).await;
            let options = RunOptions { record: true, ..RunOptions::default() };
            let error =
                engine.start_runs(&table, &[COLUMN], Scope::All, options).await.unwrap_err();
            assert!(engine.store().runs(table.id, 10).await.unwrap().is_empty());
            error.to_string()
        })
    };
    let local = Case {
        rate_limit: Json::Null,
        ..case(SmartKind::Formula, ColumnType::Number, json!({"formula": "n + 1"}))
    };
    let of_ids = Case::get(2).config(json!({
        "url": "https://vendor.example/{{n}}", "run_if": {"_ht_id": {"lte": 3}}
    }));
    let cases = [
        (local, Some(InMemory::default()), "calls nobody"),
        (of_ids, Some(InMemory::default()), "_ht_id"),
        (Case::get(2), None, "nothing here keeps recordings"),
    ];
    for (case, files, wanted) in cases {
        let error = refused(case, files);
        assert!(error.starts_with("record: ") && error.contains(wanted), "{error}");
    }
}
