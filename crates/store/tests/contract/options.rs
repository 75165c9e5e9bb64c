//! What narrows a run: the first so many, a filter, what is stale, what a person has locked; and what a task is told of
//! its cell (R1, R2).

use paceline_model::{
    CellBefore, CellState, Column, ColumnChange, DueQuery, Error, Filter, Fingerprint, NewColumn,
    NewRun, Operator, RowId, Run, RunOptions, RunStatus, Scope, Subject, Table, TaskReport,
    TaskStep, Test, Value,
};

use crate::support::{Scene, claimed, column, each, finish, give_back, integration, lease, smart};

/// Rows whose score is at least that.
pub(crate) fn at_least(table: &Table, score: i64) -> Filter {
    Filter::Test(Test {
        subject: Subject::Column(table.columns[1].id),
        path: Vec::new(),
        operator: Operator::Gte(Value::Int(score)),
    })
}

fn leave(row: i64) -> TaskReport {
    TaskReport::new(RowId(row), None, TaskStep::Leave)
}

/// What a cell is said to be made from that came to such an end.
fn made_from(state: CellState) -> Option<Fingerprint> {
    let key = Some([7; 16]);
    (state == CellState::Completed).then(|| Fingerprint { key, parts: vec![1, u32::MAX] })
}

impl Scene {
    pub(crate) async fn start_with(
        &self,
        column: &Column,
        scope: Scope,
        options: RunOptions,
    ) -> Run {
        let run = NewRun { options, ..NewRun::new(column.table, column.id, scope) };
        self.store.create_run(run).await.unwrap()
    }

    /// Claims those rows of a fresh run over all of them, finishes them in that state, and ends the run.
    pub(crate) async fn ended_as(&self, column: &Column, ends: &[(i64, CellState)]) {
        let run = self.start(column, Scope::All).await;
        self.claim(&run, 1, 1_000).await;
        let now = self.clock.wall();
        let report = |(row, state): &(i64, CellState)| TaskReport {
            fingerprint: made_from(*state),
            ..finish(*row, *state, now)
        };
        self.store.record(run.id, 1, ends.iter().map(report).collect()).await.unwrap();
        self.complete(&run).await;
    }

    pub(crate) async fn complete(&self, run: &Run) -> Run {
        self.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap()
    }
}

#[test]
fn the_options_of_a_run_are_kept_with_it() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        let plain = scene.start(&city, Scope::All).await;
        assert_eq!(plain.options, RunOptions::default());
        scene.complete(&plain).await;
        let options = RunOptions {
            first: Some(2),
            filter: Some(Filter::All(vec![
                at_least(&table, 2),
                Filter::Cell { column: city.id, states: vec![None, Some(CellState::Failed)] },
            ])),
            after: vec![plain.id],
            caps: paceline_model::Caps { calls: Some(7), cost_micros: None },
            automatic: true,
        };
        let run = scene.start_with(&city, Scope::Empty, options.clone()).await;
        assert_eq!(run.options, options);
        assert_eq!(scene.store.run(run.id).await.unwrap(), Some(run.clone()));
        assert_eq!(scene.store.runs(table.id, 1).await.unwrap(), [run]);
    });
}

#[test]
fn the_first_so_many_are_claimed_and_no_more_whatever_becomes_of_them() {
    each(|scene| async move {
        let (_, city) = scene.filled(9).await;
        let first = RunOptions { first: Some(4), ..RunOptions::default() };
        let run = scene.start_with(&city, Scope::All, first).await;
        assert_eq!(run.counts.total, 4);
        assert_eq!(claimed(&scene.claim(&run, 1, 3).await), [1, 2, 3]);
        let now = scene.clock.wall();
        let reports = vec![
            finish(1, CellState::Failed, now),
            finish(2, CellState::Completed, now),
            give_back(3),
        ];
        scene.store.record(run.id, 1, reports).await.unwrap();
        scene.store.recover_run(run.id, paceline_model::Recovery::Once).await.unwrap();
        let claim = scene.claim(&run, 2, 9).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![3, 4], false));
        let none = scene.claim(&run, 3, 9).await;
        assert_eq!((claimed(&none), none.exhausted), (vec![], false), "one of them may be left");
        let reports = vec![finish(3, CellState::Skipped, now), leave(4)];
        let after = scene.store.record(run.id, 2, reports).await.unwrap();
        assert_eq!((after.counts.total, after.counts.ended()), (4, 3), "there are five more");
        assert_eq!(claimed(&scene.claim(&run, 2, 9).await), [5]);
        scene.store.record(run.id, 2, vec![finish(5, CellState::Completed, now)]).await.unwrap();
        let none = scene.claim(&run, 2, 9).await;
        assert_eq!((claimed(&none), none.exhausted), (vec![], true));
    });
}

