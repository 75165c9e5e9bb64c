//! Claims and leases (R3, R4): order, fencing, expiry.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{CellState, RowId, RunId, RunStatus, Scope, TaskReport, TaskStep, Value};

use crate::support::{LEASE, claimed, each, finish, give_back, lease, numbers};

#[test]
fn tasks_come_in_row_order_with_their_inputs() {
    each(|scene| async move {
        let (table, city) = scene.filled(5).await;
        let run = scene.start(&city, Scope::All).await;
        let inputs = [table.columns[1].id, table.columns[0].id];
        let claim = scene.store.claim_tasks(run.id, &inputs, lease(1), 3).await.unwrap();
        assert_eq!((claimed(&claim), claim.exhausted), (vec![1, 2, 3], false));
        let task = &claim.tasks[1];
        assert_eq!(task.inputs, [Value::Int(2), Value::Text("2@example.com".into())]);
        assert_eq!((task.errors, task.attempts, task.not_before), (0, 0, None));
        let rest = scene.claim(&run, 1, 3).await;
        assert_eq!((claimed(&rest), rest.exhausted), (vec![4, 5], true));
        let none = scene.claim(&run, 1, 3).await;
        assert_eq!((claimed(&none), none.exhausted), (vec![], true));
    });
}

#[test]
fn a_lease_that_ran_out_is_claimable_and_a_renewed_one_is_not() {
    each(|scene| async move {
        let (_, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        scene.claim(&run, 2, 1).await;
        scene.sim.advance(LEASE / 2);
        assert_eq!(scene.store.renew_leases(lease(2)).await.unwrap(), 1);
        assert_eq!(claimed(&scene.claim(&run, 3, 10).await), [] as [i64; 0]);
        scene.sim.advance(LEASE / 2);
        assert_eq!(claimed(&scene.claim(&run, 3, 10).await), [1]);
        assert_eq!(scene.store.renew_leases(lease(1)).await.unwrap(), 0, "it holds nothing now");
    });
}

#[test]
fn who_renewed_too_late_still_holds_what_nobody_took() {
    each(|scene| async move {
        let (_, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        scene.sim.advance(LEASE * 60);
        assert_eq!(claimed(&scene.claim(&run, 1, 10).await), [2], "not its own task again");
        let now = scene.clock.wall();
        let run = scene
            .store
            .record(run.id, 1, vec![finish(1, CellState::Completed, now)])
            .await
            .unwrap();
        assert_eq!(run.counts.completed, 1);
    });
}

#[test]
fn a_late_report_only_keeps_its_attempt() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        scene.sim.advance(LEASE);
        scene.claim(&run, 2, 1).await;
        let now = scene.clock.wall();
        let late =
            scene.store.record(run.id, 1, vec![finish(1, CellState::Failed, now)]).await.unwrap();
        assert_eq!((late.counts.ended(), late.counts.calls), (0, 0));
        assert_eq!(scene.states(city.id).await, []);
        let later = now + Duration::from_secs(1);
        let run = scene
            .store
            .record(run.id, 2, vec![finish(1, CellState::Completed, later)])
            .await
            .unwrap();
        assert_eq!((run.counts.completed, run.counts.calls), (1, 1));
        assert_eq!(scene.states(city.id).await, [(1, CellState::Completed)]);
        // Both have number 1 and both are kept.
        let attempts = scene.store.attempts(city.id, RowId(1)).await.unwrap();
        assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 1]);
        let calls = scene.store.calls_since(city.id, Timestamp::default(), 10).await.unwrap();
        assert_eq!(calls.len(), 2, "a late call was a call all the same");
    });
}

