//! Heads as vendors send them.

use super::{DATE, check, read};

#[test]
fn retry_after_in_every_form_and_the_longest_counts() {
    check(&[
        ("Retry-After: 120", &[], Some(120.0)),
        ("retry-after: 0.5", &[], Some(0.5)),
        (
            "Date: Thu, 01 Jan 2026 00:00:00 GMT\nRetry-After: Thu, 01 Jan 2026 00:01:30 GMT",
            &[],
            Some(91.0),
        ),
        // The Date may come last.
        (
            "Retry-After: Thu, 01 Jan 2026 00:01:30 GMT\nDate: Thu, 01 Jan 2026 00:00:00 GMT",
            &[],
            Some(91.0),
        ),
        ("retry-after: 1\nretry-after-ms: 650", &[], Some(1.0)),
        ("retry-after-ms: 1650.5\nretry-after: 1", &[], Some(1.6505)),
        ("x-ms-retry-after-ms: 100", &[], Some(0.1)),
        ("x-ratelimit-retry-after: 7", &[], Some(7.0)),
        ("retry-after: 2\nretry-after: 9\nretry-after: 4", &[], Some(9.0)),
        ("retry-after: soon\nretry-after-ms: -5", &[], None),
        ("retry-after: 99999999", &[], Some(86_400.0)),
    ]);
}

#[test]
fn epoch_times_are_read_against_the_response_s_own_date() {
    let github = format!(
        "Date: {DATE}\nX-RateLimit-Limit: 5000\nX-RateLimit-Remaining: 4999\nX-RateLimit-Reset: 1767229199\n\
         X-RateLimit-Used: 1\nX-RateLimit-Resource: core"
    );
    let secondary = format!("{github}\nRetry-After: 60");
    let x = format!(
        "date: {DATE}\nx-rate-limit-limit: 900\nx-rate-limit-remaining: 0\nx-rate-limit-reset: 1767226500"
    );
    let openrouter = format!(
        "date: {DATE}\nX-RateLimit-Limit: 20\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1767225660000"
    );
    let jira = format!(
        "date: {DATE}\nX-RateLimit-Limit: 100\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 2026-01-01T00:05Z"
    );
    check(&[
        (&github, &["core: 4999 of 5000 requests, 3600s, per ?"], None),
        (&secondary, &["core: 4999 of 5000 requests, 3600s, per ?"], Some(60.0)),
        (&x, &[": 0 of 900 requests, 901s, per ?"], None),
        (&openrouter, &[": 0 of 20 requests, 60s, per ?"], None),
        (&jira, &[": 0 of 100 requests, 360s, per ?"], None),
    ]);
}

#[test]
fn waits_that_count_from_now_need_no_date() {
    check(&[
        // Discord: the absolute time is there too; the other needs no clock.
        (
            "X-RateLimit-Limit: 5\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1470173023.123\n\
             X-RateLimit-Reset-After: 1.25\nX-RateLimit-Bucket: abcd1234",
            &["abcd1234: 0 of 5 requests, 1.25s, per ?"],
            None,
        ),
        (
            "X-Rate-Limit-Scope: ip-address\nX-Rate-Limit-Action: search\nX-Rate-Limit-Window: minute\n\
             X-Rate-Limit-Limit: 30\nX-Rate-Limit-Remaining: 24\nX-Rate-Limit-Reset: 2025-05-18T20:19:00.000Z\n\
             X-Rate-Limit-Reset-After: 17",
            &[": 24 of 30 requests, 17s, per 60s"],
            None,
        ),
        // Reddit: no limit, a fraction that is none.
        (
            "x-ratelimit-used: 2\nx-ratelimit-remaining: 98.0\nx-ratelimit-reset: 361",
            &[": 98 of ? requests, 361s, per ?"],
            None,
        ),
        // Atlassian Data Center: a bucket; Retry-After is 0 while there is something left.
        (
            "X-RateLimit-Limit: 10\nX-RateLimit-Remaining: 9\nX-RateLimit-Interval-Seconds: 5\n\
             X-RateLimit-FillRate: 2\nretry-after: 0",
            &[": 9 of 10 requests, ?, per 5s"],
            Some(0.0),
        ),
    ]);
}

#[test]
fn windows_in_the_field_s_name_are_windows() {
    check(&[
        // Kong.
        (
            "RateLimit-Limit: 10\nRateLimit-Remaining: 9\nRateLimit-Reset: 35\nX-RateLimit-Limit-Minute: 10\n\
             X-RateLimit-Remaining-Minute: 9\nX-RateLimit-Limit-Hour: 100\nX-RateLimit-Remaining-Hour: 42",
            &[
                ": 9 of 10 requests, 35s, per ?",
                "minute: 9 of 10 requests, ?, per 60s",
                "hour: 42 of 100 requests, ?, per 3600s",
            ],
            None,
        ),
        (
            "ratelimit-limit-second: 5\nratelimit-remaining-second: 0\nratelimit-limit-day: 9\nratelimit-remaining-day: 1",
            &["second: 0 of 5 requests, ?, per 1s", "day: 1 of 9 requests, ?, per 86400s"],
            None,
        ),
        // Kong's response-ratelimiting counts what the operator likes.
        (
            "X-RateLimit-Limit-Videos-Minute: 10\nX-RateLimit-Remaining-Videos-Minute: 0",
            &["videos-minute: 0 of 10 unknown, ?, per 60s"],
            None,
        ),
        // Connecteam has the words the other way round.
        (
            "x-ratelimit-minute-limit: 100\nx-ratelimit-minute-remaining: 7\nx-ratelimit-minute-reset: 12",
            &["minute: 7 of 100 requests, 12s, per 60s"],
            None,
        ),
    ]);
}

