//! Notes of cells: what must be known before anything more is done for them (H10), and a person's word on what nobody
//! knows.

use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_model::{
    Attempt, AttemptClass, CellError, CellState, CellWord, ChangeKind, Column, Counts, NoteStep,
    NotedCall, Recovery, RowId, RowQuery, Run, RunStatus, Scope, Task, TaskReport, TaskStep, Value,
};
use serde_json::json;

use crate::support::{Scene, attempt, claimed, each, finish, give_back, integration, numbers};

const ROW: RowId = RowId(2);

/// A table of so many rows with an integration column, and a run of which token 1 holds every task.
async fn begun(scene: &Scene, rows: i64) -> (Column, Run) {
    let (table, _) = scene.filled(rows).await;
    let column = scene.store.add_column(table.id, integration("job")).await.unwrap();
    let run = scene.start(&column, Scope::All).await;
    assert_eq!(scene.claim(&run, 1, 100).await.tasks.len() as i64, rows);
    (column, run)
}

impl Scene {
    async fn noted(&self, run: &Run, note: &str, call: NotedCall) -> bool {
        self.store.save_note(run.id, 1, ROW, note, call).await.unwrap()
    }

    async fn note_of(&self, column: &Column) -> Option<String> {
        self.store.note(column.id, ROW).await.unwrap()
    }

    /// What token 2 gets of the row's task.
    async fn taken_up(&self, run: &Run) -> Task {
        let claim = self.claim(run, 2, 100).await;
        claim.tasks.into_iter().find(|task| task.row == ROW).unwrap()
    }

    fn made(&self) -> Attempt {
        attempt(1, AttemptClass::Success, self.clock.wall())
    }

    async fn report(&self, run: &Run, attempt: Option<Attempt>, step: TaskStep) -> Run {
        let report = TaskReport::new(ROW, attempt, step);
        self.store.record(run.id, 1, vec![report]).await.unwrap()
    }

    /// The row's cell ends unknown, with `note` on record; every other one completes.
    async fn unknown(&self, rows: i64, note: &str) -> (Column, Run) {
        let (column, run) = begun(self, rows).await;
        self.noted(&run, note, NotedCall::Intended).await;
        let reports = (1..=rows).filter(|row| *row != ROW.0).map(|row| {
            let step = TaskStep::Finish { state: CellState::Completed, value: None, error: None };
            TaskReport::new(RowId(row), None, step)
        });
        self.store.record(run.id, 1, reports.collect()).await.unwrap();
        self.report(&run, Some(self.made()), finished(CellState::Unknown)).await;
        let ended = RunStatus::CompletedWithErrors;
        let run = self.store.set_run_status(run.id, ended, None).await.unwrap();
        (column, run)
    }
}

fn finished(state: CellState) -> TaskStep {
    TaskStep::Finish { state, value: None, error: None }
}

fn retry(scene: &Scene) -> TaskStep {
    TaskStep::Retry { errors: 1, not_before: scene.clock.wall(), throttled_since: None }
}

#[test]
fn a_note_comes_with_the_task_of_its_cell_and_the_newest_one_stands() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        assert_eq!(scene.note_of(&column).await, None);
        assert!(scene.noted(&run, "sending", NotedCall::None).await);
        assert!(scene.noted(&run, "started", NotedCall::None).await);
        assert_eq!(scene.note_of(&column).await.as_deref(), Some("started"));
        scene.store.record(run.id, 1, (1..=3).map(give_back).collect()).await.unwrap();
        let claim = scene.claim(&run, 2, 9).await;
        let notes: Vec<_> = claim.tasks.iter().map(|task| task.note.as_deref()).collect();
        assert_eq!(notes, [None, Some("started"), None]);
    });
}

