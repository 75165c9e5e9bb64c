//! What a person writes into a smart column is locked against every run.

use std::time::Duration;

use paceline_model::{
    Cell, CellState, ChangeKind, Column, Counts, Error, Filter, Fingerprint, Note, RowId, Run,
    Scope, Table, TaskReport, TaskStep, Value,
};
use serde_json::json;

use crate::filters::{found, text};
use crate::support::{Scene, claimed, each, finish, integration, numbers, smart};

impl Scene {
    /// The cells of a column, ascending.
    async fn cells_of(&self, column: &Column) -> Vec<Cell> {
        self.store.cells(column.id, RowId(1), RowId(99)).await.unwrap()
    }

    /// The rows whose cells are locked.
    async fn locked(&self, column: &Column) -> Vec<i64> {
        let cells = self.cells_of(column).await;
        numbers(cells.into_iter().filter(|cell| cell.locked).map(|cell| cell.row))
    }

    async fn write_city(&self, table: &Table, rows: &[i64], value: Value) -> u64 {
        let filter = Filter::parse(table, &json!({"_ht_id": {"in": rows}})).unwrap();
        let columns = [table.columns[2].id];
        self.store.update_rows(table.id, filter, &columns, vec![value]).await.unwrap()
    }

    /// Reports the end of a cell that was made from something.
    async fn end(&self, run: &Run, row: i64, state: CellState) -> Run {
        let mut report = finish(row, state, self.clock.wall());
        report.fingerprint = Some(Fingerprint { key: Some([7; 16]), parts: vec![1, 2] });
        self.store.record(run.id, 1, vec![report]).await.unwrap()
    }

    async fn city(&self, table: &Table, value: &str) -> Vec<i64> {
        found(self, table, &json!({"city": value})).await
    }
}

fn all() -> Filter {
    Filter::All(vec![])
}

#[test]
fn what_a_person_writes_is_completed_and_locked() {
    each(|scene| async move {
        let (table, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 4).await;
        scene.end(&run, 1, CellState::Failed).await;
        scene.end(&run, 2, CellState::Completed).await;
        scene.sim.advance(Duration::from_secs(3));
        assert_eq!(scene.write_city(&table, &[1, 2, 3], text("Bonn")).await, 3);
        let cells = scene.cells_of(&city).await;
        assert_eq!(cells.len(), 3);
        for cell in &cells {
            let wanted = Cell {
                row: cell.row,
                state: CellState::Completed,
                error: None,
                version: 1,
                updated_at: scene.clock.wall(),
                fingerprint: None,
                locked: true,
            };
            assert_eq!(*cell, wanted);
        }
        let (changes, _) = scene.store.changes_after(table.id, 0, 99).await.unwrap();
        let told: Vec<_> = changes.into_iter().rev().map(|change| change.kind).take(2).collect();
        let rows = vec![RowId(1), RowId(2), RowId(3)];
        let cells = ChangeKind::Cells { column: city.id, rows: rows.clone() };
        assert_eq!(told, [ChangeKind::RowsUpdated { rows }, cells]);
        // Emptied is a word too; another column is none.
        scene.write_city(&table, &[4], Value::Null).await;
        let score = [table.columns[1].id];
        scene.store.update_rows(table.id, all(), &score, vec![Value::Int(0)]).await.unwrap();
        assert_eq!(scene.locked(&city).await, [1, 2, 3, 4]);
    });
}

