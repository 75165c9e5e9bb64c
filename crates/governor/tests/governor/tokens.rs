//! Spec G13 against the lab's vendors of language models, which reserve what a call may take, take what it took, and tell in
//! their headers what is left: a minute's tokens are used up all the same.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use paceline_clock::{SimClock, Tick, Timestamp};
use paceline_governor::{
    Ask, Budget, BudgetConfig, Core, Hints, Outcome, OutcomeClass, classify_response,
};
use paceline_lab::{AiAnswer, AiConfig, AiDialect, AiRequest, AiVendor};
use serde_json::{Value as Json, json};

use crate::support::all;

/// Some more than two minutes' worth.
const CALLS: u64 = 700;
const OUTPUT_MAX: u64 = 200;

/// What it takes of one call, at the most.
fn estimate(body: &str) -> u64 {
    body.len().div_ceil(4) as u64 + OUTPUT_MAX
}

fn question(dialect: AiDialect, number: u64) -> AiRequest {
    let prompt = format!("{} {number}", "Tell me more. ".repeat(57));
    let messages = json!([{"role": "user", "content": prompt}]);
    let (path, key, body) = match dialect {
        AiDialect::Anthropic => (
            "/v1/messages",
            ("x-api-key", "good"),
            json!({"model": "m", "messages": messages, "max_tokens": OUTPUT_MAX}),
        ),
        _ => (
            "/v1/chat/completions",
            ("authorization", "Bearer good"),
            json!({"model": "m", "messages": messages, "max_completion_tokens": OUTPUT_MAX}),
        ),
    };
    let mut headers = http::HeaderMap::new();
    headers.insert(key.0, key.1.parse().unwrap());
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("anthropic-version", "2023-06-01".parse().unwrap());
    AiRequest {
        method: Method::POST,
        path: path.to_owned(),
        headers,
        body: body.to_string().into(),
    }
}

fn taken(body: &[u8]) -> u64 {
    let body: Json = serde_json::from_slice(body).unwrap();
    let usage = &body["usage"];
    let fields = ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"];
    fields.iter().filter_map(|field| usage[*field].as_u64()).sum()
}

/// Refused calls, tokens that were taken, and how long it took.
fn run(dialect: AiDialect, policy: &str) -> (u64, u64, Duration) {
    SimClock::new().run(|clock| async move {
        let lab = AiConfig {
            requests: vec!["500/min".parse().unwrap()],
            tokens: vec!["60000/min".parse().unwrap()],
            policy: policy.parse().unwrap(),
            net: "1..30".parse().unwrap(),
            service: "200..900".parse().unwrap(),
            ..AiConfig::default()
        };
        let vendor = Arc::new(AiVendor::new(lab, clock.clone()).unwrap());
        let limits = ["500/min", "60000 tokens/min"].map(|limit| limit.parse().unwrap());
        let config = BudgetConfig { concurrent_max: Some(64), ..BudgetConfig::new(limits) };
        let budget = Budget::new(config, clock.clone()).unwrap();
        let began = clock.now();
        let call = |number| {
            let (budget, vendor, clock) = (budget.clone(), Arc::clone(&vendor), clock.clone());
            tokio::spawn(async move {
                loop {
                    let request = question(dialect, number);
                    let tokens = estimate(std::str::from_utf8(&request.body).unwrap());
                    let mut permit = budget.acquire_with(Ask::new().tokens(tokens)).await.unwrap();
                    permit.sent();
                    let AiAnswer::Reply { status, headers, body } = vendor.handle(request).await
                    else {
                        panic!("no fault was asked for")
                    };
                    let fields =
                        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
                    let hints = Hints::read(fields, clock.wall());
                    permit.seen();
                    permit.heard(&hints);
                    if status == 200 {
                        permit.settle(taken(&body));
                    }
                    permit.finish(&classify_response(status, &hints, &[]));
                    if status == 200 {
                        return;
                    }
                    assert_eq!(status, 429, "{body:?}");
                }
            })
        };
        all(&clock, (0..CALLS).map(call).collect()).await;
        let stats = vendor.stats();
        let stats = if dialect == AiDialect::Anthropic { stats.anthropic } else { stats.openai };
        (stats.refused, stats.input_tokens + stats.output_tokens, clock.now() - began)
    })
}

#[test]
fn a_vendor_that_tells_what_is_left_gives_all_it_has() {
    for dialect in [AiDialect::OpenAi, AiDialect::Anthropic] {
        for policy in ["bucket", "log", "fixed"] {
            let (refused, tokens, elapsed) = run(dialect, policy);
            let used = ((tokens.div_ceil(60_000) - 1) * 60) as f64 / elapsed.as_secs_f64();
            assert_eq!(refused, 0, "{dialect:?} {policy}");
            // What is left are the first calls, which go in growing steps, and the last ones' answers.
            assert!(used >= 0.93, "{dialect:?} {policy}: {used}");
        }
    }
}

/// Two calls of 60 tokens each, one after the other; the vendor says with the second that so many of 200 are left. Whether a
/// third call of 80 may go.
fn third_goes(remaining: u64, first_settles_meanwhile: bool) -> bool {
    let now = Tick::from_millis(1_000_000);
    let mut core = Core::new(BudgetConfig::new(["200 tokens/min".parse().unwrap()])).unwrap();
    let [first, second] = [60, 60].map(|tokens| {
        let slot = core.admit_tokens(now, tokens).unwrap();
        core.sent(slot, now);
        slot
    });
    let good = Outcome::of(OutcomeClass::Success);
    if first_settles_meanwhile {
        core.seen(first, now);
        core.settle(first, 10);
        core.finish(first, &good, now);
    }
    let head = [
        ("x-ratelimit-limit-tokens", "200".to_owned()),
        ("x-ratelimit-remaining-tokens", remaining.to_string()),
        ("x-ratelimit-reset-tokens", "40s".to_owned()),
    ];
    let fields = head.iter().map(|(name, value)| (*name, value.as_bytes()));
    core.seen(second, now);
    core.heard(second, &Hints::read(fields, Timestamp::default()), now);
    core.finish(second, &good, now);
    core.admit_tokens(now, 80).is_ok()
}

#[test]
fn tokens_that_came_back_meanwhile_are_no_news_and_those_that_somebody_else_took_are() {
    assert!(third_goes(80, false), "as we believe");
    assert!(!third_goes(79, false), "somebody else took one");
    assert!(third_goes(80, true), "the 50 that came back were not known when this was said");
    assert!(!third_goes(79, true), "one less than that was somebody else");
}
