//! Columns that post to Slack: its answers, its rate, its escapes.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_model::{AttemptClass, ColumnType, RunStatus, Scope, SmartKind, Value};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{COLUMN, Says, Vendors, attempts, engine, says, smart, states, table, values};

fn posts() -> Json {
    json!({"provider": "slack", "token": "xoxb-0123456789", "channel": "C1", "text": "hello {{name}}"})
}

#[test]
fn a_message_is_escaped_and_paced_at_one_per_second() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |_, _| says(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#));
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Integration, posts(), Json::Null, ColumnType::Text);
        let table = table(&engine, 10, spec).await;
        let began = clock.now();
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 10);
        assert!(clock.now() - began >= Duration::from_secs(9), "one message per second");
        assert_eq!(values(&engine, &table).await[0], Value::Text("1.2".to_owned()));
        let call = &vendors.calls()[0];
        assert_eq!(
            (call.host.as_str(), call.path.as_str()),
            ("slack.com", "/api/chat.postMessage")
        );
        let sent: Json = serde_json::from_str(&call.body).unwrap();
        assert_eq!(sent, json!({"channel": "C1", "text": "hello &lt;row 1&gt; &amp; co"}));
        assert_eq!(call.headers["authorization"], "Bearer xoxb-0123456789");
        assert!(call.key.starts_with("pl-"));
    });
}

/// What comes of a column of one row when Slack says this first and yes from then on.
fn after(
    first: impl Fn() -> Says + Send + Sync + 'static,
) -> (RunStatus, String, Vec<AttemptClass>) {
    SimClock::new().run(|clock| async move {
        let yes = || says(200, r#"{"ok":true,"channel":"C1","ts":"1.2"}"#);
        let vendors = Vendors::new(5, move |_, calls| if calls == 0 { first() } else { yes() });
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Integration, posts(), Json::Null, ColumnType::Boolean);
        let table = table(&engine, 1, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let status = engine.wait(run.id).await.unwrap().status;
        let states = states(&engine, &table).await;
        let state = (*states.keys().next().unwrap_or(&"idle")).to_owned();
        let attempts = attempts(&engine, &table, 1).await.remove(0);
        (status, state, attempts.into_iter().map(|attempt| attempt.class).collect())
    })
}

#[test]
fn each_no_of_slacks_has_its_consequence() {
    use AttemptClass::{RowCaused, Success, Throttled, Transient, Unknown};
    let no =
        |code: &'static str| move || says(200, json!({"ok": false, "error": code}).to_string());
    let (_, state, classes) = after(no("ratelimited"));
    assert_eq!((state.as_str(), classes), ("completed", vec![Throttled, Success]));
    let (_, state, classes) = after(no("service_unavailable"));
    assert_eq!((state.as_str(), classes), ("completed", vec![Transient, Success]));
    let (_, state, classes) = after(no("internal_error"));
    assert_eq!((state.as_str(), classes), ("unknown", vec![Unknown]), "it may have been posted");
    let (_, state, classes) = after(no("msg_too_long"));
    assert_eq!((state.as_str(), classes), ("failed", vec![RowCaused]));
    let limited = || Says { headers: vec![("retry-after", "30")], ..says(429, "") };
    let (_, state, classes) = after(limited);
    assert_eq!((state.as_str(), classes), ("completed", vec![Throttled, Success]));
}

#[test]
fn a_refused_token_stops_the_run_by_the_third_call() {
    SimClock::new().run(|clock| async move {
        let vendors = Vendors::new(5, |_, _| says(200, r#"{"ok":false,"error":"invalid_auth"}"#));
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &vendors);
        let spec = smart(SmartKind::Integration, posts(), Json::Null, ColumnType::Boolean);
        let table = table(&engine, 20, spec).await;
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        assert_eq!(run.status, RunStatus::Paused);
        assert!(run.reason.unwrap().contains("invalid_auth"));
        assert_eq!(vendors.calls().len(), 3);
        assert!(states(&engine, &table).await.is_empty(), "no cell has failed for it");
    });
}