#[test]
fn a_filter_narrows_a_run_and_a_rename_changes_nothing() {
    each(|scene| async move {
        let (table, city) = scene.filled(9).await;
        let filter = RunOptions { filter: Some(at_least(&table, 6)), ..RunOptions::default() };
        let run = scene.start_with(&city, Scope::All, filter.clone()).await;
        assert_eq!(run.counts.total, 4);
        assert_eq!(claimed(&scene.claim(&run, 1, 2).await), [6, 7]);
        let change = ColumnChange { name: Some("points".into()), ..ColumnChange::default() };
        scene.store.update_column(table.columns[1].id, change).await.unwrap();
        let gone = scene.store.delete_column(table.columns[1].id).await.unwrap_err();
        assert!(matches!(&gone, Error::Conflict(text) if text.contains("points")), "{gone}");
        let claim = scene.claim(&run, 1, 9).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![8, 9], true));
        scene.complete(&run).await;
        scene.store.delete_column(table.columns[1].id).await.unwrap();
    });
}

#[test]
fn a_filter_that_rows_would_refuse_makes_no_run() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let of = |subject, operator| Filter::Test(Test { subject, path: Vec::new(), operator });
        let missing = of(Subject::Column(paceline_model::ColumnId(99)), Operator::IsNull(true));
        let wrong = of(Subject::Column(table.columns[1].id), Operator::Contains("x".into()));
        for scope in [Scope::All, Scope::Following] {
            let before = scene.start(&city, Scope::All).await;
            scene.complete(&before).await;
            for (filter, code) in [(&missing, "NOT_FOUND"), (&wrong, "VALIDATION")] {
                let options = RunOptions {
                    filter: Some(filter.clone()),
                    after: vec![before.id],
                    ..RunOptions::default()
                };
                let new = NewRun { options, ..NewRun::new(table.id, city.id, scope) };
                let refused = scene.store.create_run(new.clone()).await.unwrap_err();
                assert!(refused.code().contains(code), "{refused:?}");
                let query = DueQuery { run: new, after: RowId(0), max: 9 };
                let refused = scene.store.due_cells(&query, &[]).await.unwrap_err();
                assert!(refused.code().contains(code), "{refused:?}");
            }
        }
    });
}

#[test]
fn what_is_not_due_after_all_is_left_as_it_is() {
    each(|scene| async move {
        let (_, city) = scene.filled(3).await;
        scene.ended_as(&city, &[(1, CellState::Completed), (2, CellState::Completed)]).await;
        let before = scene.store.cells(city.id, RowId(1), RowId(9)).await.unwrap();
        let run = scene.start(&city, Scope::Stale).await;
        assert_eq!(run.counts.total, 2);
        scene.claim(&run, 1, 9).await;
        let late = scene.store.record(run.id, 2, vec![leave(1)]).await.unwrap();
        assert_eq!(late.counts.total, 2, "of who does not hold it");
        let left = scene.store.record(run.id, 1, vec![leave(1), leave(1)]).await.unwrap();
        assert_eq!((left.counts.total, left.counts.ended()), (1, 0));
        let left = scene.store.record(run.id, 1, vec![leave(2)]).await.unwrap();
        assert_eq!((left.counts.total, left.counts.ended()), (0, 0));
        assert_eq!(scene.store.cells(city.id, RowId(1), RowId(9)).await.unwrap(), before);
        let claim = scene.claim(&run, 3, 9).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![], true));
    });
}

