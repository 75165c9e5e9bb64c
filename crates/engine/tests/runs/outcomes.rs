//! Spec G7 to G10, R7: each outcome's one reaction, seen from the cell.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_engine::Engine;
use paceline_governor::Transport;
use paceline_model::{AttemptClass, Run, RunStatus, Scope, Table, Value};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Act, COLUMN, Scripted, column, engine, get, rate, states, table, values};

struct Ended {
    engine: Engine,
    table: Table,
    provider: Arc<Scripted>,
    run: Run,
    elapsed: Duration,
}

async fn run(
    clock: &Clock,
    rows: usize,
    config: Json,
    concurrent_max: u32,
    script: impl Fn(usize, &paceline_engine::Request) -> Act + Send + Sync + 'static,
) -> Ended {
    let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
    let provider = Scripted::new(clock, script);
    let engine = engine(&store, clock, provider.clone());
    let table = table(&engine, rows, config, rate(&[], concurrent_max)).await;
    let began = clock.now();
    let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
    let run = engine.wait(run.id).await.unwrap();
    Ended { engine, table, provider, run, elapsed: clock.now() - began }
}

#[test]
fn every_cell_gets_the_value_of_its_own_row() {
    SimClock::new().run(|clock| async move {
        let ended =
            run(&clock, 1_000, get(), 7, |n, _| Act::Answer(200, 10 + (n as u64 * 37) % 90)).await;
        assert_eq!(ended.run.status, RunStatus::Completed);
        let values = values(&ended.engine, &ended.table).await;
        let wanted: Vec<Value> = (1..=1_000).map(|n| Value::Json(json!(format!("/{n}")))).collect();
        assert_eq!(values, wanted);
        assert_eq!(ended.provider.count(), 1_000);
    });
}

#[test]
fn three_retries_wait_one_two_and_four_seconds_and_then_the_cell_fails() {
    SimClock::new().run(|clock| async move {
        let ended = run(&clock, 1, get(), 1, |_, _| Act::Answer(500, 0)).await;
        assert_eq!(ended.elapsed, Duration::from_secs(7));
        assert_eq!(ended.run.status, RunStatus::CompletedWithErrors);
        let attempts = ended
            .engine
            .store()
            .attempts(column(&ended.table), paceline_model::RowId(1))
            .await
            .unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert!(attempts.iter().all(|attempt| attempt.status == Some(500)));
        assert!(attempts[3].error.as_ref().unwrap().message.contains("HTTP 500"));
        assert_eq!((ended.run.counts.calls, ended.run.counts.retries), (4, 3));
    });
}

#[test]
fn a_fault_at_any_one_call_is_healed_by_a_retry() {
    for kind in [Transport::Connect, Transport::Broken, Transport::Timeout] {
        for faulty in 0..20 {
            SimClock::new().run(|clock| async move {
                let script = move |n, _: &_| {
                    if n == faulty { Act::Break(kind, 5) } else { Act::Answer(200, 5) }
                };
                let ended = run(&clock, 20, get(), 3, script).await;
                assert_eq!(ended.run.status, RunStatus::Completed, "{kind:?} at call {faulty}");
                assert_eq!(ended.provider.count(), 21);
                assert_eq!(states(&ended.engine, &ended.table).await["completed"], 20);
            });
        }
    }
}

#[test]
fn throttled_calls_use_up_no_retry() {
    SimClock::new().run(|clock| async move {
        // Six refusals in a row: twice as many as there are retries.
        let ended =
            run(&clock, 1, get(), 1, |n, _| Act::Answer(if n < 6 { 429 } else { 200 }, 0)).await;
        assert_eq!(ended.run.status, RunStatus::Completed);
        assert_eq!((ended.run.counts.throttled, ended.run.counts.calls), (6, 7));
    });
}

#[test]
fn without_any_limit_a_storm_of_429s_is_waited_out_in_longer_and_longer_steps() {
    SimClock::new().run(|clock| async move {
        let (storm, at) = (clock.now() + Duration::from_secs(10), clock.clone());
        let script = move |_, _: &_| Act::Answer(if at.now() < storm { 429 } else { 200 }, 20);
        let ended = run(&clock, 100, get(), 6, script).await;
        assert_eq!((ended.run.status, ended.run.counts.failed), (RunStatus::Completed, 0));
        // Six at once after 0 and 1 s, then one alone after 3 and 7 s; the fifth time they come through.
        assert_eq!(ended.run.counts.throttled, 14);
        assert_eq!(ended.elapsed.as_secs(), 15);
    });
}

#[test]
fn a_throttle_that_never_ends_pauses_the_run_at_its_deadline_and_no_cell_fails() {
    SimClock::new().run(|clock| async move {
        let ended = run(&clock, 1, get(), 1, |_, _| Act::Answer(429, 0)).await;
        assert_eq!((ended.run.status, ended.run.counts.failed), (RunStatus::Paused, 0));
        assert!(
            ended.elapsed >= Duration::from_secs(900) && ended.elapsed < Duration::from_secs(1_000)
        );
        let reason = ended.run.reason.unwrap();
        assert!(reason.starts_with("throttled: ") && reason.contains("429"), "{reason}");
    });
}

