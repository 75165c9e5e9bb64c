//! `paceline plan`: the documented figures, to the letter.

use serde_json::{Value as Json, json};

use crate::support::Bench;

async fn plan(flags: &[&str]) -> Json {
    let args: Vec<&str> = ["plan", "--json"].iter().chain(flags).copied().collect();
    let ended = Bench::new().run(&args).await.exits(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    ended.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_figures() {
    for (calls, last_start_ms, binding) in [
        (1, 0, Json::Null),
        (20, 0, Json::Null),
        (21, 60_000, json!("20/min")),
        (60, 120_000, json!("20/min")),
        (61, 3_600_000, json!("60/h")),
        (200, 10_800_000, json!("60/h")),
    ] {
        let calls_text = calls.to_string();
        let plan = plan(&["--calls", &calls_text, "--limit", "20/min", "--limit", "60/h"]).await;
        let expected = json!({
            "calls": calls,
            "first_start_ms": 0,
            "last_start_ms": last_start_ms,
            "end_ms": last_start_ms,
            "binding_limit": binding,
        });
        // As text: a whole number of milliseconds is written as one.
        assert_eq!(plan.to_string(), expected.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_and_service_time_bind_too() {
    let plan =
        plan(&["--calls", "10", "--limit", "100/s", "--concurrency", "2", "--service-ms", "250.5"])
            .await;
    assert_eq!((&plan["last_start_ms"], &plan["end_ms"]), (&json!(1002), &json!(1252.5)));
    assert_eq!(plan["binding_limit"], "concurrency");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_to_people_without_json() {
    let args = ["plan", "--calls", "200", "--limit", "20/min", "--limit", "60/h"];
    let ended = Bench::new().run(&args).await.exits(0);
    assert_eq!(
        ended.stdout,
        "200 calls: the last starts after 3 h 00 min, all end after 3 h 00 min; what binds: 60/h\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_flags_are_refused_in_one_line() {
    let cases: [(&[&str], &str); 7] = [
        (&["--limit", "20/min"], "--calls"),
        (&["--calls", "ten"], "--calls"),
        (&["--calls", "-1"], "-1"),
        (&["--calls", "10", "--limit", "20/fortnight"], "20/fortnight"),
        (&["--calls", "10", "--service-ms", "-5"], "-5"),
        (&["--calls", "10", "--service-ms", "NaN"], "--service-ms"),
        (&["--calls", "10", "--concurrency", "0"], "concurrency"),
    ];
    for (flags, part) in cases {
        let args: Vec<&str> = ["plan"].iter().chain(flags).copied().collect();
        let ended = Bench::new().run(&args).await.exits(2);
        let line = ended.complaint();
        assert!(line.contains(part), "{part:?} is not in: {line}");
        assert_eq!(ended.stdout, "");
    }
}