#[test]
fn cancelling_ends_the_tasks() {
    each(|scene| async move {
        let (_, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        let now = scene.clock.wall();
        let run = scene
            .store
            .record(run.id, 1, vec![finish(1, CellState::Completed, now)])
            .await
            .unwrap();
        assert_eq!((run.status, run.counts.ended()), (RunStatus::Cancelled, 0));
        assert_eq!(scene.states(city.id).await, []);
        assert_eq!(
            scene.store.attempts(city.id, RowId(1)).await.unwrap().len(),
            1,
            "kept on record"
        );
        let claim = scene.claim(&run, 1, 10).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![], true));
        assert_eq!(scene.store.renew_leases(lease(1)).await.unwrap(), 0);
    });
}

#[test]
fn what_is_given_back_goes_first_and_keeps_what_was_known() {
    each(|scene| async move {
        let (_, city) = scene.filled(5).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 3).await;
        let now = scene.clock.wall();
        let retry = TaskStep::Retry {
            errors: 1,
            not_before: now + Duration::from_secs(5),
            throttled_since: Some(now),
        };
        let attempt = finish(2, CellState::Failed, now).attempt;
        let waiting = TaskReport::new(RowId(2), attempt, retry);
        scene.store.record(run.id, 1, vec![waiting]).await.unwrap();
        scene.store.record(run.id, 1, vec![give_back(3), give_back(2)]).await.unwrap();
        let claim = scene.claim(&run, 2, 3).await;
        assert_eq!(claimed(&claim), [2, 3, 4]);
        let task = &claim.tasks[0];
        assert_eq!((task.errors, task.attempts, task.throttled_since), (1, 1, Some(now)));
        assert_eq!(task.not_before, Some(now + Duration::from_secs(5)));
    });
}

#[test]
fn a_retry_stays_with_its_holder() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let now = scene.clock.wall();
        let step = TaskStep::Retry { errors: 1, not_before: now, throttled_since: None };
        let attempt = finish(1, CellState::Failed, now).attempt;
        let report = TaskReport::new(RowId(1), attempt, step);
        scene.store.record(run.id, 1, vec![report]).await.unwrap();
        assert_eq!(claimed(&scene.claim(&run, 2, 1).await), [] as [i64; 0]);
        let run = scene
            .store
            .record(run.id, 1, vec![finish(1, CellState::Completed, now)])
            .await
            .unwrap();
        assert_eq!(run.counts.completed, 1);
    });
}

#[test]
fn an_intent_is_answered_for_what_is_held_and_keeps_the_clock_from_giving_it_away() {
    each(|scene| async move {
        let (_, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        scene.claim(&run, 2, 1).await;
        let rows = [RowId(1), RowId(3), RowId(9)];
        let held = scene.store.record_intents(run.id, 1, &rows).await.unwrap();
        assert_eq!(numbers(held), [1]);
        scene.sim.advance(LEASE);
        // Row 1 may have been sent: whoever takes it by the clock alone might send it twice.
        assert_eq!(claimed(&scene.claim(&run, 3, 10).await), [2, 3]);
        // Its holder is back and says that it was not sent.
        scene.store.record(run.id, 1, vec![give_back(1)]).await.unwrap();
        assert_eq!(claimed(&scene.claim(&run, 3, 10).await), [1]);
    });
}

#[test]
fn a_claim_passes_over_a_long_stretch_of_filled_cells() {
    each(|scene| async move {
        let (table, city) = scene.filled(45_000).await;
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Completed).await;
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        scene.add_rows(&table, 2).await;
        let run = scene.start(&city, Scope::Empty).await;
        assert_eq!(run.counts.total, 2);
        let claim = scene.claim(&run, 1, 1).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![45_001], false));
        let claim = scene.claim(&run, 1, 1).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![45_002], true));
    });
}

#[test]
fn a_run_that_is_not_there_is_missing() {
    each(|scene| async move {
        let claim = scene.store.claim_tasks(RunId(9), &[], lease(1), 1).await;
        assert_eq!(claim.unwrap_err().code(), "NOT_FOUND");
        let record = scene.store.record(RunId(9), 1, vec![give_back(1)]).await;
        assert_eq!(record.unwrap_err().code(), "NOT_FOUND");
    });
}