#[test]
fn the_notes_of_a_column_are_read_in_pages_and_no_other_columns() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        for (row, note) in [(3, "third"), (1, "first")] {
            let saved = scene.store.save_note(run.id, 1, RowId(row), note, NotedCall::None);
            assert!(saved.await.unwrap());
        }
        let read = |after, max| {
            let (store, column) = (scene.store.clone(), column.id);
            async move { store.notes(column, RowId(after), max).await.unwrap() }
        };
        let note = |row, note: &str| (RowId(row), note.to_owned());
        assert_eq!(read(0, 9).await, [note(1, "first"), note(3, "third")]);
        assert_eq!(read(0, 1).await, [note(1, "first")]);
        assert_eq!(read(1, 1).await, [note(3, "third")]);
        assert_eq!(read(3, 9).await, []);
        let other = scene.store.add_column(column.table, integration("other")).await.unwrap();
        assert_eq!(scene.store.notes(other.id, RowId(0), 9).await.unwrap(), []);
    });
}

#[test]
fn an_attempt_saved_with_a_note_counts_at_once_and_never_twice() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        assert!(scene.noted(&run, "sending", NotedCall::Intended).await);
        assert!(scene.noted(&run, "started", NotedCall::Made(scene.made())).await);
        let calls = || async {
            scene.store.calls_since(column.id, Timestamp::default(), 99).await.unwrap().len()
        };
        assert_eq!(calls().await, 1, "while the job is still at work");
        assert_eq!(scene.store.recover_run(run.id, Recovery::Reconciled).await.unwrap(), 3);
        assert_eq!(calls().await, 1, "its intent was settled");
        let task = scene.taken_up(&run).await;
        assert_eq!((task.attempts, task.note.as_deref()), (1, Some("started")));
        let run = scene.store.run(run.id).await.unwrap().unwrap();
        assert_eq!(run.counts, Counts { total: 3, calls: 1, ..Counts::default() });
    });
}

#[test]
fn after_a_crash_a_task_with_a_note_goes_on_with_it_and_its_call_is_counted() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        scene.noted(&run, "sending", NotedCall::Intended).await;
        // Row 3 has an intent and no note: nobody can look it up.
        scene.store.record_intents(run.id, 1, &[RowId(3)]).await.unwrap();
        scene.sim.advance(Duration::from_secs(1));
        assert_eq!(scene.store.recover_run(run.id, Recovery::Reconciled).await.unwrap(), 1);
        assert_eq!(scene.states(column.id).await, [(3, CellState::Unknown)]);
        let task = scene.taken_up(&run).await;
        assert_eq!((task.attempts, task.note.as_deref()), (1, Some("sending")));
        let attempts = scene.store.attempts(column.id, ROW).await.unwrap();
        assert_eq!(attempts[0].class, AttemptClass::Unknown);
        let told = &attempts[0].error.as_ref().unwrap().message;
        assert!(told.contains("looked up"), "{told}");
        let calls = scene.store.calls_since(column.id, Timestamp::default(), 99).await.unwrap();
        assert_eq!(calls.len(), 2, "what may have been sent");
    });
}

#[test]
fn who_lost_the_task_saves_no_note_but_its_attempt_is_kept() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        scene.store.recover_run(run.id, Recovery::Reconciled).await.unwrap();
        scene.taken_up(&run).await;
        assert!(!scene.noted(&run, "late", NotedCall::Intended).await);
        assert!(!scene.noted(&run, "late", NotedCall::Made(scene.made())).await);
        assert_eq!(scene.note_of(&column).await, None);
        assert_eq!(scene.store.attempts(column.id, ROW).await.unwrap().len(), 1);
        assert_eq!(scene.store.run(run.id).await.unwrap().unwrap().counts.calls, 0);
    });
}

#[test]
fn a_note_goes_with_what_is_certain_and_else_is_as_the_report_says() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        let put = || NoteStep::Put("next".into());
        let certain = [CellState::Completed, CellState::Failed, CellState::Skipped];
        let mut cases: Vec<_> = certain
            .into_iter()
            .flat_map(|state| [NoteStep::Keep, put()].map(|note| (finished(state), note, None)))
            .collect();
        for step in [finished(CellState::Unknown), retry(&scene), TaskStep::GiveBack] {
            cases.push((step.clone(), NoteStep::Keep, Some("sending")));
            cases.push((step.clone(), put(), Some("next")));
            cases.push((step, NoteStep::Drop, None));
        }
        for (step, note, wanted) in cases {
            let run = scene.start(&column, Scope::All).await;
            scene.claim(&run, 1, 100).await;
            scene.noted(&run, "sending", NotedCall::Intended).await;
            let what = format!("{step:?}, {note:?}");
            let report = TaskReport { note, ..TaskReport::new(ROW, Some(scene.made()), step) };
            scene.store.record(run.id, 1, vec![report]).await.unwrap();
            assert_eq!(scene.note_of(&column).await.as_deref(), wanted, "{what}");
            scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
            scene.sim.advance(Duration::from_secs(1));
        }
    });
}

