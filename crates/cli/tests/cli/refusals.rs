//! Refused for the rate: what a person is told of it, and how it is waited out.

use paceline_lab::VendorConfig;
use serde_json::Value as Json;

use crate::support::{Bench, Enrich, faults, lab, sick_lab};

/// What the core says in the log when a call is refused.
const LOGGED: &str = "the vendor refused a call for its rate";

#[tokio::test(flavor = "multi_thread")]
async fn why_calls_were_refused_is_told_in_the_report_and_in_the_log() {
    // A bucket of two that gets a drop every 600 ms, where 100 a minute is all that its page says.
    let config = VendorConfig {
        limits: vec!["100/min".parse().unwrap()],
        policy: "bucket:2".parse().unwrap(),
        ..VendorConfig::default()
    };
    let (bench, lab) = (Bench::with_airports(6), lab(config).await);
    let flags = ["--limit", "100/min", "--concurrency", "6", "--json"];
    let request = Enrich::nearest(&lab).with(&flags);
    let ended = bench.start_logging("info", &request).ended().await.exits(0);
    assert!(lab.stats().refused > 0);
    assert_eq!(ended.count("throttled"), lab.stats().refused);
    let json = ended.json();
    let explained = json["explanations"].as_array().unwrap().iter().filter_map(Json::as_str);
    let explained: Vec<&str> = explained.collect();
    let bucket = explained.iter().find(|text| text.starts_with("100/min: the vendor takes about"));
    let bucket = bucket.unwrap_or_else(|| panic!("{ended:#?}"));
    ended.told(&format!("refused      {bucket}"));
    ended.told(LOGGED);
    ended.told("run{id=1 column=enriched}");
    ended.told(&format!("explanation={bucket}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_limit_a_429_pauses_all_calls() {
    let (bench, lab) = (Bench::with_airports(40), sick_lab("429:1@0s..2s").await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited", "--json"]);
    let ended = bench.enrich(&request).await.exits(0);
    // Six at once, and after one second six more; the next come after two more seconds and pass.
    assert!((1..=12).contains(&faults(&lab)), "{:?}", lab.stats());
    assert_eq!((ended.count("completed"), ended.count("throttled")), (40, faults(&lab)));
    ended.told("refused      429: nothing sent from here explains it");
    assert!(!ended.stderr.contains(LOGGED), "the log is silent unless it is asked for");
}
