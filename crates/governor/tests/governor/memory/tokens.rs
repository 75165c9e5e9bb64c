//! Spec G11 and G13: a process that starts anew gets no fresh minute of tokens.

use super::*;
use crate::support::{Fate, assert_weights_fit, limits};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_restart_at_any_moment_allows_no_more_tokens_in_any_window(
        chain in any_chain(),
        count in 100_u32..400,
        window_ms in 20_u64..3_000,
        record_of_calls in any::<bool>(),
    ) {
        let limit = Limit::tokens(count, Duration::from_millis(window_ms)).unwrap();
        let config = config([limit], Shape::Burst, Guard::Strict);
        let arrivals = SimClock::new().run(|clock| async move {
            let random = Random::seeded(chain.seed);
            let mut snapshot = Snapshot::default();
            let mut away = Duration::ZERO;
            let mut all = Weighed::new();
            for _ in 0..4 {
                let journeys = (0..chain.calls).map(|_| {
                    let journey = Journey::any(&random, chain.lives, chain.delay);
                    let estimate = (random.next_u64() % 100) as u32;
                    // What has no answer is never settled.
                    let answered = journey.fate == Fate::Answered;
                    let taken = (random.next_u64() % (u64::from(estimate) + 1)) as u32;
                    let tokens = if answered { taken } else { estimate };
                    Journey { estimate, tokens, ..journey }
                });
                // Of a process that keeps a record of calls only this much is saved; the record says nothing of tokens.
                let kept = if record_of_calls { snapshot.learnt_only() } else { snapshot };
                let from = (&kept, if chain.knows_pause { away } else { Duration::ZERO });
                let lives = draw(&random, chain.lives);
                let process = process(config.clone(), &clock, from, journeys.collect(), lives);
                let (left, arrivals) = process.await;
                snapshot = left;
                all.extend(arrivals);
                away = draw(&random, chain.pause);
                clock.sleep(away).await;
            }
            all
        });
        assert_weights_fit(&arrivals, &limit)?;
    }
}

#[test]
fn a_call_since_the_last_saving_counts_as_much_as_the_heaviest() {
    let at = Tick::from_millis;
    let config = config(["1000 tokens/min".parse().unwrap()], Shape::Burst, Guard::Strict);
    let mut core = Core::new(config.clone()).unwrap();
    for tokens in [300, 20] {
        let slot = core.admit_tokens(at(0), tokens).unwrap();
        core.seen(slot, at(1));
        core.settle(slot, 20);
        core.finish(slot, &Outcome::of(OutcomeClass::Success), at(1));
    }
    let saved = saved_and_read(&core.snapshot(at(2)).learnt_only());
    let mut restored = Core::new(config).unwrap();
    restored.restore(&saved, Duration::from_secs(1), at(1_000));
    assert_eq!(restored.status(at(1_000)).limits[0].used, 40);
    restored.remember_unsettled(at(900));
    restored.remember(at(900));
    assert_eq!(restored.status(at(1_000)).limits[0].used, 340);
}

#[test]
fn a_snapshot_of_a_busy_minute_is_short_and_counts_every_token_as_long_as_it_has_to() {
    let at = Tick::from_millis;
    let config = config(["100000 tokens/min".parse().unwrap()], Shape::Burst, Guard::Strict);
    let mut core = Core::new(config.clone()).unwrap();
    for n in 0..1_000 {
        let slot = core.admit_tokens(at(n), 50).unwrap();
        core.seen(slot, at(n));
    }
    let learnt = core.snapshot(at(1_000)).learnt_only();
    let text = serde_json::to_string(&learnt).unwrap();
    assert!(text.len() < 5_000, "{} bytes", text.len());
    let mut restored = Core::new(config).unwrap();
    restored.restore(&saved_and_read(&learnt), Duration::ZERO, at(1_000));
    assert_eq!(restored.status(at(1_000)).limits[0].used, 50_000);
    for now in [60_040, 60_400, 60_900].map(at) {
        let [before, after] =
            [&mut core, &mut restored].map(|core| core.status(now).limits[0].used);
        assert!((before..before + 250).contains(&after), "{before} {after}");
    }
}

#[test]
fn a_snapshot_from_before_tokens_were_kept_is_read() {
    let old = r#"{"limits":[{"limit":"500/min","counted_us":[[5,1]],"under_way":2},{"limit":"60000 tokens/min","counted_us":[],"under_way":0}],"gate_us":7}"#;
    let read: Snapshot = serde_json::from_str(old).unwrap();
    let mut core = Core::new(config(limits(&["500/min"]), Shape::Burst, Guard::Strict)).unwrap();
    core.restore(&read, Duration::ZERO, Tick::from_millis(60_000));
    assert_eq!(core.status(Tick::from_millis(60_000)).limits[0].used, 3);
}