#[test]
fn a_late_report_leaves_the_note_to_the_task_s_holder() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 3).await;
        scene.noted(&run, "started", NotedCall::Intended).await;
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        scene.report(&run, Some(scene.made()), finished(CellState::Completed)).await;
        assert_eq!(scene.note_of(&column).await.as_deref(), Some("started"));
        let next = scene.start(&column, Scope::Empty).await;
        assert_eq!(scene.taken_up(&next).await.note.as_deref(), Some("started"));
    });
}

#[test]
fn a_run_over_the_unknown_cells_takes_them_with_their_notes_and_nothing_else() {
    each(|scene| async move {
        let (column, _) = scene.unknown(4, "sending").await;
        let run = scene.start(&column, Scope::Unknown).await;
        assert_eq!((run.scope, run.counts.total), (Scope::Unknown, 1));
        let claim = scene.claim(&run, 1, 100).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![ROW.0], true));
        assert_eq!(claim.tasks[0].note.as_deref(), Some("sending"));
        let run = scene.report(&run, None, finished(CellState::Completed)).await;
        assert_eq!(run.counts.completed, 1);
        assert_eq!(scene.states(column.id).await[1], (ROW.0, CellState::Completed));
    });
}

#[test]
fn unknown_cells_that_nobody_can_look_up_are_not_run_again() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let run = paceline_model::NewRun::new(city.table, city.id, Scope::Unknown);
        let error = scene.store.create_run(run).await.unwrap_err();
        assert_eq!(error.code(), "VALIDATION_ERROR");
        assert!(error.to_string().contains("http"), "{error}");
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let saved = scene.store.save_note(run.id, 1, RowId(1), "note", NotedCall::None).await;
        assert_eq!(saved.unwrap_err().code(), "VALIDATION_ERROR");
    });
}

#[test]
fn a_person_settles_an_unknown_cell_with_a_note_for_the_next_run() {
    each(|scene| async move {
        let (column, _) = scene.unknown(3, "sending").await;
        let put = |note: Option<&str>| {
            let (store, note) = (scene.store.clone(), note.map(str::to_owned));
            async move { store.put_note(column.id, ROW, note).await }
        };
        put(Some("attach")).await.unwrap();
        assert_eq!(scene.store.note(column.id, ROW).await.unwrap().as_deref(), Some("attach"));
        put(None).await.unwrap();
        assert_eq!(scene.store.note(column.id, ROW).await.unwrap(), None);
        assert_eq!(scene.states(column.id).await[1], (ROW.0, CellState::Unknown));
    });
}

#[test]
fn a_person_settles_an_unknown_cell_as_failed() {
    each(|scene| async move {
        let (column, before) = scene.unknown(3, "sending").await;
        let error = CellError { code: "NEVER_RAN".into(), message: "looked at the page".into() };
        scene.store.fail_unknown(column.id, ROW, error.clone()).await.unwrap();
        let cell = scene.store.cells(column.id, ROW, ROW).await.unwrap().remove(0);
        assert_eq!((cell.state, cell.error), (CellState::Failed, Some(error)));
        assert_eq!(scene.note_of(&column).await, None);
        assert_eq!(scene.store.run(before.id).await.unwrap().unwrap().counts, before.counts);
        let (changes, _) = scene.store.changes_after(column.table, 0, 100).await.unwrap();
        let told = changes.into_iter().rev().find_map(|change| match change.kind {
            ChangeKind::Cells { rows, .. } => Some(numbers(rows)),
            _ => None,
        });
        assert_eq!(told, Some(vec![ROW.0]));
        let retry = scene.start(&column, Scope::Failed).await;
        assert_eq!(claimed(&scene.claim(&retry, 1, 9).await), [ROW.0]);
    });
}

