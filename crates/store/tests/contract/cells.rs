//! What `record` writes: values, states, counts (R4, R6).

use std::time::Duration;

use paceline_model::{
    AttemptClass, CellState, Counts, Error, RowId, RowQuery, Scope, TaskReport, TaskStep, Value,
    limits,
};
use serde_json::json;

use crate::support::{Scene, attempt, each, finish, numbers};

async fn city_of(scene: &Scene, column: &paceline_model::Column, row: i64) -> Value {
    let query = RowQuery {
        columns: vec![column.id],
        after: RowId(row - 1),
        limit: 1,
        ..RowQuery::of(column.table)
    };
    scene.store.rows(query).await.unwrap()[0].values[0].clone()
}

#[test]
fn a_finished_cell_has_its_value_and_its_record() {
    each(|scene| async move {
        let (_, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 4).await;
        scene.sim.advance(Duration::from_secs(3));
        let now = scene.clock.wall();
        let states =
            [CellState::Completed, CellState::Failed, CellState::Skipped, CellState::Unknown];
        // Out of order on purpose.
        let reports = states
            .iter()
            .zip([1, 2, 3, 4])
            .rev()
            .map(|(state, row)| finish(row, *state, now))
            .collect();
        let run = scene.store.record(run.id, 1, reports).await.unwrap();
        let ended = Counts {
            total: 4,
            completed: 1,
            failed: 1,
            skipped: 1,
            unknown: 1,
            calls: 4,
            ..Counts::default()
        };
        assert_eq!(run.counts, ended);
        assert_eq!(scene.store.run(run.id).await.unwrap(), Some(run));
        let cells = scene.store.cells(city.id, RowId(1), RowId(4)).await.unwrap();
        assert_eq!(cells.iter().map(|cell| cell.state).collect::<Vec<_>>(), states);
        assert_eq!(cells[0].error, None);
        assert_eq!(cells[1].error.as_ref().unwrap().code, "HTTP_STATUS");
        assert!(cells.iter().all(|cell| cell.version == 1 && cell.updated_at == now));
        assert_eq!(city_of(&scene, &city, 1).await, Value::Text("made".into()));
        assert_eq!(city_of(&scene, &city, 2).await, Value::Null);
        let mut counts = scene.store.count_cells(city.id).await.unwrap();
        counts.sort_by_key(|(state, _)| states.iter().position(|known| known == state));
        assert_eq!(counts, states.map(|state| (state, 1)));
        let middle = scene.store.cells(city.id, RowId(2), RowId(3)).await.unwrap();
        assert_eq!(numbers(middle.iter().map(|cell| cell.row)), [2, 3]);
    });
}

#[test]
fn counts_follow_their_rules() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let now = scene.clock.wall();
        let retry = |number, class, sent: bool| {
            let mut attempt = attempt(number, class, now);
            attempt.sent_at = attempt.sent_at.filter(|_| sent);
            let step = TaskStep::Retry { errors: number, not_before: now, throttled_since: None };
            TaskReport::new(RowId(1), Some(attempt), step)
        };
        // Three of one row in one batch: their order is kept.
        let reports = vec![
            retry(1, AttemptClass::Throttled, true),
            retry(2, AttemptClass::Transient, false),
            retry(3, AttemptClass::Throttled, true),
        ];
        let run = scene.store.record(run.id, 1, reports).await.unwrap();
        let wanted = Counts { total: 1, calls: 2, throttled: 2, retries: 2, ..Counts::default() };
        assert_eq!(run.counts, wanted);
        let mut last = finish(1, CellState::Completed, now);
        last.attempt = Some(attempt(4, AttemptClass::Success, now));
        let run = scene.store.record(run.id, 1, vec![last]).await.unwrap();
        assert_eq!(run.counts, Counts { completed: 1, calls: 3, retries: 3, ..wanted });
    });
}

#[test]
fn a_second_run_replaces_the_record_and_a_failure_keeps_the_value() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let first = scene.start(&city, Scope::All).await;
        scene.finish_all(&first, 1, CellState::Completed).await;
        scene
            .store
            .set_run_status(first.id, paceline_model::RunStatus::Completed, None)
            .await
            .unwrap();
        scene.store.update_smart_column(city.id, json!({}), json!("gentle")).await.unwrap();
        let second = scene.start(&city, Scope::All).await;
        scene.finish_all(&second, 1, CellState::Failed).await;
        let cells = scene.store.cells(city.id, RowId(1), RowId(1)).await.unwrap();
        assert_eq!((cells.len(), cells[0].state, cells[0].version), (1, CellState::Failed, 2));
        assert_eq!(city_of(&scene, &city, 1).await, Value::Text("made".into()));
    });
}

#[test]
fn a_batch_with_a_value_that_does_not_fit_is_refused_whole() {
    each(|scene| async move {
        let (_, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        let now = scene.clock.wall();
        let mut wrong = finish(2, CellState::Completed, now);
        wrong.step = TaskStep::Finish {
            state: CellState::Completed,
            value: Some(Value::Int(5)),
            error: None,
        };
        let batch = vec![finish(1, CellState::Completed, now), wrong];
        let error = scene.store.record(run.id, 1, batch).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("row 2")), "{error}");
        assert_eq!(scene.states(city.id).await, []);
        assert_eq!(scene.store.count_cells(city.id).await.unwrap(), []);
        assert_eq!(scene.store.attempts(city.id, RowId(1)).await.unwrap(), []);
        let run = scene
            .store
            .record(run.id, 1, vec![finish(1, CellState::Completed, now)])
            .await
            .unwrap();
        assert_eq!(run.counts.completed, 1, "the tasks are still held");
    });
}

#[test]
fn a_failure_does_not_undo_its_neighbours_in_the_same_commit() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let score = [table.columns[1].id];
        let insert = |value| scene.store.insert_rows(table.id, &score, vec![vec![value]]);
        // Sent together, so that they share a transaction (whatever does not is no harm to the case).
        let (one, two, three) = tokio::join!(
            insert(Value::Int(1)),
            insert(Value::Text("no number".into())),
            insert(Value::Int(3))
        );
        assert!(matches!(two.unwrap_err(), Error::Invalid(_)));
        // In whatever order they were written, and with no id used up by the one between them.
        let mut ids = [one.unwrap().unwrap().0, three.unwrap().unwrap().0];
        ids.sort_unstable();
        assert_eq!(ids, [RowId(2), RowId(3)]);
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), 3);
    });
}

#[test]
fn a_batch_is_bounded() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        let now = scene.clock.wall();
        let reports =
            (0..=limits::COMMIT_REPORTS_MAX).map(|_| finish(1, CellState::Failed, now)).collect();
        let error = scene.store.record(run.id, 1, reports).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    });
}

#[test]
fn a_range_of_cells_is_bounded() {
    each(|scene| async move {
        let count = i64::try_from(limits::PAGE_ROWS_MAX).unwrap() + 1;
        let (_, city) = scene.filled(count).await;
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Completed).await;
        let error = scene.store.cells(city.id, RowId(1), RowId(count)).await.unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error}");
        let cells = scene.store.cells(city.id, RowId(2), RowId(count)).await.unwrap();
        assert_eq!(cells.len(), limits::PAGE_ROWS_MAX);
    });
}
