//! Cells that are filled without a call: read and written thousands at a time, with no record of each task.

use paceline_model::{
    CellError, CellState, ChangeKind, Column, Counts, Error, Filled, FilledCells, Filter,
    Fingerprint, NextCells, RowId, Run, RunStatus, Scope, Table, Value, limits,
};
use serde_json::json;

use crate::filters::{found, text};
use crate::support::{Scene, each, finish, numbers};

impl Scene {
    async fn next(&self, run: &Run, after: Option<i64>, max: usize) -> NextCells {
        self.store.next_cells(run.id, &[], after.map(RowId), max).await.unwrap()
    }

    async fn write_filled(&self, run: &Run, after: i64, cursor: i64, cells: Vec<Filled>) -> Run {
        self.store.fill_cells(run.id, batch(after, cursor, cells)).await.unwrap()
    }

    async fn only(&self, table: &Table, rows: serde_json::Value) -> Filter {
        Filter::parse(table, &json!({"_ht_id": rows})).unwrap()
    }

    async fn told(&self, column: &Column) -> Vec<Vec<i64>> {
        let (changes, _) = self.store.changes_after(column.table, 0, 100).await.unwrap();
        let cells = changes.into_iter().filter_map(|change| match change.kind {
            ChangeKind::Cells { rows, .. } => Some(numbers(rows)),
            _ => None,
        });
        cells.collect()
    }
}

fn rows(next: &NextCells) -> Vec<i64> {
    numbers(next.tasks.iter().map(|task| task.row))
}

fn completed(row: i64) -> Filled {
    let fingerprint = Some(Fingerprint { key: None, parts: vec![7] });
    let value = Some(text("filled"));
    Filled { row: RowId(row), state: CellState::Completed, value, error: None, fingerprint }
}

fn ended(row: i64, state: CellState) -> Filled {
    let error = Some(CellError { code: "SCRIPT".into(), message: "no".into() });
    Filled { row: RowId(row), state, value: None, error, fingerprint: None }
}

fn batch(after: i64, cursor: i64, cells: Vec<Filled>) -> FilledCells {
    FilledCells { after: RowId(after), cursor: RowId(cursor), cells, left: 0 }
}

#[test]
fn cells_are_read_ahead_and_written_with_the_cursor() {
    each(|scene| async move {
        let (table, city) = scene.filled(5).await;
        let run = scene.start(&city, Scope::All).await;
        let inputs = [table.columns[1].id];
        let next = scene.store.next_cells(run.id, &inputs, None, 2).await.unwrap();
        assert_eq!((rows(&next), next.cursor, next.exhausted), (vec![1, 2], RowId(2), false));
        assert_eq!(next.tasks[1].inputs, [Value::Int(2)]);
        // Nothing was taken by reading.
        assert_eq!(rows(&scene.next(&run, None, 2).await), [1, 2]);
        assert_eq!(rows(&scene.next(&run, Some(2), 2).await), [3, 4]);
        let told = scene.told(&city).await.len();
        let cells = vec![completed(1), ended(2, CellState::Failed)];
        let run = scene.write_filled(&run, 0, 2, cells).await;
        let wanted = Counts { total: 5, completed: 1, failed: 1, ..Counts::default() };
        assert_eq!(run.counts, wanted);
        assert_eq!(scene.told(&city).await[told..], [vec![1, 2]]);
        let cells = scene.store.cells(city.id, RowId(1), RowId(9)).await.unwrap();
        assert_eq!(cells[0].fingerprint, completed(1).fingerprint);
        assert_eq!(cells[1].error, ended(2, CellState::Failed).error);
        assert_eq!(found(&scene, &table, &json!({"city": "filled"})).await, [1]);
        // The next ones go on from there, for whoever asks.
        assert_eq!(rows(&scene.next(&run, None, 2).await), [3, 4]);
        assert_eq!(rows(&scene.next(&run, Some(1), 2).await), [3, 4], "never back");
        let last = scene.next(&run, Some(4), 2).await;
        assert_eq!((rows(&last), last.cursor, last.exhausted), (vec![5], RowId(5), true));
        let cells = vec![completed(3), completed(5)];
        let left = FilledCells { left: 1, ..batch(2, 5, cells) };
        let run = scene.store.fill_cells(run.id, left).await.unwrap();
        assert_eq!((run.counts.total, run.counts.ended()), (4, 4));
        assert!(scene.next(&run, None, 2).await.exhausted);
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        let none = scene.next(&run, None, 2).await;
        assert_eq!((none.tasks.len(), none.exhausted), (0, true));
        assert!(scene.store.attempts(city.id, RowId(1)).await.unwrap().is_empty());
    });
}

