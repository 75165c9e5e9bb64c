//! Runs that come after others: a row comes to its turn when none of the runs before is at it any more, whatever became
//! of it there, and rows flow past one another (R2, R4).

use paceline_model::{
    CellState, Column, ColumnType, Error, Filter, NewRun, Operator, Recovery, RowId, Run,
    RunOptions, RunStatus, Scope, Subject, Table, TaskReport, TaskStep, Test, Value,
};

use crate::support::{LEASE, Scene, claimed, column, each, finish, give_back, lease, smart};

/// The table with its smart columns `city` and `size`, the latter made from the former.
async fn two(scene: &Scene, rows: i64) -> (Table, Column, Column) {
    let (table, city) = scene.filled(rows).await;
    let size = smart("size", ColumnType::Text);
    let size = scene.store.add_column(table.id, size).await.unwrap();
    (table, city, size)
}

impl Scene {
    async fn start_after(&self, column: &Column, scope: Scope, before: &[&Run]) -> Run {
        let options = RunOptions {
            after: before.iter().map(|run| run.id).collect(),
            ..RunOptions::default()
        };
        let new = NewRun { options, ..NewRun::new(column.table, column.id, scope) };
        self.store.create_run(new).await.unwrap()
    }

    async fn finish_rows(&self, run: &Run, token: i64, rows: &[i64]) -> Run {
        let now = self.clock.wall();
        let reports = rows.iter().map(|row| finish(*row, CellState::Completed, now)).collect();
        self.store.record(run.id, token, reports).await.unwrap()
    }

    async fn over(&self, run: &Run, status: RunStatus) -> Run {
        self.store.set_run_status(run.id, status, None).await.unwrap()
    }

    /// What a claim of everything brings, and whether nothing more will come.
    async fn rows_of(&self, run: &Run, token: i64) -> (Vec<i64>, bool) {
        let claim = self.claim(run, token, 100).await;
        (claimed(&claim), claim.exhausted)
    }
}

#[test]
fn a_slow_row_holds_up_no_other() {
    each(|scene| async move {
        let (_, city, size) = two(&scene, 5).await;
        let first = scene.start(&city, Scope::All).await;
        let second = scene.start_after(&size, Scope::All, &[&first]).await;
        assert_eq!((second.counts.total, &second.options.after), (5, &vec![first.id]));
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], false), "nothing has begun");
        scene.claim(&first, 1, 4).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], false), "all are under way");
        scene.finish_rows(&first, 1, &[1, 4]).await;
        let claim = scene.store.claim_tasks(second.id, &[city.id], lease(2), 9).await.unwrap();
        assert_eq!(claimed(&claim), [1, 4]);
        assert_eq!(
            claim.tasks[1].inputs,
            [Value::Text("made".into())],
            "what came before is there"
        );
        assert_eq!(claim.tasks[1].states, [Some(CellState::Completed)]);
        scene.finish_rows(&second, 2, &[1, 4]).await;
        scene.finish_rows(&first, 1, &[3]).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![3], false));
        scene.claim(&first, 1, 9).await;
        scene.finish_rows(&first, 1, &[5]).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![5], false));
        scene.finish_rows(&first, 1, &[2]).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![2], false), "the first is not over");
        scene.over(&first, RunStatus::Completed).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], true));
    });
}

#[test]
fn a_row_that_is_given_back_or_tried_again_is_not_ready() {
    each(|scene| async move {
        let (_, city, size) = two(&scene, 2).await;
        let first = scene.start(&city, Scope::All).await;
        let second = scene.start_after(&size, Scope::All, &[&first]).await;
        scene.claim(&first, 1, 2).await;
        let step =
            TaskStep::Retry { errors: 1, not_before: scene.clock.wall(), throttled_since: None };
        let again = TaskReport::new(RowId(2), None, step);
        scene.store.record(first.id, 1, vec![give_back(1), again]).await.unwrap();
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], false));
        scene.sim.advance(LEASE);
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], false));
        assert_eq!(scene.rows_of(&first, 3).await, (vec![1, 2], true));
        let left = TaskReport::new(RowId(1), None, TaskStep::Leave);
        scene.store.record(first.id, 3, vec![left]).await.unwrap();
        assert_eq!(scene.rows_of(&second, 2).await, (vec![1], false));
    });
}

