//! What goes wrong at a vendor, seen from the cell and from the run.

use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_lab::{AiConfig, AiDialect, AiFaultLaw};
use paceline_model::{ColumnType, Run, RunStatus, Table};
use serde_json::Value as Json;

use crate::support::{World, config, rate};

fn faulty(law: &str) -> AiConfig {
    AiConfig { faults: law.parse().unwrap(), ..AiConfig::default() }
}

/// A run of a few rows at a vendor.
async fn run(
    clock: &Clock,
    lab: AiConfig,
    dialect: AiDialect,
    kind: ColumnType,
) -> (World, Table, Run) {
    let world = World::new(lab, clock);
    let table = world.rows(3).await;
    let config = config(dialect, "Rate {{n}}");
    let table = world.add(&table, kind, &[], config, rate(&[], 1)).await.unwrap();
    let run = world.run(&table).await;
    (world, table, run)
}

#[test]
fn an_answer_that_is_none_fails_its_cell_with_what_to_do() {
    use ColumnType::{Number, Text};
    for (law, kind, code, word) in [
        ("length:1", Text, "AI_TRUNCATED", "raise max_tokens"),
        ("length:1", Number, "AI_TRUNCATED", "raise max_tokens"),
        ("refusal:1", Text, "AI_REFUSED", "change the prompt"),
        ("blocked:1", Text, "AI_REFUSED", "change the prompt"),
        ("empty:1", Text, "AI_EMPTY", "with nothing"),
        ("garbled:1", Number, "AI_FORMAT", "not JSON"),
        ("misshapen:1", Number, "AI_FORMAT", "$.value is missing"),
    ] {
        for dialect in AiDialect::ALL {
            SimClock::new().run(|clock| async move {
                let (world, table, run) = run(&clock, faulty(law), dialect, kind).await;
                assert_eq!(run.status, RunStatus::CompletedWithErrors, "{law} {dialect:?}");
                let errors = world.errors(&table).await;
                assert_eq!(errors.len(), 3, "{law} {dialect:?}");
                let (found, message) = &errors[0];
                assert!(found == code && message.contains(word), "{law} {dialect:?}: {errors:?}");
                assert_eq!(world.stats(dialect).accepted, 3, "{law} {dialect:?}: not asked again");
            });
        }
    }
}

#[test]
fn an_account_without_money_stops_the_run_at_once_and_no_cell_fails() {
    for dialect in AiDialect::ALL {
        SimClock::new().run(|clock| async move {
            let lab = faulty("quota:1");
            let (world, table, run) = run(&clock, lab, dialect, ColumnType::Text).await;
            assert_eq!(run.status, RunStatus::Paused, "{dialect:?}");
            let reason = run.reason.unwrap();
            assert!(
                reason.starts_with("configuration: ") && reason.contains("nothing left to spend"),
                "{reason}"
            );
            assert_eq!(clock.now().as_millis(), 0, "{dialect:?} waited");
            assert_eq!(world.stats(dialect).accepted, 1, "{dialect:?}");
            assert!(!world.states(&table).await.contains_key("failed"), "{dialect:?}");

            world.vendors.0.set_faults(AiFaultLaw::none());
            world.engine.resume_run(run.id).await.unwrap();
            assert_eq!(world.engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
            assert_eq!(world.states(&table).await["completed"], 3);
        });
    }
}

#[test]
fn a_model_that_does_not_exist_stops_the_run() {
    for dialect in AiDialect::ALL {
        SimClock::new().run(|clock| async move {
            let lab = AiConfig { models: vec!["other".to_owned()], ..AiConfig::default() };
            let (world, _, run) = run(&clock, lab, dialect, ColumnType::Text).await;
            assert_eq!(run.status, RunStatus::Paused, "{dialect:?}");
            assert!(run.reason.unwrap().contains("there is no model \"m\""), "{dialect:?}");
            assert_eq!(world.stats(dialect).invalid, 1, "{dialect:?}");
        });
    }
}

#[test]
fn a_key_that_is_refused_trips_the_breaker_by_the_third_call_in_each_vendors_words() {
    for dialect in AiDialect::ALL {
        SimClock::new().run(|clock| async move {
            let lab = AiConfig { keys: vec!["another".to_owned()], ..AiConfig::default() };
            let world = World::new(lab, &clock);
            let table = world.table(50, config(dialect, "Rate {{n}}"), rate(&[], 1)).await;
            let run = world.run(&table).await;
            assert_eq!(run.status, RunStatus::Paused, "{dialect:?}");
            assert!(run.reason.unwrap().contains("credential was refused 3 times"), "{dialect:?}");
            assert_eq!(world.stats(dialect).unauthorized, 3, "{dialect:?}");
        });
    }
}

#[test]
fn a_storm_of_refusals_and_an_overload_are_waited_out() {
    for law in ["429=2:1@0s..20s", "overloaded:0.1", "500:0.05,429:0.2"] {
        for dialect in AiDialect::ALL {
            SimClock::new().run(|clock| async move {
                let world = World::new(faulty(law), &clock);
                let limits = ["500/min", "60000 tokens/min"];
                let table =
                    world.table(200, config(dialect, "Rate {{n}}"), rate(&limits, 16)).await;
                let run = world.run(&table).await;
                let errors = world.errors(&table).await;
                assert_eq!(
                    run.status,
                    RunStatus::Completed,
                    "{law} {dialect:?}: {:?} {errors:?}",
                    run.reason
                );
                assert_eq!(world.states(&table).await["completed"], 200, "{law} {dialect:?}");
                assert_eq!(world.stats(dialect).served, 200, "{law} {dialect:?}");
                if law.contains("20s") {
                    // Its length and a minute; once the window came back slot by slot, and it took ten.
                    println!("{dialect:?}: over after {} ms", clock.now().as_millis());
                    assert!((20_000..80_000).contains(&clock.now().as_millis()));
                }
            });
        }
    }
}

#[test]
fn a_prompt_that_never_fits_into_the_limit_fails_alone() {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let mut asked = config(AiDialect::OpenAi, "Rate {{n}}");
        asked["max_tokens"] = Json::from(5_000);
        let table = world.table(2, asked, rate(&["1000 tokens/min"], 4)).await;
        let run = world.run(&table).await;
        assert_eq!(run.status, RunStatus::CompletedWithErrors);
        assert_eq!(world.errors(&table).await[0].0, "TOO_MANY_TOKENS");
        assert_eq!(world.stats(AiDialect::OpenAi).accepted, 0);
        assert!(clock.now().as_millis() < Duration::from_secs(1).as_millis() as u64);
    });
}
