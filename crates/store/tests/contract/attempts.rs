//! Attempts on record, and the calls that a budget remembers (R7, G11).

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{
    AttemptClass, CellError, CellState, Column, RowId, Run, RunStatus, Scope, TaskReport, TaskStep,
    limits,
};

use crate::support::{Scene, attempt, each, finish};

/// Records one attempt of that number for row 1, which stays held.
async fn retry(scene: &Scene, run: &Run, number: u32) {
    let now = scene.clock.wall();
    let step = TaskStep::Retry { errors: 0, not_before: now, throttled_since: Some(now) };
    let attempt = Some(attempt(number, AttemptClass::Throttled, now));
    scene.store.record(run.id, 1, vec![TaskReport::new(RowId(1), attempt, step)]).await.unwrap();
    scene.sim.advance(Duration::from_secs(1));
}

async fn run_again(scene: &Scene, city: &Column) {
    let run = scene.start(city, Scope::All).await;
    scene.finish_all(&run, 1, CellState::Failed).await;
    scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
    scene.sim.advance(Duration::from_secs(1));
}

#[test]
fn an_attempt_comes_back_as_it_was() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let now = scene.clock.wall();
        let mut report = finish(1, CellState::Failed, now);
        let mut wanted = attempt(1, AttemptClass::ConfigurationCaused, now);
        wanted.sent_at = None;
        wanted.status = None;
        wanted.error = Some(CellError { code: "DNS".into(), message: "no such host".into() });
        report.attempt = Some(wanted.clone());
        scene.store.record(run.id, 1, vec![report]).await.unwrap();
        assert_eq!(scene.store.attempts(city.id, RowId(1)).await.unwrap(), [wanted]);
        let calls = scene.store.calls_since(city.id, Timestamp::default(), 9).await.unwrap();
        assert_eq!(calls, [], "nothing left this machine");
    });
}

#[test]
fn a_cell_keeps_its_newest_attempts_within_a_run() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let max = limits::ATTEMPTS_PER_CELL_MAX;
        for number in 1..=max + 5 {
            retry(&scene, &run, number).await;
        }
        let kept = scene.store.attempts(city.id, RowId(1)).await.unwrap();
        let numbers: Vec<u32> = kept.iter().map(|attempt| attempt.number).collect();
        assert_eq!(numbers, (6..=max + 5).collect::<Vec<_>>());
        // What is dropped from the cell's history is still known to the budget.
        let calls = scene.store.calls_since(city.id, Timestamp::default(), 1_000).await.unwrap();
        assert_eq!(calls.len(), max as usize + 5);
    });
}

#[test]
fn a_cell_keeps_its_newest_attempts_over_many_runs() {
    each(|scene| async move {
        let (_, city) = scene.filled(2).await;
        for _ in 0..limits::ATTEMPTS_PER_CELL_MAX + 3 {
            run_again(&scene, &city).await;
        }
        for row in [1, 2] {
            let kept = scene.store.attempts(city.id, RowId(row)).await.unwrap();
            assert_eq!(kept.len(), limits::ATTEMPTS_PER_CELL_MAX as usize);
            assert!(kept.is_sorted_by_key(|attempt| attempt.seen_at), "oldest first");
        }
    });
}

#[test]
fn a_cell_keeps_as_many_attempts_as_it_is_told_to() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let kept = async || {
            let kept = scene.store.attempts(city.id, RowId(1)).await.unwrap();
            kept.iter().map(|attempt| attempt.number).collect::<Vec<_>>()
        };
        scene.store.keep_attempts(3);
        for number in 1..=5 {
            retry(&scene, &run, number).await;
        }
        assert_eq!(kept().await, [3, 4, 5]);
        scene.store.keep_attempts(5);
        for number in 6..=9 {
            retry(&scene, &run, number).await;
        }
        assert_eq!(kept().await, [5, 6, 7, 8, 9]);
        scene.store.keep_attempts(1);
        retry(&scene, &run, 10).await;
        assert_eq!(kept().await, [10]);
    });
}

#[test]
fn calls_since_answers_the_newest_of_a_window_in_order() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let start = scene.clock.wall();
        for number in 1..=10 {
            retry(&scene, &run, number).await;
        }
        let seconds = |calls: Vec<paceline_model::SentRecord>| -> Vec<u64> {
            assert!(calls.iter().all(|c| c.seen_at.since(c.sent_at) == Duration::from_millis(20)));
            calls.iter().map(|call| call.sent_at.since(start).as_secs()).collect()
        };
        let since = |from: u64, max| {
            let store = scene.store.clone();
            async move {
                let since = start + Duration::from_secs(from);
                seconds(store.calls_since(city.id, since, max).await.unwrap())
            }
        };
        assert_eq!(since(7, 100).await, [7, 8, 9]);
        assert_eq!(since(0, 3).await, [7, 8, 9]);
        assert_eq!(since(0, 0).await, [] as [u64; 0]);
        assert_eq!(since(99, 100).await, [] as [u64; 0]);
        let other = paceline_model::ColumnId(city.id.0 + 1);
        assert_eq!(scene.store.calls_since(other, start, 100).await.unwrap(), []);
    });
}

#[test]
fn the_newest_calls_are_found_across_batches_that_overlap_in_time() {
    each(|scene| async move {
        let (_, city) = scene.filled(6).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 6).await;
        let start = scene.clock.wall();
        let at = |millis| start + Duration::from_millis(millis);
        for batch in [[(1, 100), (2, 900)], [(3, 500), (4, 600)], [(5, 50), (6, 1_000)]] {
            let reports =
                batch.map(|(row, millis)| finish(row, CellState::Completed, at(millis))).to_vec();
            scene.store.record(run.id, 1, reports).await.unwrap();
        }
        let calls = scene.store.calls_since(city.id, start, 4).await.unwrap();
        let sent: Vec<_> = calls.iter().map(|call| call.sent_at).collect();
        assert_eq!(sent, [500, 600, 900, 1_000].map(at));
    });
}