#[test]
fn a_crash_loses_nothing_and_takes_nothing_twice() {
    each(|scene| async move {
        let (_, city, size) = two(&scene, 4).await;
        let first = scene.start(&city, Scope::All).await;
        let second = scene.start_after(&size, Scope::All, &[&first]).await;
        scene.claim(&first, 1, 3).await;
        scene.finish_rows(&first, 1, &[1]).await;
        assert_eq!(scene.rows_of(&second, 2).await.0, [1]);
        scene.store.record_intents(first.id, 1, &[RowId(2)]).await.unwrap();
        scene.store.record_intents(second.id, 2, &[RowId(1)]).await.unwrap();
        scene.sim.advance(LEASE * 2);
        scene.store.recover_run(first.id, Recovery::Once).await.unwrap();
        scene.store.recover_run(second.id, Recovery::Repeatable).await.unwrap();
        assert_eq!(scene.rows_of(&second, 3).await.0, [1, 2], "2 is unknown, and so at its end");
        assert_eq!(scene.rows_of(&first, 3).await, (vec![3, 4], true), "3 was held");
        assert_eq!(scene.rows_of(&second, 4).await.0, [] as [i64; 0]);
        scene.finish_rows(&first, 3, &[3, 4]).await;
        scene.over(&first, RunStatus::CompletedWithErrors).await;
        assert_eq!(scene.rows_of(&second, 3).await, (vec![3, 4], true));
        let done = scene.finish_rows(&second, 3, &[1, 2, 3, 4]).await;
        assert_eq!((done.counts.completed, done.counts.total), (4, 4));
    });
}

#[test]
fn a_run_before_that_ends_early_lets_all_go_on() {
    each(|scene| async move {
        let (_, city, size) = two(&scene, 4).await;
        for status in [RunStatus::Cancelled, RunStatus::Completed, RunStatus::CompletedWithErrors] {
            let first = scene.start(&city, Scope::All).await;
            let second = scene.start_after(&size, Scope::All, &[&first]).await;
            scene.claim(&first, 1, 2).await;
            let failed = vec![finish(1, CellState::Failed, scene.clock.wall())];
            scene.store.record(first.id, 1, failed).await.unwrap();
            assert_eq!(scene.rows_of(&second, 2).await, (vec![1], false));
            scene.over(&first, RunStatus::Paused).await;
            assert_eq!(scene.rows_of(&second, 2).await, (vec![], false), "it will go on");
            scene.over(&first, status).await;
            assert_eq!(scene.rows_of(&second, 2).await, (vec![2, 3, 4], true), "{status:?}");
            scene.over(&second, RunStatus::Cancelled).await;
        }
    });
}

#[test]
fn a_run_after_two_waits_for_both_and_small_claims_find_the_same() {
    each(|scene| async move {
        let (table, city, size) = two(&scene, 6).await;
        let sum = scene.store.add_column(table.id, smart("sum", ColumnType::Text)).await.unwrap();
        let one = scene.start(&city, Scope::All).await;
        let two = scene.start(&size, Scope::All).await;
        let last = scene.start_after(&sum, Scope::All, &[&one, &two]).await;
        scene.claim(&one, 1, 6).await;
        scene.claim(&two, 1, 4).await;
        scene.finish_rows(&one, 1, &[1, 2, 3, 5, 6]).await;
        scene.finish_rows(&two, 1, &[2, 3, 4]).await;
        let mut found = Vec::new();
        loop {
            let claim = scene.claim(&last, 2, 1).await;
            if claim.tasks.is_empty() {
                break;
            }
            found.extend(claimed(&claim));
        }
        assert_eq!(found, [2, 3]);
        scene.finish_rows(&two, 1, &[1]).await;
        assert_eq!(scene.rows_of(&last, 2).await.0, [1]);
        scene.over(&two, RunStatus::Cancelled).await;
        assert_eq!(scene.rows_of(&last, 2).await.0, [5, 6]);
        scene.over(&one, RunStatus::Cancelled).await;
        assert_eq!(scene.rows_of(&last, 2).await, (vec![4], true));
    });
}

#[test]
fn what_follows_is_what_a_run_before_came_to_an_end_with() {
    each(|scene| async move {
        let (table, city, size) = two(&scene, 8).await;
        let old = scene.start(&size, Scope::All).await;
        scene.claim(&old, 1, 9).await;
        let now = scene.clock.wall();
        let ends = [
            finish(1, CellState::Completed, now),
            finish(2, CellState::Failed, now),
            finish(3, CellState::Skipped, now),
            finish(6, CellState::Completed, now),
        ];
        scene.store.record(old.id, 1, ends.to_vec()).await.unwrap();
        scene.over(&old, RunStatus::Cancelled).await;
        let written = Filter::Test(Test {
            subject: Subject::Id,
            path: Vec::new(),
            operator: Operator::Eq(Value::Int(4)),
        });
        scene.store.lock_cells(size.id, written, true).await.unwrap();
        let options = RunOptions { first: Some(7), ..RunOptions::default() };
        let new = NewRun { options, ..NewRun::new(table.id, city.id, Scope::All) };
        let first = scene.store.create_run(new).await.unwrap();
        let second = scene.start_after(&size, Scope::Following, &[&first]).await;
        assert_eq!(second.counts.total, 7, "no more than those before may end");
        scene.claim(&first, 1, 7).await;
        scene.finish_rows(&first, 1, &[1, 2]).await;
        assert_eq!(
            scene.rows_of(&second, 2).await,
            (vec![1, 2], false),
            "what 2 failed with may be no more"
        );
        let left = [5, 6].map(|row| TaskReport::new(RowId(row), None, TaskStep::Leave));
        scene.store.record(first.id, 1, left.to_vec()).await.unwrap();
        scene.finish_rows(&first, 1, &[3, 4, 7]).await;
        let claim = scene.claim(&second, 2, 9).await;
        assert_eq!(claimed(&claim), [3, 7], "5 and 6 were left, 4 is a person's");
        let states: Vec<_> =
            claim.tasks.iter().map(|task| task.cell.as_ref().map(|cell| cell.state)).collect();
        assert_eq!(states, [Some(CellState::Skipped), None]);
        scene.over(&first, RunStatus::Completed).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], true));
        let as_before = TaskReport::new(RowId(2), None, TaskStep::Leave);
        scene.store.record(second.id, 2, vec![as_before]).await.unwrap();
        scene.finish_rows(&second, 2, &[1, 3, 7]).await;
        let over = scene.over(&second, RunStatus::Completed).await;
        assert_eq!((over.counts.total, over.counts.completed), (3, 3));
        assert_eq!(scene.store.run(second.id).await.unwrap(), Some(over));
    });
}

