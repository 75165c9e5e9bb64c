//! Columns that post to Slack, against the lab's own: its words, its limit of each channel, what was posted in the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_lab::{SlackConfig, SlackMessage, SlackStats, SlackVendor};
use paceline_model::{ColumnType, Run, RunStatus, Scope, SmartKind, Value};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::lab::Line;
use crate::support::{COLUMN, engine_over, smart, states, table, values};

/// What came of a column.
struct Came {
    run: Run,
    states: BTreeMap<&'static str, u64>,
    values: Vec<Value>,
    took: Duration,
    stats: SlackStats,
    messages: Vec<SlackMessage>,
}

/// Runs a column of text over so many rows.
fn run(slack: SlackConfig, rows: usize, config: Json) -> Came {
    SimClock::new().run(|clock| async move {
        let slack = Arc::new(SlackVendor::new(slack, clock.clone()).unwrap());
        let line = Line { vendor: Arc::clone(&slack), clock: clock.clone() };
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine_over(&store, &clock, Arc::new(line));
        let spec = smart(SmartKind::Integration, config, Json::Null, ColumnType::Text);
        let table = table(&engine, rows, spec).await;
        let began = clock.now();
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        let run = engine.wait(run.id).await.unwrap();
        Came {
            states: states(&engine, &table).await,
            values: values(&engine, &table).await,
            took: clock.now() - began,
            stats: slack.stats(),
            messages: slack.messages(),
            run,
        }
    })
}

fn by_webhook(service: &str) -> Json {
    let address = format!("https://hooks.slack.example/services/T1/{service}/secret");
    json!({"provider": "slack", "webhook_url": address, "text": "hello {{name}}"})
}

fn by_token(channel: &str) -> Json {
    json!({"provider": "slack", "token": "xoxb-good", "channel": channel, "text": "hello {{name}}"})
}

#[test]
fn both_ways_keep_to_a_message_a_second_and_nothing_is_refused_or_posted_twice() {
    for (config, value) in [(by_webhook("B1"), "ok"), (by_token("C1"), ".000001")] {
        let slack = SlackConfig { net: "5..60".parse().unwrap(), ..SlackConfig::default() };
        let came = run(slack, 20, config);
        assert_eq!(came.states, [("completed", 20)].into(), "{:?}", came.run.reason);
        assert_eq!((came.stats.posted, came.stats.refused, came.stats.duplicates), (20, 0, 0));
        assert_eq!((came.stats.keys, came.stats.channels), (20, 1));
        assert!(came.took >= Duration::from_secs(19), "{:?}", came.took);
        assert_eq!(came.messages[0].text, "hello &lt;row 1&gt; &amp; co");
        let Value::Text(text) = &came.values[0] else { panic!("{:?}", came.values) };
        assert!(text.ends_with(value), "{text}");
    }
}

#[test]
fn slacks_own_limit_is_waited_out_and_costs_no_row() {
    // Slower than we are told to be: one message in five seconds.
    let limits = vec!["1/5s".parse().unwrap()];
    let slack =
        SlackConfig { limits, policy: "bucket:1".parse().unwrap(), ..SlackConfig::default() };
    for config in [by_webhook("B1"), by_token("C1")] {
        let came = run(slack.clone(), 10, config);
        assert_eq!(came.states, [("completed", 10)].into(), "{:?}", came.run.reason);
        assert_eq!((came.stats.posted, came.stats.duplicates), (10, 0));
        assert!(came.stats.refused > 0, "it was told to slow down");
    }
}

#[test]
fn a_channel_that_nobody_can_post_to_stops_the_run_with_slacks_word() {
    let channels = ["B1=archived", "B2=missing", "B3=prohibited", "C1=archived", "C2=missing"];
    let slack = SlackConfig {
        channels: channels.iter().map(|text| text.parse().unwrap()).collect(),
        tokens: vec!["xoxb-good".to_owned()],
        ..SlackConfig::default()
    };
    let wrong = json!({"provider": "slack", "token": "xoxb-bad", "channel": "C3", "text": "hi"});
    // A token trips the breaker by the third refusal; anything else by the ratio, once ten have come.
    for (config, word, most) in [
        (by_webhook("B1"), "channel_is_archived", 10),
        (by_webhook("B2"), "channel_not_found", 10),
        (by_webhook("B3"), "action_prohibited", 10),
        (by_token("C1"), "is_archived", 10),
        (by_token("C2"), "channel_not_found", 10),
        (wrong, "invalid_auth", 3),
    ] {
        let came = run(slack.clone(), 30, config);
        assert_eq!(came.run.status, RunStatus::Paused, "{word}");
        let reason = came.run.reason.unwrap();
        assert!(reason.contains(word), "{word}: {reason}");
        assert_eq!((came.stats.posted, came.stats.noes[word]), (0, most), "{word}");
    }
}

#[test]
fn a_channel_of_the_rows_own_is_the_rows_own_fault() {
    let channel = "row {{n}}=archived".replace("{{n}}", "2").parse().unwrap();
    let slack = SlackConfig { channels: vec![channel], ..SlackConfig::default() };
    let came = run(slack, 5, by_token("row {{n}}"));
    assert_eq!(came.states, [("completed", 4), ("failed", 1)].into(), "{:?}", came.run.reason);
    assert_eq!((came.stats.posted, came.stats.noes["is_archived"]), (4, 1));
}

#[test]
fn what_slack_may_have_posted_is_not_posted_again() {
    // `500` is rollup_error of a webhook, which may be sent again, and internal_error of the method, which may not.
    for (law, config, unknown, posted) in [
        ("drop:1@0s..3s", by_webhook("B1"), true, 10),
        ("drop:1@0s..3s", by_token("C1"), true, 10),
        ("500:1@0s..3s", by_token("C1"), true, 7),
        ("500:1@0s..3s", by_webhook("B1"), false, 10),
        ("503-after=2:1@0s..3s", by_token("C1"), false, 10),
    ] {
        let slack = SlackConfig { faults: law.parse().unwrap(), ..SlackConfig::default() };
        let came = run(slack, 10, config);
        let held = came.states.get("unknown").copied().unwrap_or_default();
        assert_eq!(held > 0, unknown, "{law}: {:?} {:?}", came.states, came.run.reason);
        assert_eq!(held + came.states["completed"], 10, "{law}: {:?}", came.states);
        assert_eq!((came.stats.posted, came.stats.duplicates), (posted, 0), "{law}");
    }
}