#[test]
fn language_models_have_calls_and_tokens() {
    let anthropic = format!(
        "date: {DATE}\nanthropic-ratelimit-requests-limit: 50\nanthropic-ratelimit-requests-remaining: 49\n\
         anthropic-ratelimit-requests-reset: 2026-01-01T00:00:02Z\nanthropic-ratelimit-tokens-limit: 38000\n\
         anthropic-ratelimit-tokens-remaining: 0\nanthropic-ratelimit-tokens-reset: 2026-01-01T00:00:19Z\n\
         anthropic-ratelimit-input-tokens-limit: 30000\nanthropic-ratelimit-input-tokens-remaining: 30000\n\
         anthropic-ratelimit-input-tokens-reset: 2026-01-01T00:00:00Z\nanthropic-ratelimit-output-tokens-limit: 8000\n\
         anthropic-ratelimit-output-tokens-remaining: 0\nanthropic-ratelimit-output-tokens-reset: 2026-01-01T00:00:18Z\n\
         retry-after: 18"
    );
    check(&[
        (
            "x-ratelimit-limit-requests: 60\nx-ratelimit-limit-tokens: 150000\nx-ratelimit-remaining-requests: 59\n\
             x-ratelimit-remaining-tokens: 149984\nx-ratelimit-reset-requests: 1s\nx-ratelimit-reset-tokens: 6m0s",
            &[
                "requests: 59 of 60 requests, 1s, per ?",
                "tokens: 149984 of 150000 tokens, 360s, per ?",
            ],
            None,
        ),
        // Groq.
        (
            "x-ratelimit-limit-requests: 14400\nx-ratelimit-remaining-requests: 14370\n\
             x-ratelimit-reset-requests: 2m59.56s\nx-ratelimit-remaining-tokens: 17997\nx-ratelimit-reset-tokens: 7.66s",
            &[
                "requests: 14370 of 14400 requests, 179.56s, per ?",
                "tokens: 17997 of ? tokens, 7.66s, per ?",
            ],
            None,
        ),
        // Cerebras.
        (
            "x-ratelimit-limit-requests-day: 1000000000\nx-ratelimit-limit-tokens-minute: 1000000000\n\
             x-ratelimit-remaining-requests-day: 999997455\nx-ratelimit-remaining-tokens-minute: 999998298\n\
             x-ratelimit-reset-requests-day: 33011.382867097855\nx-ratelimit-reset-tokens-minute: 11.5",
            &[
                "requests-day: 999997455 of 1000000000 requests, 33011.382867098s, per 86400s",
                "tokens-minute: 999998298 of 1000000000 tokens, 11.5s, per 60s",
            ],
            None,
        ),
        (
            &anthropic,
            &[
                "requests: 49 of 50 requests, 3s, per ?",
                "tokens: 0 of 38000 tokens, 20s, per ?",
                "input-tokens: 30000 of 30000 tokens, 1s, per ?",
                "output-tokens: 0 of 8000 tokens, 19s, per ?",
            ],
            Some(18.0),
        ),
    ]);
}

#[test]
fn azure_says_no_idea_with_minus_one_and_splits_one_quota_over_two_spellings() {
    check(&[
        (
            "x-ratelimit-limit-tokens: -1\nx-ratelimit-remaining-tokens: -1\nx-ratelimit-reset-tokens: 0",
            &[],
            None,
        ),
        (
            "x-rate-limit-reset-tokens: 55\nx-ratelimit-remaining-requests: 10",
            &["tokens: ? of ? tokens, 55s, per ?", "requests: 10 of ? requests, ?, per ?"],
            None,
        ),
    ]);
}

#[test]
fn a_hold_is_what_retry_after_says_else_the_last_spent_quota_s_reset() {
    let hold_s = |head: &str| read(head).hold().map(|wait| wait.as_secs());
    let spent = "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 8s\n\
                 x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6m0s\n\
                 x-ratelimit-remaining-videos: 0\nx-ratelimit-reset-videos: 9m";
    assert_eq!(hold_s(spent), Some(360));
    assert_eq!(hold_s(&format!("{spent}\nretry-after: 20")), Some(20));
    assert_eq!(hold_s("ratelimit-remaining: 1\nratelimit-reset: 60"), None);
    // A reset alone holds only a call that was refused.
    let azure = "x-rate-limit-reset-tokens: 55\nx-ratelimit-remaining-requests: 10";
    assert_eq!(hold_s(azure), None);
    assert_eq!(read(azure).hold_after_refusal().map(|wait| wait.as_secs()), Some(55));
    assert_eq!(read("server: x").hold_after_refusal(), None);
}

#[test]
fn a_cached_response_tells_no_quota() {
    let head = "RateLimit-Limit: 10\nRateLimit-Remaining: 9";
    assert!(!read(&format!("Age: 0\n{head}")).is_empty());
    assert!(read(&format!("Age: 3\n{head}")).is_empty());
}

#[test]
fn of_two_opinions_about_one_quota_the_more_careful_counts() {
    check(&[(
        "x-ratelimit-limit: 100\nx-ratelimit-remaining: 60\nx-ratelimit-reset: 5\n\
         x-ratelimit-limit: 50\nx-ratelimit-remaining: 49\nx-ratelimit-reset: 9",
        &[": 49 of 50 requests, 9s, per ?"],
        None,
    )]);
}
