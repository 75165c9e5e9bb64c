//! Columns that call webhooks, against the lab's receiver: it checks who signed and when, and counts what takes effect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use paceline_clock::SimClock;
use paceline_lab::{VendorConfig, WebhookCall, WebhookConfig, WebhookReceiver, WebhookStats};
use paceline_model::{ColumnType, Run, RunStatus, Scope, SmartKind};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::lab::Line;
use crate::support::{COLUMN, engine_over, rate, smart, states, table};

const SECRET: &str = "whsec_0123456789";

/// What came of a column.
struct Came {
    run: Run,
    states: BTreeMap<&'static str, u64>,
    stats: WebhookStats,
    calls: Vec<WebhookCall>,
}

/// Runs a column that signs with `secret` over so many rows, against a receiver that asks for [`SECRET`].
fn run(vendor: VendorConfig, rows: usize, secret: &str, rate: Json) -> Came {
    let secret = secret.to_owned();
    SimClock::new().run(|clock| async move {
        let config =
            WebhookConfig { vendor, secrets: vec![SECRET.to_owned()], ..WebhookConfig::default() };
        let receiver = Arc::new(WebhookReceiver::new(config, clock.clone()).unwrap());
        let line = Line { vendor: Arc::clone(&receiver), clock: clock.clone() };
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine_over(&store, &clock, Arc::new(line));
        let config = json!({
            "provider": "webhook", "url": "https://hooks.example/webhook", "secret": secret,
            "body": {"n": "{{n}}", "who": "{{name}}"}
        });
        let spec = smart(SmartKind::Integration, config, rate, ColumnType::Boolean);
        let table = table(&engine, rows, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        Came {
            run: engine.wait(run.id).await.unwrap(),
            states: states(&engine, &table).await,
            stats: receiver.stats(),
            calls: receiver.calls(),
        }
    })
}

#[test]
fn each_call_is_signed_when_it_leaves_so_that_a_slow_rate_makes_none_stale() {
    // The tenth leaves nine minutes after the first; a signature is good for five.
    let slow = json!({
        "limits": ["1/min"], "max_concurrent": 4, "retry_strategy": "fixed", "max_retries": 0,
        "retry_delay_ms": 1000, "cool_down_on_429": true
    });
    let vendor = VendorConfig { limits: vec!["1/min".parse().unwrap()], ..VendorConfig::default() };
    let came = run(vendor, 10, SECRET, slow);
    assert_eq!(came.states, [("completed", 10)].into(), "{:?}", came.run.reason);
    let WebhookStats { calls, signed, unsigned, forged, stale } = came.stats;
    assert_eq!((signed, unsigned, forged, stale), (10, 0, 0, 0));
    assert_eq!((calls.refused, calls.served, calls.duplicates, calls.keys), (0, 10, 0, 10));
    let bodies: BTreeSet<String> = came.calls.into_iter().map(|call| call.body).collect();
    let wanted =
        (1..=10).map(|n| json!({"n": n.to_string(), "who": format!("<row {n}> & co")}).to_string());
    assert_eq!(bodies, wanted.collect());
}

#[test]
fn a_wrong_secret_trips_the_breaker_and_nothing_takes_effect() {
    let came = run(VendorConfig::default(), 50, "whsec_of_somebody_else", rate(1));
    assert_eq!((came.run.status, came.run.counts.failed), (RunStatus::Paused, 0));
    assert_eq!((came.stats.forged, came.stats.calls.served), (3, 0));
}

#[test]
fn lost_answers_and_errors_leave_each_key_with_one_effect_at_most() {
    for (seed, law) in [
        (1, "drop:0.1,500:0.1"),
        (2, "429-after=1:0.2,503-after=1:0.1"),
        (3, "hang:0.02,reset:0.1"),
    ] {
        let vendor = VendorConfig {
            faults: law.parse().unwrap(),
            seed,
            net: "1..40".parse().unwrap(),
            service: "exp:30".parse().unwrap(),
            ..VendorConfig::default()
        };
        let mut rate = rate(8);
        rate["max_retries"] = 10.into();
        let came = run(vendor, 200, SECRET, rate);
        let of = |state| came.states.get(state).copied().unwrap_or_default();
        assert!(came.run.status.is_final(), "{law}: {:?}", came.run.reason);
        assert_eq!(of("completed") + of("unknown"), 200, "{law}: {:?}", came.states);
        let stats = &came.stats.calls;
        assert_eq!((stats.duplicates, stats.keys), (0, stats.served), "{law}");
        assert!((of("completed")..=200).contains(&stats.served), "{law}: {stats:?}");
        assert!(stats.faults.values().sum::<u64>() >= 10, "{law}: {:?}", stats.faults);
    }
}