#[test]
fn upserts_and_inserts_lock_what_they_bring() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let columns = [table.columns[0].id, city.id];
        let row = |email: &str, city: Value| vec![text(email), city];
        let rows = || vec![row("new", text("Bonn")), row("empty", Value::Null)];
        scene.store.insert_rows(table.id, &columns, rows()).await.unwrap();
        assert_eq!(scene.locked(&city).await, [3]);
        let rows = vec![
            row("1@example.com", Value::Null),
            row("5@example.com", text("Ulm")),
            row("6@example.com", Value::Null),
        ];
        let key = [columns[0]];
        scene.store.upsert_rows(table.id, &key, &columns, rows).await.unwrap();
        assert_eq!(scene.locked(&city).await, [1, 3, 5]);
        // Not named, not locked.
        let rows = vec![vec![text("2@example.com"), Value::Int(9)]];
        let others = [columns[0], table.columns[1].id];
        scene.store.upsert_rows(table.id, &key, &others, rows).await.unwrap();
        let fed = vec![row("7@example.com", text("Jena")), row("2@example.com", text("Hof"))];
        let none = Vec::<Note>::new();
        scene.store.feed_rows(table.id, &key, &columns, fed.clone(), none).await.unwrap();
        assert_eq!(scene.locked(&city).await, [1, 2, 3, 5, 7]);
        scene.store.feed_rows(table.id, &[], &columns, fed, vec![]).await.unwrap();
        assert_eq!(scene.locked(&city).await, [1, 2, 3, 5, 7, 8, 9]);
        assert!(
            scene.cells_of(&city).await.iter().all(|cell| cell.locked),
            "nothing else is there"
        );
    });
}

#[test]
fn a_late_finish_leaves_a_locked_cell_alone() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 3).await;
        scene.write_city(&table, &[1, 2], text("Bonn")).await;
        scene.end(&run, 1, CellState::Completed).await;
        scene.end(&run, 2, CellState::Failed).await;
        let run = scene.end(&run, 3, CellState::Completed).await;
        let wanted = Counts { total: 3, completed: 1, skipped: 2, calls: 3, ..Counts::default() };
        assert_eq!(run.counts, wanted);
        assert_eq!(scene.city(&table, "Bonn").await, [1, 2]);
        assert_eq!(scene.city(&table, "made").await, [3]);
        assert_eq!(scene.locked(&city).await, [1, 2]);
        assert_eq!(scene.store.attempts(city.id, RowId(1)).await.unwrap().len(), 1);
        let late = scene.store.record_intents(run.id, 1, &[RowId(1), RowId(2)]).await.unwrap();
        assert_eq!(late, [], "their tasks have ended");
    });
}

#[test]
fn a_crash_does_not_make_a_locked_cell_unknown() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        scene.store.record_intents(run.id, 1, &[RowId(1), RowId(2)]).await.unwrap();
        scene.write_city(&table, &[1], text("Bonn")).await;
        scene.store.recover_run(run.id, paceline_model::Recovery::Once).await.unwrap();
        let states = [(1, CellState::Completed), (2, CellState::Unknown)];
        assert_eq!(scene.states(city.id).await, states);
    });
}

#[test]
fn cells_are_locked_and_unlocked_by_a_filter() {
    each(|scene| async move {
        let (table, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 4).await;
        scene.end(&run, 1, CellState::Completed).await;
        scene.end(&run, 2, CellState::Failed).await;
        let of = |json| Filter::parse(&table, &json).unwrap();
        let lock =
            async |filter, locked| scene.store.lock_cells(city.id, filter, locked).await.unwrap();
        // By a state that the lock itself changes.
        let failed = of(json!({"city": {"state": "failed"}}));
        assert_eq!(lock(failed.clone(), true).await, 1);
        assert_eq!(lock(failed, true).await, 0);
        assert_eq!(lock(of(json!({"_ht_id": {"lte": 3}})), true).await, 2, "one of three was");
        assert_eq!(scene.locked(&city).await, [1, 2, 3]);
        assert_eq!(scene.city(&table, "made").await, [1], "its value stays");
        assert_eq!(lock(of(json!({"_ht_id": {"gte": 2}})), false).await, 2);
        let cells = scene.cells_of(&city).await;
        // What is unlocked is said to be made from nothing, so that it is stale.
        let nothing = Some(Fingerprint { key: None, parts: vec![] });
        for cell in &cells {
            let locked = cell.row == RowId(1);
            let made_from = if locked { &None } else { &nothing };
            assert_eq!(
                (cell.state, cell.locked, &cell.fingerprint, &cell.error),
                (CellState::Completed, locked, made_from, &None)
            );
        }
        let (changes, _) = scene.store.changes_after(table.id, 0, 99).await.unwrap();
        let rows = vec![RowId(2), RowId(3)];
        let told = changes.into_iter().last().map(|change| change.kind);
        assert_eq!(told, Some(ChangeKind::Cells { column: city.id, rows }));
        let email = table.columns[0].id;
        let error = scene.store.lock_cells(email, all(), true).await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("email")), "{error}");
        let missing = paceline_model::ColumnId(99);
        let error = scene.store.lock_cells(missing, all(), true).await.unwrap_err();
        assert_eq!(error.code(), "NOT_FOUND");
    });
}