#[test]
fn what_the_row_caused_is_not_tried_again_and_says_why() {
    SimClock::new().run(|clock| async move {
        let script = |_, request: &paceline_engine::Request| match request.url.path() {
            "/3" => Act::Answer(404, 0),
            "/5" => Act::Garbage,
            _ => Act::Answer(200, 0),
        };
        let ended = run(&clock, 8, get(), 2, script).await;
        assert_eq!(ended.provider.count(), 8);
        let cells = ended.engine.store().cells(
            column(&ended.table),
            paceline_model::RowId(1),
            paceline_model::RowId(8),
        );
        let failed: Vec<_> = cells
            .await
            .unwrap()
            .into_iter()
            .filter_map(|cell| cell.error.map(|error| (cell.row.0, error.code)))
            .collect();
        assert_eq!(failed, [(3, "HTTP_STATUS".to_owned()), (5, "NOT_JSON".to_owned())]);
    });
}

#[test]
fn a_missing_value_costs_no_call() {
    SimClock::new().run(|clock| async move {
        let config = json!({"url": "http://vendor.example/{{n.nowhere}}"});
        let ended = run(&clock, 5, config, 2, |_, _| Act::Answer(200, 0)).await;
        assert_eq!(ended.provider.count(), 0);
        assert_eq!(states(&ended.engine, &ended.table).await["failed"], 5);
    });
}

#[test]
fn a_post_that_may_have_arrived_is_unknown_and_never_sent_twice() {
    SimClock::new().run(|clock| async move {
        let config =
            json!({"url": "http://vendor.example/{{n}}", "method": "POST", "body": {"n": "{{n}}"}});
        let script = |n, _: &_| match n {
            1 => Act::Break(Transport::Timeout, 10),
            2 => Act::Answer(504, 0),
            3 => Act::Break(Transport::Connect, 0),
            4 => Act::Answer(503, 0),
            _ => Act::Answer(200, 0),
        };
        let ended = run(&clock, 6, config, 1, script).await;
        let states = states(&ended.engine, &ended.table).await;
        assert_eq!(
            (states["completed"], states["unknown"]),
            (4, 2),
            "what never left, and what was refused, is tried again"
        );
        let calls = ended.provider.calls.lock().unwrap().clone();
        assert_eq!(calls.iter().filter(|path| *path == "/2").count(), 1);
        assert_eq!(calls.iter().filter(|path| *path == "/3").count(), 1);
    });
}

#[test]
fn attempts_of_one_cell_carry_one_idempotency_key_and_no_two_cells_the_same() {
    SimClock::new().run(|clock| async move {
        let keys = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&keys);
        let script = move |n, request: &paceline_engine::Request| {
            let key = request
                .headers
                .iter()
                .find(|(name, _)| name == "idempotency-key")
                .unwrap()
                .1
                .clone();
            seen.lock().unwrap().push((request.url.path().to_owned(), key));
            Act::Answer(if n % 3 == 0 { 500 } else { 200 }, 0)
        };
        let ended = run(&clock, 30, get(), 1, script).await;
        assert_eq!(ended.run.status, RunStatus::Completed);
        let keys = keys.lock().unwrap();
        let pairs: std::collections::BTreeSet<_> =
            keys.iter().map(|(path, key)| (path, key.as_bytes())).collect();
        let distinct: std::collections::BTreeSet<_> =
            keys.iter().map(|(_, key)| key.as_bytes()).collect();
        assert_eq!((pairs.len(), distinct.len()), (30, 30));
        assert!(keys.len() > 30);
    });
}

#[test]
fn a_broken_endpoint_pauses_the_run_within_twenty_calls() {
    SimClock::new().run(|clock| async move {
        let ended = run(&clock, 500, get(), 6, |_, _| Act::Answer(500, 20)).await;
        assert_eq!(ended.run.status, RunStatus::Paused);
        assert!(ended.provider.count() <= 20, "{} calls", ended.provider.count());
        let reason = ended.run.reason.unwrap();
        assert!(reason.contains("HTTP 500") && reason.contains("resume"), "{reason}");
        assert_eq!(
            states(&ended.engine, &ended.table).await.get("failed"),
            None,
            "no cell is to blame"
        );
    });
}

#[test]
fn a_refused_key_pauses_after_three_and_no_cell_fails() {
    SimClock::new().run(|clock| async move {
        let ended = run(&clock, 50, get(), 1, |_, _| Act::Answer(401, 5)).await;
        assert_eq!(ended.run.status, RunStatus::Paused);
        assert_eq!(ended.provider.count(), 3);
        assert!(ended.run.reason.unwrap().contains("401"));
        assert_eq!(states(&ended.engine, &ended.table).await.len(), 0);
        let first = ended
            .engine
            .store()
            .attempts(column(&ended.table), paceline_model::RowId(1))
            .await
            .unwrap();
        assert_eq!(first[0].class, AttemptClass::ConfigurationCaused);
    });
}
