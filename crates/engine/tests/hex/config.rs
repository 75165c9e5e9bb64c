//! What a column of kind `integration` may be, and what is told of one that may not.

use std::sync::Arc;

use paceline_clock::SimClock;
use paceline_engine::{Engine, Error, IntegrationSpec};
use paceline_lab::{HexConfig, HexVendor};
use paceline_model::{Scope, SmartKind, Table};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{COLUMN, TokenFile, add_column, config, engine, jobs, table};

/// Runs a case with an engine and a table of one row.
fn with_jobs(case: impl AsyncFnOnce(Engine, Table)) {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let vendor = Arc::new(HexVendor::new(HexConfig::default(), clock.clone()).unwrap());
        let engine = engine(&store, &clock, &vendor, TokenFile::of("token"));
        let table = jobs(&engine, 1).await;
        case(engine, table).await;
    });
}

#[test]
fn a_wrong_configuration_is_refused_by_field_before_anything_is_stored() {
    let cases = [
        (json!([]), "config"),
        (json!({"project": "p"}), "config.provider"),
        (json!({"provider": "hexx", "project": "p"}), "config.provider"),
        (json!({"provider": "hex"}), "config.project"),
        (config(json!({"project": "{{projct_id}}"})), "config.project"),
        (config(json!({"params": {"n": "{{m}}"}})), "config.params.n"),
        (config(json!({"params": {"n": {"deep": ["{{n"]}}})), "config.params.n"),
        (config(json!({"params": [1]})), "config.params"),
        (config(json!({"params": "{{nowhere}}"})), "config.params"),
        (config(json!({"view_id": "v"})), "config"),
        (config(json!({"update_published_results": true})), "config"),
        (config(json!({"use_cached_sql_results": "false"})), "config.use_cached_sql_results"),
        (config(json!({"poll_intervall_ms": 5})), "config.poll_intervall_ms"),
        (config(json!({"poll_interval_ms": "5"})), "config.poll_interval_ms"),
        (config(json!({"poll_interval_ms": 0})), "config"),
        (config(json!({"conflict": "ignore"})), "config.conflict"),
        (config(json!({"trigger_limits": ["1/s"]})), "config.trigger_limits"),
        (config(json!({"min_spacing_ms": 5})), "config.min_spacing_ms"),
        (config(json!({"token": 5})), "config.token"),
        (config(json!({"token": "********"})), "config.token"),
    ];
    with_jobs(async |engine, table| {
        for (config, wanted) in cases {
            let error = add_column(&engine, &table, config.clone(), Json::Null).await.unwrap_err();
            let Error::Config { field, .. } = &error else { panic!("{config}: {error}") };
            assert_eq!(field, wanted, "{config}: {error}");
        }
        let table = engine.store().table("jobs").await.unwrap().unwrap();
        assert!(table.column(COLUMN).is_none());
    });
}

#[test]
fn what_was_probably_meant_is_told() {
    let cases = [
        (json!({"provider": "hexx", "project": "p"}), "hex"),
        (config(json!({"poll_intervall_ms": 5})), "poll_interval_ms"),
        (config(json!({"parms": {}})), "params"),
        (config(json!({"project": "{{projct_id}}"})), "project_id"),
    ];
    with_jobs(async |engine, table| {
        for (config, wanted) in cases {
            let error = add_column(&engine, &table, config, Json::Null).await.unwrap_err();
            let Error::Config { did_you_mean, .. } = &error else { panic!("{error}") };
            assert_eq!(did_you_mean.as_deref(), Some(wanted), "{error}");
        }
    });
}

#[test]
fn a_wrong_rate_is_refused_by_field() {
    let cases = [
        (json!("gentle"), "presets"),
        (json!({"max_retries": 3}), "config.retry"),
        (json!({"limits": []}), "at least one limit"),
        (json!({"budget": "hex"}), "share their limits by themselves"),
        (json!({"limits": ["20/fortnight"]}), "limits[0]"),
        (json!({"limits": ["90000 tokens/min"]}), "tokens"),
        (json!({"max_concurrent": 0}), "max_concurrent"),
        (json!({"min_spacing_ms": -1}), "min_spacing_ms"),
    ];
    with_jobs(async |engine, table| {
        for (rate, wanted) in cases {
            let error = add_column(&engine, &table, config(json!({})), rate).await.unwrap_err();
            assert!(matches!(error, Error::Rate(_)), "{error}");
            assert!(error.to_string().contains(wanted), "{error}");
        }
    });
}

#[test]
fn a_private_address_needs_the_operator() {
    with_jobs(async |engine, table| {
        let config = config(json!({"base_url": "http://127.0.0.1:8899"}));
        let error = add_column(&engine, &table, config, Json::Null).await.unwrap_err();
        assert_eq!(error.code(), "BLOCKED_URL", "{error}");
    });
}

#[test]
fn a_token_is_sealed_in_the_store_and_masked_for_whoever_reads_the_config() {
    with_jobs(async |engine, table| {
        let config = config(json!({"token": "hxtp_0123456789"}));
        let column = add_column(&engine, &table, config, Json::Null).await.unwrap();
        let smart = column.smart.unwrap();
        assert_eq!(smart.kind, SmartKind::Integration);
        assert!(!smart.config.to_string().contains("0123456789"), "{}", smart.config);
        let masked = engine.masked_config(&smart);
        assert_eq!((&masked["token"], &masked["provider"]), (&json!("********"), &json!("hex")));
    });
}

#[test]
fn a_column_without_any_token_does_not_run() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let config_of_none = paceline_engine::EngineConfig::default();
        let random = paceline_clock::Random::seeded(1);
        let engine = Engine::new(store, clock, random, config_of_none);
        let table = table(&engine, 1, config(json!({})), Json::Null).await;
        let error = engine.start_run(&table, COLUMN, Scope::All).await.unwrap_err();
        assert!(error.to_string().contains("config.token"), "{error}");
    });
}

#[test]
fn what_changes_the_job_changes_the_identity_and_nothing_else_does() {
    let identity = |more: Json| IntegrationSpec::from_json(&config(more)).unwrap().identity();
    let plain = identity(json!({}));
    for same in [
        json!({"token": "t"}),
        json!({"poll_interval_ms": 9_000}),
        json!({"conflict": "fail", "retry": {"retries": 9}}),
    ] {
        assert_eq!(identity(same.clone()), plain, "{same}");
    }
    for other in [
        json!({"project": "{{n}}"}),
        json!({"params": {"n": "{{n}}", "m": 1}}),
        json!({"params": "{{n}}"}),
        json!({"base_url": "https://eu.hex.tech"}),
        json!({"use_cached_sql_results": false}),
        json!({"notifications": [{"type": "ALL"}]}),
    ] {
        assert_ne!(identity(other.clone()), plain, "{other}");
    }
}