#[test]
fn more_cells_than_a_change_tells_are_a_reload() {
    each(|scene| async move {
        let (table, city) = scene.filled(10_001).await;
        assert_eq!(scene.store.lock_cells(city.id, all(), true).await.unwrap(), 10_001);
        let (changes, _) = scene.store.changes_after(table.id, 0, 99).await.unwrap();
        assert_eq!(changes.last().map(|change| &change.kind), Some(&ChangeKind::Reload));
    });
}

#[test]
fn a_person_s_word_takes_the_note_along_unless_a_run_goes_by_it() {
    each(|scene| async move {
        let (table, _) = scene.filled(2).await;
        let column = scene.store.add_column(table.id, integration("job")).await.unwrap();
        let other = scene.store.add_column(table.id, smart("more", column.kind)).await.unwrap();
        let run = scene.start(&column, Scope::All).await;
        assert_eq!(claimed(&scene.claim(&run, 1, 9).await), [1, 2]);
        for row in [1, 2] {
            let call = paceline_model::NotedCall::Intended;
            scene.store.save_note(run.id, 1, RowId(row), "sending", call).await.unwrap();
        }
        let unknown = finish(1, CellState::Unknown, scene.clock.wall());
        scene.store.record(run.id, 1, vec![unknown]).await.unwrap();
        let (both, nothing) = ([column.id, other.id], vec![Value::Null; 2]);
        scene.store.update_rows(table.id, all(), &both, nothing).await.unwrap();
        assert_eq!(scene.store.note(column.id, RowId(1)).await.unwrap(), None);
        let note = scene.store.note(column.id, RowId(2)).await.unwrap();
        assert_eq!(note.as_deref(), Some("sending"));
        assert_eq!(
            (scene.locked(&column).await, scene.locked(&other).await),
            (vec![1, 2], vec![1, 2])
        );
    });
}

#[test]
fn a_cell_that_is_locked_after_it_was_claimed_gets_no_call() {
    each(|scene| async move {
        let (table, _) = scene.filled(4).await;
        let job = scene.store.add_column(table.id, integration("job")).await.unwrap();
        let run = scene.start(&job, Scope::All).await;
        assert_eq!(claimed(&scene.claim(&run, 1, 9).await), [1, 2, 3, 4]);
        let second = Filter::parse(&table, &json!({"_ht_id": 2})).unwrap();
        scene.store.update_rows(table.id, second, &[job.id], vec![Value::Null]).await.unwrap();
        let rows = [RowId(1), RowId(2), RowId(3)];
        let held = scene.store.record_intents(run.id, 1, &rows).await.unwrap();
        assert_eq!(held, [RowId(1), RowId(3)]);
        for (row, saved) in [(2, false), (4, true)] {
            let call = paceline_model::NotedCall::Intended;
            let done = scene.store.save_note(run.id, 1, RowId(row), "sending", call).await.unwrap();
            assert_eq!(done, saved, "row {row}");
        }
        let leave = TaskReport::new(RowId(2), None, TaskStep::Leave);
        let run = scene.store.record(run.id, 1, vec![leave]).await.unwrap();
        assert_eq!(run.counts.total, 3);
    });
}

#[test]
fn a_task_that_was_given_back_says_that_its_cell_is_locked_since() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 9).await;
        let back = |row| TaskReport::new(RowId(row), None, TaskStep::GiveBack);
        scene.store.record(run.id, 1, vec![back(1), back(2)]).await.unwrap();
        scene.write_city(&table, &[2], text("Bonn")).await;
        let again = scene.claim(&run, 1, 9).await;
        let locked: Vec<bool> = again
            .tasks
            .iter()
            .map(|task| task.cell.as_ref().is_some_and(|cell| cell.locked))
            .collect();
        assert_eq!(locked, [false, true]);
    });
}
