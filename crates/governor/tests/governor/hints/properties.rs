//! Headers and bodies are untrusted: whatever stands in them, a hint is bounded, and a wrong local clock changes nothing.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_governor::{HINT_MAX, Hints, Quotas, retry_after, retry_after_in_body};
use proptest::collection::vec;
use proptest::prelude::*;

use super::DATE;

const NAMES: [&str; 14] = [
    "Date",
    "Age",
    "Retry-After",
    "retry-after-ms",
    "RateLimit",
    "RateLimit-Policy",
    "RateLimit-Limit",
    "ratelimit-remaining",
    "X-RateLimit-Reset",
    "X-RateLimit-Reset-After",
    "x-ratelimit-limit-minute",
    "x-ratelimit-reset-tokens",
    "anthropic-ratelimit-input-tokens-reset",
    "x-rate-limit-window",
];

/// What values are made of.
const WORDS: [&str; 26] = [
    "\"a\"",
    "\"",
    "\\",
    "a",
    ":YQ==:",
    ";",
    ";q=",
    ";r=",
    ";t=",
    ";w=",
    ";a=",
    "limit=",
    "reset=",
    ",",
    ", ",
    "=",
    "-",
    ".",
    "e",
    "NaN",
    "6m0",
    "s",
    "250ms",
    "2026-01-01T00:",
    "30Z",
    DATE,
];

/// Values that are nearly right, as a fuzzer would learn them, and any bytes.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        2 => prop::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => (any::<u128>(), 0_u32..128).prop_map(|(number, less)| (number >> less).to_string()),
    ];
    prop_oneof![
        4 => vec(word, 0..6).prop_map(|words| words.concat().into_bytes()),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn headers() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name = prop_oneof![
        9 => prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        1 => value().prop_map(|name| format!("x-ratelimit-{}", String::from_utf8_lossy(&name))),
    ];
    vec((name, value()), 0..12)
}

fn read(headers: &[(String, Vec<u8>)], wall: Timestamp) -> Hints {
    Hints::read(headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())), wall)
}

fn waits(hints: &Hints) -> impl Iterator<Item = Duration> {
    let resets = hints.quotas.iter().filter_map(|quota| quota.reset);
    let holds = [hints.retry_after, hints.hold(), hints.hold_after_refusal()];
    resets.chain(holds.into_iter().flatten())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_header_panics_or_asks_for_more_than_the_cap(
        headers in headers(),
        wall in any::<i64>(),
        cap_ms in 0_u64..100_000_000,
    ) {
        let hints = read(&headers, Timestamp::from_micros(wall));
        prop_assert!(hints.quotas.iter().count() <= Quotas::MAX);
        prop_assert!(waits(&hints).all(|wait| wait <= HINT_MAX), "{hints:?}");
        let said = |quota: &paceline_governor::Quota| {
            quota.limit.is_some() || quota.remaining.is_some() || quota.reset.is_some()
        };
        prop_assert!(hints.quotas.iter().all(said), "{hints:?}");
        let windows = hints.quotas.iter().filter_map(|quota| quota.window);
        prop_assert!(windows.into_iter().all(|window| !window.is_zero()), "{hints:?}");
        let cap = Duration::from_millis(cap_ms);
        prop_assert!(waits(&hints.capped(cap)).all(|wait| wait <= cap), "{hints:?}");
    }

    #[test]
    fn with_a_date_the_local_clock_changes_nothing(
        mut headers in headers(),
        walls in any::<(i64, i64)>(),
    ) {
        headers.insert(0, ("date".to_owned(), DATE.into()));
        let (one, other) = walls;
        let one = read(&headers, Timestamp::from_micros(one));
        prop_assert_eq!(one, read(&headers, Timestamp::from_micros(other)));
    }

    #[test]
    fn shifting_every_clock_of_an_absolute_time_changes_nothing(
        // 2001 to 2100, and up to a day ahead.
        now_s in 1_000_000_000_i64..4_100_000_000,
        ahead_s in 0_u64..86_000,
    ) {
        let until = now_s.unsigned_abs() + ahead_s;
        let wanted = Some(Duration::from_secs(ahead_s + 1));
        let date = |at_s: u64| httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(at_s));
        let now = date(now_s.unsigned_abs());
        prop_assert_eq!(retry_after(&date(until), Some(&now), Timestamp::default()), wanted);
        for reset in [until.to_string(), date(until)] {
            let headers = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset), ("date", &now)];
            let headers = headers.map(|(name, value)| (name, value.as_bytes()));
            let hints = Hints::read(headers.into_iter(), Timestamp::default());
            prop_assert_eq!(hints.hold(), wanted, "{}", reset);
        }
    }

    #[test]
    fn no_body_panics_or_asks_for_more_than_the_cap(
        bytes in vec(any::<u8>(), 0..200),
        text in any::<String>(),
        number in "[0-9.e]{1,9}",
        unit in "(ms|s|m|h| seconds|s1h)",
    ) {
        let within = |body: &[u8]| retry_after_in_body(body).is_none_or(|wait| wait <= HINT_MAX);
        prop_assert!(within(&bytes));
        let message = format!("{text}try again in {number}{unit}{text}");
        let body = serde_json::json!({ "error": { "message": message, "details": [text] } });
        prop_assert!(within(body.to_string().as_bytes()));
    }
}