#[test]
fn a_person_settles_an_unknown_cell_as_done_or_as_never_sent() {
    each(|scene| async move {
        let (column, before) = scene.unknown(3, "sending").await;
        let settle = async |word| scene.store.settle_unknown(column.id, ROW, word).await;
        let wrong = settle(CellWord::Done(Some(Value::Int(1)))).await.unwrap_err();
        assert_eq!(wrong.code(), "VALIDATION_ERROR");
        assert_eq!(scene.note_of(&column).await.as_deref(), Some("sending"));
        let value = Value::Json(json!({"city": "Bonn"}));
        settle(CellWord::Done(Some(value.clone()))).await.unwrap();
        let cell = scene.store.cells(column.id, ROW, ROW).await.unwrap().remove(0);
        assert_eq!((cell.state, cell.error, cell.locked), (CellState::Completed, None, false));
        assert_eq!(scene.note_of(&column).await, None);
        let query = RowQuery { columns: vec![column.id], ..RowQuery::of(column.table) };
        let values = async || {
            let rows = scene.store.rows(query.clone()).await.unwrap();
            rows.into_iter().map(|row| row.values[0].clone()).collect::<Vec<_>>()
        };
        assert_eq!(values().await, [Value::Null, value.clone(), Value::Null]);
        assert_eq!(scene.store.run(before.id).await.unwrap().unwrap().counts, before.counts);
        assert_eq!(settle(CellWord::NotSent).await.unwrap_err().code(), "CONFLICT");
        // Unknown again, and then without a word on its value.
        for word in [CellWord::Done(None), CellWord::NotSent] {
            let run = scene.start(&column, Scope::All).await;
            scene.claim(&run, 1, 9).await;
            scene.report(&run, None, finished(CellState::Unknown)).await;
            // The run goes on, but the cell's task has ended.
            settle(word.clone()).await.unwrap();
            assert_eq!(values().await[1], value);
            let there = scene.store.cells(column.id, ROW, ROW).await.unwrap();
            assert_eq!(there.is_empty(), word == CellWord::NotSent);
            scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        }
        let idle = scene.start(&column, Scope::Empty).await;
        assert_eq!(claimed(&scene.claim(&idle, 1, 9).await), [ROW.0]);
    });
}

#[test]
fn only_an_unknown_cell_that_no_run_is_at_is_settled() {
    each(|scene| async move {
        let (column, _) = scene.unknown(3, "sending").await;
        let error = || CellError { code: "X".into(), message: "x".into() };
        for row in [RowId(1), RowId(99)] {
            let put = scene.store.put_note(column.id, row, None).await.unwrap_err();
            let fail = scene.store.fail_unknown(column.id, row, error()).await.unwrap_err();
            assert_eq!((put.code(), fail.code()), ("CONFLICT", "CONFLICT"), "row {row}");
        }
        let run = scene.start(&column, Scope::Unknown).await;
        scene.claim(&run, 1, 9).await;
        let put = scene.store.put_note(column.id, ROW, None).await.unwrap_err();
        assert!(put.to_string().contains(&format!("run {}", run.id)), "{put}");
        assert!(scene.store.fail_unknown(column.id, ROW, error()).await.is_err());
        let missing = paceline_model::ColumnId(99);
        let put = scene.store.put_note(missing, ROW, None).await.unwrap_err();
        assert_eq!(put.code(), "NOT_FOUND");
    });
}

#[test]
fn a_second_attempt_reported_for_a_noted_cell_is_of_its_own() {
    each(|scene| async move {
        let (column, run) = begun(&scene, 2).await;
        scene.noted(&run, "started", NotedCall::Made(scene.made())).await;
        let mut done = finish(ROW.0, CellState::Failed, scene.clock.wall());
        done.attempt = None;
        let run = scene.store.record(run.id, 1, vec![done]).await.unwrap();
        assert_eq!((run.counts.calls, run.counts.failed), (1, 1));
        assert_eq!(scene.store.attempts(column.id, ROW).await.unwrap().len(), 1);
    });
}
