//! Requests and tokens against their limits, what each vendor tells of them, and the verdict.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{AiConfig, AiDialect, AiDialectStats, AiStats, ai_text, ai_tokens};

use super::{question, vendor};

fn of(stats: &AiStats, dialect: AiDialect) -> AiDialectStats {
    match dialect {
        AiDialect::OpenAi => stats.openai.clone(),
        AiDialect::Anthropic => stats.anthropic.clone(),
        AiDialect::Google => stats.google.clone(),
    }
}

fn limited(requests: &str, tokens: &str, policy: &str) -> AiConfig {
    AiConfig {
        requests: vec![requests.parse().unwrap()],
        tokens: vec![tokens.parse().unwrap()],
        policy: policy.parse().unwrap(),
        ..AiConfig::default()
    }
}

#[test]
fn requests_over_their_limit_are_refused_with_the_wait_where_each_vendor_says_it() {
    for dialect in AiDialect::ALL {
        SimClock::new().run(|clock| async move {
            let vendor = vendor(limited("2/min", "9999/min", "log"), clock.clone());
            for at_s in [0, 5] {
                clock.sleep(Duration::from_secs(at_s)).await;
                assert_eq!(vendor.handle(question(dialect, "hi", 9)).await.status(), Some(200));
            }
            let refused = vendor.handle(question(dialect, "hi", 9)).await;
            assert_eq!(refused.status(), Some(429));
            let json = refused.json();
            match dialect {
                AiDialect::OpenAi => {
                    let message = json["error"]["message"].as_str().unwrap();
                    assert!(
                        message.contains("(RPM)") && message.contains("try again in 55s"),
                        "{message}"
                    );
                    assert_eq!(json["error"]["type"], "requests");
                    assert_eq!(refused.header("x-ratelimit-remaining-requests"), Some("0"));
                    assert_eq!(refused.header("retry-after"), None);
                }
                AiDialect::Anthropic => {
                    assert_eq!(json["error"]["type"], "rate_limit_error");
                    assert_eq!(refused.header("retry-after"), Some("55"));
                    assert_eq!(refused.header("anthropic-ratelimit-requests-remaining"), Some("0"));
                }
                AiDialect::Google => {
                    assert_eq!(json["error"]["status"], "RESOURCE_EXHAUSTED");
                    assert_eq!(json["error"]["details"][1]["retryDelay"], "55s");
                }
            }
            clock.sleep(Duration::from_secs(55)).await;
            assert_eq!(vendor.handle(question(dialect, "hi", 9)).await.status(), Some(200));
            let stats = of(&vendor.stats(), dialect);
            assert_eq!((stats.accepted, stats.refused, stats.refused_for_tokens), (3, 1, 0));
            assert_eq!(stats.requests[0].busiest, 2);
        });
    }
}

#[test]
fn a_call_is_charged_what_it_may_take_and_settled_to_what_it_took() {
    // 10 tokens of prompt, 100 reserved for the answer; the answer takes its own.
    let prompt = "p".repeat(40);
    let took = 10 + ai_tokens(&ai_text(&prompt));
    for dialect in [AiDialect::OpenAi, AiDialect::Anthropic] {
        let prompt = prompt.clone();
        SimClock::new().run(|clock| async move {
            let config = AiConfig {
                service: "1000".parse().unwrap(),
                ..limited("100/min", "150/min", "fixed")
            };
            let vendor = vendor(config, clock.clone());
            let first = vendor.handle(question(dialect, &prompt, 100));
            let second = async {
                clock.sleep(Duration::from_millis(500)).await;
                vendor.handle(question(dialect, &prompt, 100)).await
            };
            let (first, second) = join(first, second).await;
            assert_eq!((first.status(), second.status()), (Some(200), Some(429)), "{dialect:?}");
            assert_eq!(vendor.handle(question(dialect, &prompt, 100)).await.status(), Some(200));
            let stats = of(&vendor.stats(), dialect);
            assert_eq!(stats.refused_for_tokens, 1);
            assert_eq!(stats.tokens[0].busiest, 2 * took);
            assert_eq!(stats.input_tokens + stats.output_tokens, 2 * took);
            assert_eq!((stats.distinct, stats.repeated, stats.in_flight_max), (1, 1, 1));
        });
    }
}

#[test]
fn google_counts_the_prompt_alone() {
    SimClock::new().run(|clock| async move {
        let vendor = vendor(limited("100/min", "25/min", "fixed"), clock);
        let prompt = "p".repeat(40);
        for status in [200, 200, 429] {
            let answer = vendor.handle(question(AiDialect::Google, &prompt, 5_000)).await;
            assert_eq!(answer.status(), Some(status));
        }
    });
}

#[test]
fn what_is_left_is_told_in_each_vendors_headers() {
    SimClock::new().run(|clock| async move {
        let vendor = vendor(limited("60/min", "600/min", "bucket"), clock);
        let openai = vendor.handle(question(AiDialect::OpenAi, "12345678", 98)).await;
        for (name, value) in [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "600"),
            ("x-ratelimit-remaining-tokens", "500"),
            ("x-ratelimit-reset-tokens", "10s"),
        ] {
            assert_eq!(openai.header(name), Some(value), "{name}");
        }
        let anthropic = vendor.handle(question(AiDialect::Anthropic, "12345678", 98)).await;
        assert_eq!(anthropic.header("anthropic-ratelimit-tokens-remaining"), Some("500"));
        let reset = anthropic.header("anthropic-ratelimit-tokens-reset").unwrap();
        assert!(reset.ends_with(":10.000Z"), "{reset}");
    });
}

#[test]
fn faults_strike_after_the_limits_and_give_the_tokens_back() {
    SimClock::new().run(|clock: Clock| async move {
        let config = AiConfig {
            faults: "429=7:1@0s..10s,quota:1@10s..20s,overloaded:1@20s..30s,500:1@30s.."
                .parse()
                .unwrap(),
            ..limited("100/min", "110/min", "fixed")
        };
        let vendor = vendor(config, clock.clone());
        let mut seen = Vec::new();
        for _ in 0..4 {
            for dialect in AiDialect::ALL {
                let answer = vendor.handle(question(dialect, "hi", 100)).await;
                seen.push(answer.status().unwrap());
            }
            clock.sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(seen, [429, 429, 429, 429, 429, 403, 503, 529, 503, 500, 500, 500]);
        assert_eq!(vendor.stats().anthropic.refused, 0);
    });
}

/// Both of two futures.
async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (Box::pin(a), Box::pin(b));
    let (mut of_a, mut of_b) = (None, None);
    std::future::poll_fn(|cx| {
        if of_a.is_none()
            && let std::task::Poll::Ready(done) = a.as_mut().poll(cx)
        {
            of_a = Some(done);
        }
        if of_b.is_none()
            && let std::task::Poll::Ready(done) = b.as_mut().poll(cx)
        {
            of_b = Some(done);
        }
        if of_a.is_some() && of_b.is_some() {
            return std::task::Poll::Ready(());
        }
        std::task::Poll::Pending
    })
    .await;
    (of_a.unwrap(), of_b.unwrap())
}
