//! Every draft of the IETF's RateLimit fields, with the drafts' own examples where they show a corner.

use super::{DATE, check};

#[test]
fn the_three_fields_up_to_draft_06() {
    let gitlab = format!(
        "date: {DATE}\nRateLimit-Limit: 2000\nRateLimit-Remaining: 1999\nRateLimit-Reset: 1767225660\n\
         RateLimit-ResetTime: Thu, 01 Jan 2026 00:01:00 GMT\nRateLimit-Observed: 1"
    );
    let date = format!(
        "date: {DATE}\nRateLimit-Remaining: 0\nRateLimit-Reset: Thu, 01 Jan 2026 00:01:00 GMT"
    );
    check(&[
        (
            "RateLimit-Limit: 10\nRateLimit-Remaining: 1\nRateLimit-Reset: 7",
            &[": 1 of 10 requests, 7s, per ?"],
            None,
        ),
        (
            "RateLimit-Limit: 10, 10;w=1;burst=1000, 1000;w=3600\nRateLimit-Remaining: 9\nRateLimit-Reset: 1",
            &[": 9 of 10 requests, 1s, per 1s", ": ? of 1000 requests, ?, per 3600s"],
            None,
        ),
        // The limit in force is under the only policy.
        (
            "RateLimit-Limit: 10, 100;w=60\nRatelimit-Remaining: 9\nRatelimit-Reset: 50",
            &[": 9 of 10 requests, 50s, per 60s"],
            None,
        ),
        // A comment with a comma; the policy found by its count.
        (
            "RateLimit-Limit: 5000\nRateLimit-Policy: 100;w=60;comment=\"sliding, window\", 5000;w=3600;burst=0\n\
             RateLimit-Remaining: 100\nRateLimit-Reset: 36",
            &[": 100 of 5000 requests, 36s, per 3600s", ": ? of 100 requests, ?, per 60s"],
            None,
        ),
        // Two policies of one count: the window cannot be shorter than what is left of it.
        (
            "RateLimit-Limit: 10\nRateLimit-Policy: 10;w=1, 10;w=60\nRateLimit-Remaining: 0\nRateLimit-Reset: 44",
            &[": 0 of 10 requests, 44s, per 60s", ": ? of 10 requests, ?, per 1s"],
            None,
        ),
        (&gitlab, &[": 1999 of 2000 requests, 61s, per ?"], None),
        (&date, &[": 0 of ? requests, 61s, per ?"], None),
        // WHOOP has the early form with an X and a longer word.
        (
            "X-RateLimit-Limit: 100, 100;window=60, 10000;window=86400\nX-RateLimit-Remaining: 98\nX-RateLimit-Reset: 3",
            &[": 98 of 100 requests, 3s, per 60s", ": ? of 10000 requests, ?, per 86400s"],
            None,
        ),
        ("X-Rate-Limit-Limit: name=rate-limit-1,1000", &[": ? of 1000 requests, ?, per ?"], None),
    ]);
}

#[test]
fn the_dictionary_of_draft_07() {
    check(&[
        (
            "RateLimit: limit=100, remaining=50, reset=5\nRateLimit-Policy: 100;w=10",
            &[": 50 of 100 requests, 5s, per 10s"],
            None,
        ),
        ("RateLimit: limit=10, reset=1", &[": ? of 10 requests, 1s, per ?"], None),
        (
            "RateLimit-Policy: 1000;w=3600, 5000;w=86400\nRateLimit: limit=5000, remaining=100, reset=36000",
            &[": 100 of 5000 requests, 36000s, per 86400s", ": ? of 1000 requests, ?, per 3600s"],
            None,
        ),
        ("RateLimit: remaining=-1, reset=x", &[], None),
    ]);
}

