//! The limits of the three groups, what their refusals say, and the kernels.

use paceline_clock::Tick;
use paceline_lab::{HexConfig, HexLimits, HexRequest, HexVendor, Policy, RateHeaders, RetryAfter};

use super::{Bench, P1, P2, with_hex};

fn limited(runs: &str, reads: &str, overall: &str, policy: &str) -> HexConfig {
    let mut limits = HexLimits::default();
    for (group, text) in
        [(&mut limits.runs, runs), (&mut limits.reads, reads), (&mut limits.overall, overall)]
    {
        group.limits = text.split_whitespace().map(|limit| limit.parse().unwrap()).collect();
        group.policy = policy.parse().unwrap();
    }
    HexConfig { limits, ..HexConfig::default() }
}

async fn statuses(bench: &Bench, paths: &[&str]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for path in paths {
        let answer = match path.strip_prefix("POST ") {
            Some(path) => bench.post(path, "").await,
            None => bench.get(path).await,
        };
        statuses.push(answer.status().unwrap());
    }
    statuses
}

#[test]
fn each_operation_counts_in_its_own_group() {
    let (start, runs, project) = (
        &format!("POST projects/{P1}/runs"),
        &format!("projects/{P1}/runs"),
        &format!("projects/{P2}"),
    );
    with_hex(limited("1/h", "2/h", "", "log"), |bench| async move {
        let seen =
            statuses(&bench, &[start, start, runs, project, runs, "projects", "projects"]).await;
        assert_eq!(seen, [201, 429, 200, 200, 429, 200, 200]);
        let stats = bench.hex.stats();
        assert_eq!((stats.runs.accepted, stats.runs.refused), (1, 1));
        assert_eq!((stats.reads.accepted, stats.reads.refused), (2, 1));
        assert_eq!((stats.overall.accepted, stats.overall.refused, stats.refused), (5, 0, 2));
        assert_eq!(stats.calls["ListProjects"], 2);
    });
}

#[test]
fn everything_counts_overall() {
    with_hex(limited("", "", "3/min", "first_call"), |bench| async move {
        bench.sleep_ms(10_000).await;
        let run = bench.start().await;
        let path = format!("projects/{P1}/runs/{run}");
        assert_eq!(bench.get(&path).await.status(), Some(200));
        assert_eq!(bench.delete(&path).await.status(), Some(204));
        let refused = bench.get("projects").await;
        assert_eq!((refused.status(), refused.header("retry-after")), (Some(429), Some("60")));
        assert!(refused.json()["reason"].is_string(), "ListProjects has the older shape");
        bench.sleep_ms(59_999).await;
        assert_eq!(bench.get("projects").await.status(), Some(429));
        bench.sleep_ms(1).await;
        assert_eq!(bench.get("projects").await.status(), Some(200));
    });
}

#[test]
fn the_documented_limits_hold_over_two_hours_of_wanting_more() {
    let limits = HexLimits::documented(&Policy::FirstCall);
    let config = HexConfig { limits, ..HexConfig::default() };
    let stats = with_hex(config, |bench| async move {
        while bench.clock.now() < Tick::from_millis(7_200_000) {
            bench.run(P1, "").await;
            bench.sleep_ms(1_000).await;
        }
        bench.hex.stats()
    });
    let busiest: Vec<u64> = stats.runs.limits.iter().map(|limit| limit.busiest).collect();
    assert_eq!((stats.started, busiest), (120, vec![20, 60]));
    assert!(stats.refused > 7_000, "{}", stats.refused);
}

#[test]
fn where_refused_calls_count_a_caller_that_does_not_wait_gets_nowhere() {
    for (policy, started) in [("log", 4), ("log_counting", 2)] {
        with_hex(limited("2/min", "", "", policy), |bench| async move {
            for _ in 0..90 {
                bench.run(P1, "").await;
                bench.sleep_ms(1_000).await;
            }
            assert_eq!(bench.hex.stats().started, started, "{policy}");
        });
    }
}

