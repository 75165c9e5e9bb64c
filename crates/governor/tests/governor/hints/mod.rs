//! Spec G8: what vendors say about their limits is read as they mean it, and nonsense says nothing.

mod drafts;
mod lab;
mod properties;
mod vendors;

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{Hints, Quota, QuotaUnit};

/// 2026-01-01T00:00:00Z; in epoch seconds 1,767,225,600.
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
/// A local clock that is wrong by years: nothing may depend on it where there is a `Date`.
const WRONG_WALL: Timestamp = Timestamp::from_seconds(1_500_000_000);

/// Reads a response's head as it is printed: a field on each line.
fn read(head: &str) -> Hints {
    let lines = head.lines().filter_map(|line| line.trim().split_once(": "));
    Hints::read(lines.map(|(name, value)| (name, value.as_bytes())), WRONG_WALL)
}

/// `name: 9 of 10 requests, 30s, per 60s`, with a `?` for what was not said.
fn written(quota: &Quota) -> String {
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    let time = |time: Option<Duration>| time.map_or("?".to_owned(), |time| format!("{time:?}"));
    let unit = match quota.unit {
        QuotaUnit::Requests => "requests",
        QuotaUnit::Tokens => "tokens",
        QuotaUnit::Unknown => "unknown",
    };
    format!(
        "{}: {} of {} {unit}, {}, per {}",
        quota.name,
        number(quota.remaining),
        number(quota.limit),
        time(quota.reset),
        time(quota.window)
    )
}

/// Each head with the quotas it tells and the wait it asks for.
fn check(cases: &[(&str, &[&str], Option<f64>)]) {
    for (head, quotas, retry_after_s) in cases {
        let hints = read(head);
        let told: Vec<_> = hints.quotas.iter().map(written).collect();
        assert_eq!(told, *quotas, "{head}");
        assert_eq!(hints.retry_after.map(|wait| wait.as_secs_f64()), *retry_after_s, "{head}");
    }
}