#[test]
fn a_task_knows_its_cell_and_the_states_of_its_smart_inputs() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        scene.ended_as(&city, &[(1, CellState::Completed), (2, CellState::Failed)]).await;
        let size = smart("size", paceline_model::ColumnType::Number);
        let size = scene.store.add_column(table.id, size).await.unwrap();
        let run = scene.start(&city, Scope::All).await;
        let claim = scene.claim(&run, 1, 9).await;
        let cells: Vec<_> = claim.tasks.iter().map(|task| task.cell.clone()).collect();
        let before = |state, code: Option<&str>| {
            let error_code = code.map(str::to_owned);
            Some(CellBefore { state, error_code, fingerprint: made_from(state), locked: false })
        };
        let wanted = [
            before(CellState::Completed, None),
            before(CellState::Failed, Some("HTTP_STATUS")),
            None,
        ];
        assert_eq!(cells, wanted);
        assert!(claim.tasks.iter().all(|task| task.states.is_empty()), "no input is smart");
        scene.store.record(run.id, 1, vec![give_back(1), give_back(2)]).await.unwrap();
        let again = scene.claim(&run, 2, 9).await;
        assert_eq!(again.tasks[1].cell, wanted[1], "given back as well");
        let inputs = [table.columns[0].id, city.id, table.columns[1].id];
        let sizes = scene.start(&size, Scope::Empty).await;
        let claim = scene.store.claim_tasks(sizes.id, &inputs, lease(1), 9).await.unwrap();
        for (task, state) in
            claim.tasks.iter().zip([Some(CellState::Completed), Some(CellState::Failed), None])
        {
            assert_eq!((&task.cell, &task.states), (&None, &vec![None, state, None]));
            assert_eq!(task.inputs[2], Value::Int(task.row.0));
        }
        assert_eq!(claim.tasks[0].inputs[1], Value::Text("made".into()));
    });
}

#[test]
fn columns_of_every_kind_that_takes_steps_have_notes() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let mut waterfall = integration("phone");
        waterfall.smart.as_mut().unwrap().kind = paceline_model::SmartKind::Waterfall;
        let phone = scene.store.add_column(table.id, waterfall).await.unwrap();
        let run = scene.start(&phone, Scope::All).await;
        scene.claim(&run, 1, 1).await;
        let call = paceline_model::NotedCall::Intended;
        assert!(scene.store.save_note(run.id, 1, RowId(1), "second", call).await.unwrap());
        scene.store.recover_run(run.id, paceline_model::Recovery::Reconciled).await.unwrap();
        let claim = scene.claim(&run, 2, 1).await;
        assert_eq!(claim.tasks[0].note.as_deref(), Some("second"));
    });
}

#[test]
fn a_local_column_runs_and_nobody_looks_up_its_unknown_cells() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let mut formula: NewColumn = column("double", paceline_model::ColumnType::Number);
        formula.smart = smart("double", paceline_model::ColumnType::Number).smart;
        formula.smart.as_mut().unwrap().kind = paceline_model::SmartKind::Formula;
        let formula = scene.store.add_column(table.id, formula).await.unwrap();
        let unknown = NewRun::new(table.id, formula.id, Scope::Unknown);
        assert!(matches!(scene.store.create_run(unknown).await, Err(Error::Invalid(_))));
        assert_eq!(scene.start(&formula, Scope::All).await.counts.total, 1);
    });
}

#[test]
fn a_cell_that_a_person_wrote_is_due_in_no_scope() {
    each(|scene| async move {
        let (table, city) = scene.filled(6).await;
        scene
            .ended_as(
                &city,
                &[
                    (1, CellState::Completed),
                    (2, CellState::Completed),
                    (3, CellState::Failed),
                    (4, CellState::Failed),
                ],
            )
            .await;
        let odd = [1, 3, 5].map(Value::Int).to_vec();
        let odd = Filter::Test(Test {
            subject: Subject::Id,
            path: Vec::new(),
            operator: Operator::In(odd),
        });
        assert_eq!(scene.store.lock_cells(city.id, odd, true).await.unwrap(), 3);
        for (scope, wanted) in [
            (Scope::All, vec![2, 4, 6]),
            (Scope::Empty, vec![6]),
            (Scope::Failed, vec![4]),
            (Scope::Stale, vec![2]),
        ] {
            for filter in [None, Some(at_least(&table, 1))] {
                let options = RunOptions { filter, ..RunOptions::default() };
                let run = scene.start_with(&city, scope, options).await;
                assert_eq!(run.counts.total, wanted.len() as u64, "{scope:?}");
                let claim = scene.claim(&run, 1, 9).await;
                assert_eq!((claimed(&claim), claim.exhausted), (wanted.clone(), true), "{scope:?}");
                scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
            }
        }
    });
}