#[test]
fn the_named_items_of_draft_08_and_later() {
    check(&[
        (
            "RateLimit-Policy: \"default\";q=100;w=60\nRateLimit: \"default\";r=50;t=30",
            &["default: 50 of 100 requests, 30s, per 60s"],
            None,
        ),
        // Several, on one line or on several, in any order; strings may hold what ends an item elsewhere.
        (
            "RateLimit: \"per;hour, all\";r=0;t=100\nRateLimit-Policy: \"permin\";q=50;w=60,\"per;hour, all\";q=1000;w=3600\n\
             RateLimit: \"permin\";r=49;t=59",
            &[
                "per;hour, all: 0 of 1000 requests, 100s, per 3600s",
                "permin: 49 of 50 requests, 59s, per 60s",
            ],
            None,
        ),
        // express-rate-limit: spaces, and a key for the partition.
        (
            "RateLimit-Policy: \"10-in-1min\"; q=10; w=60; pk=:MmEzZDUxYg==:\n\
             RateLimit: \"10-in-1min\"; r=9; t=60",
            &["10-in-1min: 9 of 10 requests, 60s, per 60s"],
            None,
        ),
        // The same name in two partitions.
        (
            "RateLimit-Policy: \"user\";q=5;w=1;pk=:YQ==:, \"user\";q=9;w=60;pk=:Yg==:\nRateLimit: \"user\";r=8;pk=:Yg==:",
            &["user: 8 of 9 requests, ?, per 60s", "user: ? of 5 requests, ?, per 1s"],
            None,
        ),
        // Bytes, and calls at the same time, are no business of ours; tokens are.
        (
            "RateLimit-Policy: \"b\";q=65535;qu=\"content-bytes\";w=10, \"c\";q=5;qu=\"concurrent-requests\", \
             \"t\";q=1000;qu=\"tokens\";w=60, \"r\";q=7;qu=\"requests\";w=1\nRateLimit: \"b\";r=3;t=60, \"t\";r=900;t=6",
            &["t: 900 of 1000 tokens, 6s, per 60s", "r: ? of 7 requests, ?, per 1s"],
            None,
        ),
        // Unnamed policies go by their place; a bare token is a name too; the limit itself may say the quota.
        (
            "RateLimit-Policy: 10;w=1, 50;w=60\nRateLimit: \"a\";r=1, \"b\";r=2",
            &["a: 1 of 10 requests, ?, per 1s", "b: 2 of 50 requests, ?, per 60s"],
            None,
        ),
        (
            "RateLimit-Policy: quota;q=100;w=1\nRateLimit: quota;t=1",
            &["quota: ? of 100 requests, 1s, per 1s"],
            None,
        ),
        ("RateLimit: \"sliding\";q=12;r=6;t=1", &["sliding: 6 of 12 requests, 1s, per ?"], None),
        // After draft 10: available, within a window.
        (
            "RateLimit-Policy: \"burst\";q=100;w=60\nRateLimit: \"burst\";a=80;w=45",
            &["burst: 80 of 100 requests, 45s, per 60s"],
            None,
        ),
        ("RateLimit-Policy: \"zero\";q=10;w=0", &["zero: ? of 10 requests, ?, per ?"], None),
    ]);
}

#[test]
fn a_malformed_field_says_nothing_and_spoils_no_other() {
    check(&[
        ("RateLimit: \"open;r=1;t=1", &[], None),
        ("RateLimit: \"a\";r=1 \"b\";r=2", &[], None),
        ("RateLimit: \"a\";r=-1;t=x", &[], None),
        ("RateLimit-Policy: \"a\";w=60", &[], None),
        ("RateLimit-Limit: ten\nRateLimit-Remaining: 3 left\nRateLimit-Reset: NaN", &[], None),
        ("RateLimit: \"open;r=1\nRetry-After: 3", &[], Some(3.0)),
        (
            "RateLimit: \"a\";r=99999999999999999999999;t=99999999999999999999999",
            &["a: 18446744073709551615 of ? requests, ?, per ?"],
            None,
        ),
    ]);
}

#[test]
fn at_most_six_are_kept_and_they_are_the_tightest() {
    let names = (1..=9).map(|left| format!("\"{left}\";r={left}")).collect::<Vec<_>>().join(", ");
    let hints = super::read(&format!("RateLimit: {names}"));
    let kept: Vec<_> = hints.quotas.iter().filter_map(|quota| quota.remaining).collect();
    assert_eq!(kept, [1, 2, 3, 4, 5, 6]);
}
