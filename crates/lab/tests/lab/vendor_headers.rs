//! What the vendor tells its callers, in virtual time.

use paceline_lab::{Call, RateHeaders, RetryAfter, VendorConfig};

use crate::vendor::{calls_at, config, with_vendor};

#[test]
fn a_refusal_says_when_in_the_form_that_is_set() {
    // Refused at 500 ms until 60.25 s: 59.75 s. Virtual time begins with 2026.
    let cases = [
        (RetryAfter::None, None, None),
        (RetryAfter::Seconds, Some("60"), None),
        (
            RetryAfter::Date,
            Some("Thu, 01 Jan 2026 00:01:01 GMT"),
            Some("Thu, 01 Jan 2026 00:00:00 GMT"),
        ),
    ];
    for (retry_after, expected, date) in cases {
        let config = VendorConfig { retry_after, ..config(&["1/min"], "log", "none") };
        let answers = with_vendor(config, |vendor, clock| async move {
            calls_at(&vendor, &clock, &[250, 500]).await
        });
        assert_eq!(answers[0].header("retry-after"), None);
        assert_eq!(answers[1].header("retry-after"), expected, "{retry_after}");
        assert_eq!(answers[1].header("date"), date, "{retry_after}");
    }
}

#[test]
fn what_is_left_is_told_in_the_family_that_is_set() {
    // Two calls at once and one at 1.5 s, against 2/s and 5/min as logs: 1 left of 2 and 2 left of 5.
    let cases = [
        (RateHeaders::None, vec![]),
        (
            RateHeaders::Draft,
            vec![
                ("ratelimit-policy", r#""2/s";q=2;w=1, "5/min";q=5;w=60"#),
                ("ratelimit", r#""2/s";r=1;t=1, "5/min";r=2;t=60"#),
            ],
        ),
        (
            RateHeaders::Draft03,
            vec![("ratelimit-limit", "2"), ("ratelimit-remaining", "1"), ("ratelimit-reset", "1")],
        ),
        (
            RateHeaders::X,
            vec![
                ("date", "Thu, 01 Jan 2026 00:00:01 GMT"),
                ("x-ratelimit-limit", "2"),
                ("x-ratelimit-remaining", "1"),
                // 1,767,225,600 is the beginning of 2026; the call at 1.5 s weighs until 2.5 s.
                ("x-ratelimit-reset", "1767225603"),
            ],
        ),
    ];
    for (rate_headers, expected) in cases {
        let config = VendorConfig { rate_headers, ..config(&["2/s", "5/min"], "log", "none") };
        let answers = with_vendor(config, |vendor, clock| async move {
            calls_at(&vendor, &clock, &[0, 0, 1_500]).await
        });
        let told: Vec<_> = answers[2].headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        assert_eq!(told, expected, "{rate_headers}");
    }
}

#[test]
fn faults_that_tell_when_do() {
    let cases = [
        ("429:1", None),
        ("429-after=7:1", Some("7")),
        ("503-after:1", Some("1")),
        ("429-date=90:1", Some("Thu, 01 Jan 2026 00:01:30 GMT")),
    ];
    for (faults, expected) in cases {
        let answer = with_vendor(config(&[], "log", faults), |vendor, _| async move {
            vendor.call(Call::new()).await
        });
        assert_eq!(answer.header("retry-after"), expected, "{faults}");
    }
}
