//! What a dead process left behind, both ways (C7, R4).

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{
    AttemptClass, CellState, Counts, Recovery, RowId, RunId, Scope, TaskReport, TaskStep,
};

use crate::support::{Scene, attempt, claimed, each, finish, give_back, numbers};

/// Token 1 holds rows 1 to 4; rows 2 and 3 were about to be sent, row 3 for the second time.
async fn interrupted(scene: &Scene) -> (paceline_model::Run, paceline_model::Column, Timestamp) {
    let (_, city) = scene.filled(5).await;
    let run = scene.start(&city, Scope::All).await;
    scene.claim(&run, 1, 4).await;
    let now = scene.clock.wall();
    let step = TaskStep::Retry { errors: 1, not_before: now, throttled_since: None };
    let first = Some(attempt(1, AttemptClass::Transient, now));
    let report = TaskReport::new(RowId(3), first, step);
    scene.store.record(run.id, 1, vec![report]).await.unwrap();
    scene.sim.advance(Duration::from_secs(1));
    let intent_at = scene.clock.wall();
    let rows = [RowId(2), RowId(3)];
    assert_eq!(scene.store.record_intents(run.id, 1, &rows).await.unwrap(), rows);
    scene.sim.advance(Duration::from_secs(1));
    (run, city, intent_at)
}

#[test]
fn what_may_be_repeated_is_given_back() {
    each(|scene| async move {
        let (run, city, intent_at) = interrupted(&scene).await;
        assert_eq!(scene.store.recover_run(run.id, Recovery::Repeatable).await.unwrap(), 2);
        let attempts = scene.store.attempts(city.id, RowId(3)).await.unwrap();
        let last = attempts.last().unwrap();
        assert_eq!((last.number, last.class), (2, AttemptClass::Unknown));
        assert_eq!((last.sent_at, last.seen_at), (Some(intent_at), scene.clock.wall()));
        assert_eq!(last.error.as_ref().unwrap().code, "INTERRUPTED");
        let run = scene.store.run(run.id).await.unwrap().unwrap();
        assert_eq!(run.counts, Counts { total: 5, calls: 3, retries: 1, ..Counts::default() });
        let claim = scene.claim(&run, 2, 10).await;
        assert_eq!(claimed(&claim), [1, 2, 3, 4, 5]);
        assert_eq!(claim.tasks[2].attempts, 2, "numbers go on");
        assert_eq!(scene.states(city.id).await, []);
        let calls = scene.store.calls_since(city.id, intent_at, 10).await.unwrap();
        assert_eq!(calls.len(), 2, "the budget counts what may have been sent");
    });
}

#[test]
fn what_may_not_be_repeated_becomes_unknown() {
    each(|scene| async move {
        let (run, city, _) = interrupted(&scene).await;
        assert_eq!(scene.store.recover_run(run.id, Recovery::Once).await.unwrap(), 2);
        assert_eq!(scene.states(city.id).await, [(2, CellState::Unknown), (3, CellState::Unknown)]);
        let cells = scene.store.cells(city.id, RowId(2), RowId(2)).await.unwrap();
        let error = cells[0].error.as_ref().unwrap();
        assert_eq!(error.code, "INTERRUPTED");
        assert!(error.message.contains("check with the vendor"), "{}", error.message);
        let run = scene.store.run(run.id).await.unwrap().unwrap();
        let wanted = Counts { total: 5, unknown: 2, calls: 3, retries: 1, ..Counts::default() };
        assert_eq!(run.counts, wanted);
        assert_eq!(claimed(&scene.claim(&run, 2, 10).await), [1, 4, 5], "never handed out again");
        let (changes, _) = scene.store.changes_after(city.table, 0, 100).await.unwrap();
        let told = changes.into_iter().find_map(|change| match change.kind {
            paceline_model::ChangeKind::Cells { rows, .. } => Some(numbers(rows)),
            _ => None,
        });
        assert_eq!(told, Some(vec![2, 3]));
    });
}

#[test]
fn what_may_have_been_sent_counts_as_spent_at_its_price() {
    for recovery in [Recovery::Once, Recovery::Repeatable, Recovery::Reconciled] {
        each(|scene| async move {
            let (run, city, _) = interrupted(&scene).await;
            scene.store.recover_priced_run(run.id, recovery, 250).await.unwrap();
            let counts = scene.store.run(run.id).await.unwrap().unwrap().counts;
            // The first attempt at row 3 cost nothing.
            assert_eq!((counts.calls, counts.cost_micros), (3, 500), "{recovery:?}");
            let spent = scene.store.spent(city.id, scene.clock.wall()).await.unwrap();
            assert_eq!((spent.calls, spent.cost_micros), (3, 500), "{recovery:?}");
            let attempts = scene.store.attempts(city.id, RowId(3)).await.unwrap();
            let costs: Vec<u64> = attempts.iter().map(|attempt| attempt.cost_micros).collect();
            assert_eq!(costs, [0, 250], "{recovery:?}");
            let again = scene.store.recover_priced_run(run.id, recovery, 250).await.unwrap();
            let counts = scene.store.run(run.id).await.unwrap().unwrap().counts;
            assert_eq!((again, counts.cost_micros), (0, 500), "an intent is settled once");
        });
    }
}

#[test]
fn reports_of_the_dead_are_late() {
    each(|scene| async move {
        let (run, city, _) = interrupted(&scene).await;
        scene.store.recover_run(run.id, Recovery::Once).await.unwrap();
        let now = scene.clock.wall();
        let reports = [1, 2].map(|row| finish(row, CellState::Completed, now)).to_vec();
        let after = scene.store.record(run.id, 1, reports).await.unwrap();
        assert_eq!((after.counts.completed, after.counts.unknown), (0, 2));
        assert_eq!(scene.states(city.id).await.len(), 2);
    });
}

#[test]
fn recovering_twice_finds_nothing_more() {
    each(|scene| async move {
        let (run, _, _) = interrupted(&scene).await;
        scene.store.recover_run(run.id, Recovery::Repeatable).await.unwrap();
        let before = scene.store.run(run.id).await.unwrap();
        assert_eq!(scene.store.recover_run(run.id, Recovery::Repeatable).await.unwrap(), 0);
        assert_eq!(scene.store.run(run.id).await.unwrap(), before);
        let missing = scene.store.recover_run(RunId(99), Recovery::Repeatable).await.unwrap_err();
        assert_eq!(missing.code(), "NOT_FOUND");
    });
}

#[test]
fn what_is_reported_of_a_call_settles_its_intent() {
    each(|scene| async move {
        let (run, city, _) = interrupted(&scene).await;
        let now = scene.clock.wall();
        let step = TaskStep::Retry { errors: 2, not_before: now, throttled_since: None };
        let second = Some(attempt(2, AttemptClass::Transient, now));
        let retried = TaskReport::new(RowId(3), second, step);
        scene.store.record(run.id, 1, vec![give_back(2), retried]).await.unwrap();
        assert_eq!(claimed(&scene.claim(&run, 2, 1).await), [2]);
        // Both are held and neither is on its way.
        assert_eq!(scene.store.recover_run(run.id, Recovery::Once).await.unwrap(), 4);
        assert_eq!(scene.states(city.id).await, []);
        assert_eq!(scene.store.attempts(city.id, RowId(2)).await.unwrap(), []);
    });
}
