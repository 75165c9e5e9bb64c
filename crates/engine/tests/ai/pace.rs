//! Spec G13 through the whole engine: two limits at once, of requests and of tokens; nothing is refused, and the tokens
//! are used up as fast as the limit allows.

use std::time::Duration;

use paceline_clock::SimClock;
use paceline_lab::{AiConfig, AiDialect};
use paceline_model::{RunStatus, Scope};

use crate::support::{World, config, rate};

const ROWS: usize = 2_000;
const LIMITS: [&str; 2] = ["500/min", "60000 tokens/min"];

/// What one run came to.
struct Paced {
    refused: u64,
    /// Tokens that counted against the limit.
    tokens: u64,
    elapsed: Duration,
}

fn paced(dialect: AiDialect, policy: &str, seed: u64) -> Paced {
    SimClock::new().run(|clock| async move {
        let lab = AiConfig {
            requests: vec!["500/min".parse().unwrap()],
            tokens: vec!["60000/min".parse().unwrap()],
            policy: policy.parse().unwrap(),
            net: "1..30".parse().unwrap(),
            service: "200..900".parse().unwrap(),
            seed,
            ..AiConfig::default()
        };
        let world = World::new(lab, &clock);
        let prompt = format!("{} {{{{n}}}}", "Tell me more. ".repeat(57));
        let table = world.table(ROWS, config(dialect, &prompt), rate(&LIMITS, 64)).await;
        let began = clock.now();
        let run = world.run(&table).await;
        assert_eq!(run.status, RunStatus::Completed, "{:?}", run.reason);
        let stats = world.stats(dialect);
        assert_eq!((stats.served, stats.distinct), (2_000, 2_000));
        let output = if dialect == AiDialect::Google { 0 } else { stats.output_tokens };
        let tokens = stats.input_tokens + output;
        Paced { refused: stats.refused, tokens, elapsed: clock.now() - began }
    })
}

/// `cargo test -p paceline-engine --test ai two_thousand -- --nocapture` prints what was measured.
#[test]
fn two_thousand_rows_use_the_tokens_of_each_minute_and_none_is_refused() {
    for (dialect, seed) in AiDialect::ALL.into_iter().zip(1..) {
        for policy in ["bucket", "log", "fixed"] {
            let Paced { refused, tokens, elapsed } = paced(dialect, policy, seed);
            // The last call cannot go before all tokens but the last window's have been counted.
            let windows = tokens.div_ceil(60_000) - 1;
            let used = (windows * 60) as f64 / elapsed.as_secs_f64();
            println!(
                "{dialect:?} {policy}: refused {refused}, {tokens} tokens in {elapsed:?}, {used:.3}"
            );
            assert_eq!(refused, 0, "{dialect:?} {policy}");
            assert!(used >= 0.93, "{dialect:?} {policy}: {used}");
        }
    }
}

#[test]
fn a_restart_within_a_minute_gets_no_fresh_tokens() {
    for (lives_s, policy) in [(1, "log"), (5, "log"), (5, "fixed"), (70, "log")] {
        SimClock::new().run(|clock| async move {
            let lab = AiConfig {
                tokens: vec!["6000/min".parse().unwrap()],
                policy: policy.parse().unwrap(),
                net: "1..30".parse().unwrap(),
                service: "200..900".parse().unwrap(),
                ..AiConfig::default()
            };
            let world = World::new(lab, &clock);
            let prompt = format!("{} {{{{n}}}}", "Tell me more. ".repeat(57));
            let limits = ["500/min", "6000 tokens/min"];
            let dialect = AiDialect::OpenAi;
            let table = world.table(80, config(dialect, &prompt), rate(&limits, 8)).await;
            let run = world.engine.start_run(&table, "answer", Scope::All).await.unwrap();
            clock.sleep(Duration::from_secs(lives_s)).await;
            let world = world.restarted(&clock).await;
            assert!(world.stats(dialect).served > 0, "{lives_s} s");
            world.engine.resume_run(run.id).await.unwrap();
            let run = world.engine.wait(run.id).await.unwrap();
            assert_eq!(run.status, RunStatus::Completed, "{:?}", run.reason);
            let stats = world.stats(dialect);
            assert_eq!((stats.served, stats.refused), (80, 0), "{lives_s} s, {policy}");
        });
    }
}