#[test]
fn a_batch_is_written_once_and_never_after_the_run_s_end() {
    each(|scene| async move {
        let (_, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        let refused = async |filled| scene.store.fill_cells(run.id, filled).await.unwrap_err();
        scene.write_filled(&run, 0, 2, vec![completed(1), completed(2)]).await;
        let again = refused(batch(0, 2, vec![completed(1), completed(2)])).await;
        assert!(matches!(&again, Error::Conflict(text) if text.contains("row 2")), "{again}");
        let ahead = refused(batch(3, 4, vec![completed(4)])).await;
        assert_eq!(ahead.code(), "CONFLICT");
        for wrong in [
            batch(2, 4, vec![completed(4), completed(3)]),
            batch(2, 4, vec![completed(2)]),
            batch(2, 3, vec![completed(4)]),
            batch(2, 1, vec![]),
            batch(2, i64::MAX, (3..).map(completed).take(limits::FILL_CELLS_MAX + 1).collect()),
            batch(2, 4, vec![Filled { value: Some(Value::Int(1)), ..completed(3) }]),
        ] {
            assert_eq!(refused(wrong).await.code(), "VALIDATION_ERROR");
        }
        scene.store.set_run_status(run.id, RunStatus::Paused, None).await.unwrap();
        scene.write_filled(&run, 2, 3, vec![completed(3)]).await;
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        assert_eq!(refused(batch(3, 4, vec![completed(4)])).await.code(), "CONFLICT");
        let counts = scene.store.run(run.id).await.unwrap().unwrap().counts;
        assert_eq!((counts.completed, counts.total), (3, 4));
        assert_eq!(scene.states(city.id).await.len(), 3);
        let missing = scene.store.fill_cells(paceline_model::RunId(99), batch(0, 0, vec![])).await;
        assert_eq!(missing.unwrap_err().code(), "NOT_FOUND");
    });
}

#[test]
fn locked_cells_and_rows_that_are_gone_are_left_out() {
    each(|scene| async move {
        let (table, city) = scene.filled(6).await;
        let run = scene.start(&city, Scope::All).await;
        let next = scene.next(&run, None, 9).await;
        let lock = scene.only(&table, json!({"in": [2, 3]})).await;
        let bonn = vec![text("Bonn")];
        scene.store.update_rows(table.id, lock, &[city.id], bonn).await.unwrap();
        let gone = scene.only(&table, json!({"in": [4, 5]})).await;
        scene.store.delete_rows(table.id, gone).await.unwrap();
        let cells = rows(&next).into_iter().map(|row| match row {
            // With a value and without one, of each.
            3 | 5 => ended(row, CellState::Skipped),
            _ => completed(row),
        });
        let run = scene.write_filled(&run, 0, 6, cells.collect()).await;
        let wanted = Counts { total: 2, completed: 2, ..Counts::default() };
        assert_eq!(run.counts, wanted);
        assert_eq!(found(&scene, &table, &json!({"city": "Bonn"})).await, [2, 3]);
        assert_eq!(found(&scene, &table, &json!({"city": "filled"})).await, [1, 6]);
        let states = scene.states(city.id).await;
        assert_eq!(numbers(states.iter().map(|(row, _)| RowId(*row))), [1, 2, 3, 6]);
        assert!(states.iter().all(|(_, state)| *state == CellState::Completed));
        assert_eq!(scene.told(&city).await.last(), Some(&vec![1, 6]));
    });
}

#[test]
fn stretches_without_due_rows_are_passed_over() {
    each(|scene| async move {
        let (table, city) = scene.filled(20_050).await;
        let run = scene.start(&city, Scope::All).await;
        let most = (1..=limits::FILL_CELLS_MAX as i64).map(completed);
        scene.write_filled(&run, 0, 10_000, most.collect()).await;
        let next = scene.next(&run, None, 99_999).await;
        assert_eq!((next.tasks.len(), next.cursor), (limits::FILL_CELLS_MAX, RowId(20_000)));
        scene.write_filled(&run, 10_000, 20_000, (10_001..=20_000).map(completed).collect()).await;
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        let empty = scene.start(&city, Scope::Empty).await;
        let next = scene.next(&empty, None, 9_999).await;
        assert_eq!((next.tasks.len(), next.exhausted), (50, true));
        assert_eq!((next.after, next.cursor), (RowId(0), RowId(20_050)), "in one go");
        let all = Filter::All(vec![]);
        scene.store.delete_rows(table.id, all).await.unwrap();
        let none = scene.next(&empty, None, 10).await;
        assert_eq!((none.tasks.len(), none.exhausted), (0, true));
        let done = scene.write_filled(&empty, 0, none.cursor.0, vec![]).await;
        assert_eq!(done.counts.ended(), 0);
    });
}

#[test]
fn what_was_filled_before_is_written_over() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        let now = scene.clock.wall();
        let reports = vec![finish(1, CellState::Failed, now), finish(2, CellState::Completed, now)];
        scene.store.record(run.id, 1, reports).await.unwrap();
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        let run = scene.start(&city, Scope::All).await;
        scene.write_filled(&run, 0, 2, vec![completed(1), ended(2, CellState::Failed)]).await;
        assert_eq!(
            scene.states(city.id).await,
            [(1, CellState::Completed), (2, CellState::Failed)]
        );
        assert_eq!(found(&scene, &table, &json!({"city": "filled"})).await, [1]);
        assert_eq!(found(&scene, &table, &json!({"city": "made"})).await, [2], "the value stays");
        let cells = scene.store.cells(city.id, RowId(1), RowId(1)).await.unwrap();
        assert_eq!(cells[0].error, None);
    });
}