#[test]
fn a_refusal_has_the_headers_that_are_asked_for() {
    for (retry_after, rate_headers, present, absent) in [
        ("none", "none", "x-trace-id", "retry-after"),
        ("seconds", "none", "retry-after", "ratelimit-reset"),
        ("date", "none", "date", "ratelimit-reset"),
        ("none", "draft03", "ratelimit-reset", "retry-after"),
        ("none", "x", "x-ratelimit-remaining", "ratelimit-reset"),
        ("none", "draft", "ratelimit-policy", "retry-after"),
    ] {
        let mut config = limited("1/h", "", "9/min", "log");
        config.retry_after = retry_after.parse::<RetryAfter>().unwrap();
        config.rate_headers = rate_headers.parse::<RateHeaders>().unwrap();
        with_hex(config, |bench| async move {
            let served = bench.run(P1, "").await;
            assert_eq!(served.header("retry-after"), None);
            let refused = bench.run(P1, "").await;
            assert_eq!(refused.status(), Some(429));
            assert!(refused.header(present).is_some(), "{present} in {refused:?}");
            assert_eq!(refused.header(absent), None, "{rate_headers}");
        });
    }
}

#[test]
fn a_start_beyond_the_kernels_is_503_and_starts_nothing() {
    let config = HexConfig { kernels: Some(25), ..HexConfig::default() };
    with_hex(config, |bench| async move {
        for _ in 0..25 {
            bench.start().await;
        }
        let refused = bench.run(P2, "").await;
        assert_eq!(
            (refused.status(), refused.json()["code"].as_str()),
            (Some(503), Some("SERVICE_UNAVAILABLE"))
        );
        bench.sleep_ms(2_000).await;
        assert_eq!(bench.run(P2, "").await.status(), Some(201), "they have ended");
        let stats = bench.hex.stats();
        assert_eq!((stats.started, stats.kernels_refused, stats.kernels_busiest), (26, 1, 25));
    });
}

#[test]
fn a_call_is_counted_after_one_delay_and_answered_after_the_next() {
    let config = HexConfig { net: "20".parse().unwrap(), ..HexConfig::default() };
    with_hex(config, |bench| async move {
        bench.start().await;
        assert_eq!(bench.clock.now(), Tick::from_millis(40));
        assert_eq!(bench.hex.stats().first_start_ms, Some(20));
    });
}

#[test]
fn a_reset_opens_the_windows_and_forgets_the_runs() {
    with_hex(limited("1/h", "", "", "fixed"), |bench| async move {
        let run = bench.start().await;
        assert_eq!(bench.run(P1, "").await.status(), Some(429));
        bench.hex.reset();
        assert_eq!(bench.get(&format!("projects/{P1}/runs/{run}")).await.status(), Some(404));
        bench.start().await;
        let stats = bench.hex.stats();
        assert_eq!((stats.started, stats.refused, stats.double_started), (1, 0, 0));
    });
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let clock = paceline_clock::SimClock::new().clock();
    let refused = |change: fn(&mut HexConfig)| {
        let mut config = HexConfig::default();
        change(&mut config);
        HexVendor::new(config, clock.clone()).unwrap_err().to_string()
    };
    let twice = refused(|config| config.projects[1].id = P1.to_owned());
    assert!(twice.contains(P1), "{twice}");
    let many = refused(|config| config.limits.runs.limits = vec!["1/s".parse().unwrap(); 17]);
    assert!(many.contains("17 limits"), "{many}");
    assert!(refused(|config| config.tokens = vec![String::new(); 65]).contains("65 tokens"));
    assert!(refused(|config| config.cancel_ended_status = 200).contains("204"));
}

#[test]
fn every_token_shares_the_limits_because_they_are_the_users() {
    with_hex(limited("", "", "2/h", "log"), |bench| async move {
        let mut statuses = Vec::new();
        for token in ["one", "two", "three"] {
            let answer = bench.hex.handle(HexRequest::get("/api/v1/projects", token)).await;
            statuses.push(answer.status().unwrap());
        }
        assert_eq!(statuses, [200, 200, 429]);
    });
}