#[test]
fn what_a_filter_says_of_a_row_that_waits_is_asked_when_it_is_ready() {
    each(|scene| async move {
        let (table, city, size) = two(&scene, 4).await;
        let first = scene.start(&city, Scope::All).await;
        let made = Filter::Test(Test {
            subject: Subject::Column(city.id),
            path: Vec::new(),
            operator: Operator::Eq(Value::Text("made".into())),
        });
        let options = RunOptions {
            after: vec![first.id],
            filter: Some(made),
            first: Some(2),
            ..RunOptions::default()
        };
        let new = NewRun { options, ..NewRun::new(table.id, size.id, Scope::Empty) };
        let second = scene.store.create_run(new).await.unwrap();
        scene.claim(&first, 1, 4).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], false));
        let failed = finish(1, CellState::Failed, scene.clock.wall());
        scene.store.record(first.id, 1, vec![failed]).await.unwrap();
        scene.finish_rows(&first, 1, &[3, 4]).await;
        let (rows, exhausted) = scene.rows_of(&second, 2).await;
        assert_eq!((rows, exhausted), (vec![3], false), "1 has no value, and 2 may have one yet");
        scene.finish_rows(&first, 1, &[2]).await;
        assert_eq!(scene.rows_of(&second, 2).await.0, [2], "the first two that pass");
        scene.finish_rows(&second, 2, &[2, 3]).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], true));
    });
}

#[test]
fn rows_that_are_deleted_keep_nobody_waiting() {
    each(|scene| async move {
        let (_, city, size) = two(&scene, 3).await;
        let first = scene.start(&city, Scope::All).await;
        let second = scene.start_after(&size, Scope::All, &[&first]).await;
        scene.claim(&first, 1, 3).await;
        scene.finish_rows(&first, 1, &[1]).await;
        assert_eq!(scene.rows_of(&second, 2).await.0, [1]);
        let gone = Filter::Test(Test {
            subject: Subject::Id,
            path: Vec::new(),
            operator: Operator::Gt(Value::Int(1)),
        });
        assert_eq!(scene.store.delete_rows(city.table, gone).await.unwrap(), 2);
        scene.over(&first, RunStatus::Completed).await;
        assert_eq!(scene.rows_of(&second, 2).await, (vec![], true));
    });
}

#[test]
fn runs_that_nothing_can_come_after_are_refused() {
    each(|scene| async move {
        let (table, city, size) = two(&scene, 1).await;
        let first = scene.start(&city, Scope::All).await;
        let other = paceline_model::NewTable {
            name: "other".into(),
            description: String::new(),
            columns: vec![column("a", ColumnType::Text), smart("b", ColumnType::Text)],
        };
        let other = scene.store.create_table(other).await.unwrap();
        let foreign = scene.start(&other.columns[1], Scope::All).await;
        let create = async |after: Vec<paceline_model::RunId>, scope| {
            let options = RunOptions { after, ..RunOptions::default() };
            let new = NewRun { options, ..NewRun::new(table.id, size.id, scope) };
            scene.store.create_run(new).await.unwrap_err()
        };
        let twice = create(vec![first.id, first.id], Scope::All).await;
        assert!(matches!(twice, Error::Invalid(_)), "{twice}");
        let nothing = create(Vec::new(), Scope::Following).await;
        assert!(matches!(nothing, Error::Invalid(_)), "{nothing}");
        for run in [foreign.id, paceline_model::RunId(99)] {
            let missing = create(vec![run], Scope::All).await;
            assert!(matches!(missing, Error::Missing(_)), "{missing}");
        }
    });
}
