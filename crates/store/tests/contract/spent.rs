//! What calls cost: by the call, by the run and by the day.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{
    Attempt, AttemptClass, CellState, Recovery, RowId, RunStatus, Scope, Spent, TaskReport,
};

use crate::support::{Scene, attempt, each, finish};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A finished cell whose call cost that much.
fn paid(scene: &Scene, row: i64, cost_micros: u64) -> TaskReport {
    let mut report = finish(row, CellState::Completed, scene.clock.wall());
    if let Some(attempt) = &mut report.attempt {
        attempt.cost_micros = cost_micros;
    }
    report
}

#[test]
fn an_attempt_keeps_what_was_sent_whom_and_for_how_much() {
    each(|scene| async move {
        let (_, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        let made = Attempt {
            request: Some("GET https://vendor.example/\0".into()),
            source: Some("first".into()),
            cost_micros: 1_500_000,
            ..attempt(1, AttemptClass::Success, scene.clock.wall())
        };
        let mut report = finish(1, CellState::Completed, scene.clock.wall());
        report.attempt = Some(made.clone());
        let plain = finish(2, CellState::Completed, scene.clock.wall());
        scene.store.record(run.id, 1, vec![report, plain.clone()]).await.unwrap();
        assert_eq!(scene.store.attempts(city.id, RowId(1)).await.unwrap(), [made]);
        let attempts = scene.store.attempts(city.id, RowId(2)).await.unwrap();
        assert_eq!(attempts, [plain.attempt.unwrap()]);
    });
}

#[test]
fn what_calls_cost_is_added_up_by_the_run_and_by_the_day() {
    each(|scene| async move {
        let (_, city) = scene.filled(6).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 6).await;
        // Seen 20 ms later, and so on either side of midnight.
        let day = scene.clock.wall().as_micros().div_euclid(86_400_000_000);
        let midnight = Timestamp::from_micros((day + 1) * 86_400_000_000);
        let before = |row, cost| {
            let mut report = paid(&scene, row, cost);
            let call = report.attempt.as_mut().unwrap();
            call.seen_at = Timestamp::from_micros(midnight.as_micros() - 1);
            report
        };
        let after = |row, cost| {
            let mut report = before(row, cost);
            report.attempt.as_mut().unwrap().seen_at = midnight;
            report
        };
        let mut unsent = before(6, 1_000);
        unsent.attempt.as_mut().unwrap().sent_at = None;
        let batch = vec![before(1, 1), after(2, 20), before(3, 300), unsent];
        scene.store.record(run.id, 1, batch).await.unwrap();
        let run = scene.store.record(run.id, 1, vec![after(4, 4_000)]).await.unwrap();
        assert_eq!((run.counts.calls, run.counts.cost_micros), (4, 4_321));
        assert_eq!(scene.store.run(run.id).await.unwrap().unwrap(), run);
        let spent = async |at| scene.store.spent(city.id, at).await.unwrap();
        let today = midnight.before(Duration::from_secs(3_600));
        assert_eq!(spent(today).await, Spent { calls: 2, cost_micros: 301 });
        assert_eq!(spent(midnight).await, Spent { calls: 2, cost_micros: 4_020 });
        assert_eq!(spent(midnight + DAY).await, Spent::default());
        // A late call was made all the same: it is spent, but not by the run.
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        let run = scene.store.record(run.id, 1, vec![after(5, 7)]).await.unwrap();
        assert_eq!(run.counts.cost_micros, 4_321);
        assert_eq!(spent(midnight).await, Spent { calls: 3, cost_micros: 4_027 });
        scene.store.delete_column(city.id).await.unwrap();
        assert_eq!(spent(midnight).await, Spent::default());
    });
}

#[test]
fn a_call_that_a_crash_cut_off_is_spent() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        scene.store.record_intents(run.id, 1, &[RowId(1)]).await.unwrap();
        scene.store.recover_run(run.id, Recovery::Once).await.unwrap();
        let spent = scene.store.spent(city.id, scene.clock.wall()).await.unwrap();
        assert_eq!(spent, Spent { calls: 1, cost_micros: 0 });
    });
}
