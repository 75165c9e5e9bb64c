//! What a run would take up, told before it is made, is what it takes up (R1).

use paceline_model::{
    CellState, DueQuery, NewRun, RowId, RunOptions, RunStatus, Scope, Value, limits,
};

use crate::options::at_least;
use crate::support::{Scene, claimed, each, numbers};

impl Scene {
    /// The rows that a plan of such a run finds, in pages.
    async fn planned(&self, new: &NewRun, page: usize) -> Vec<i64> {
        let mut rows = Vec::new();
        loop {
            let after = RowId(rows.last().copied().unwrap_or(0));
            let query = DueQuery { run: new.clone(), after, max: page };
            let found = self.store.due_cells(&query, &[]).await.unwrap();
            rows.extend(numbers(found.iter().map(|task| task.row)));
            if found.len() < page {
                return rows;
            }
        }
    }
}

#[test]
fn each_scope_and_filter_counts_claims_and_plans_the_same_cells() {
    each(|scene| async move {
        let (table, city) = scene.filled(8).await;
        scene
            .ended_as(
                &city,
                &[
                    (1, CellState::Completed),
                    (2, CellState::Failed),
                    (3, CellState::Skipped),
                    (5, CellState::Completed),
                    (6, CellState::Failed),
                ],
            )
            .await;
        for (scope, wanted) in [
            (Scope::All, vec![1, 2, 3, 4, 5, 6, 7, 8]),
            (Scope::Empty, vec![4, 7, 8]),
            (Scope::Failed, vec![2, 6]),
            (Scope::Stale, vec![1, 2, 3, 5, 6]),
        ] {
            for least in [None, Some(4)] {
                let wanted: Vec<i64> =
                    wanted.iter().copied().filter(|row| *row >= least.unwrap_or(0)).collect();
                let filter = least.map(|least| at_least(&table, least));
                let options = RunOptions { filter, ..RunOptions::default() };
                let new = NewRun { options, ..NewRun::new(table.id, city.id, scope) };
                for page in [1, 2, 9] {
                    assert_eq!(scene.planned(&new, page).await, wanted, "{scope:?} by {page}");
                }
                let run = scene.store.create_run(new).await.unwrap();
                assert_eq!(run.counts.total, wanted.len() as u64, "{scope:?} from {least:?}");
                let claim = scene.claim(&run, 1, 9).await;
                assert_eq!((claimed(&claim), claim.exhausted), (wanted, true), "{scope:?}");
                scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
            }
        }
    });
}

#[test]
fn a_plan_of_the_first_so_many_counts_them_from_the_first_row() {
    each(|scene| async move {
        let (table, city) = scene.filled(9).await;
        let options = RunOptions {
            first: Some(4),
            filter: Some(at_least(&table, 3)),
            ..RunOptions::default()
        };
        let new = NewRun { options, ..NewRun::new(table.id, city.id, Scope::All) };
        for page in [1, 2, 3, 4, 5] {
            assert_eq!(scene.planned(&new, page).await, [3, 4, 5, 6], "by {page}");
        }
        let all = DueQuery { run: new, after: RowId(0), max: 9 };
        let inputs = [table.columns[1].id];
        let found = scene.store.due_cells(&all, &inputs).await.unwrap();
        assert_eq!((found.len(), &found[0].inputs), (4, &vec![Value::Int(3)]));
        assert_eq!(scene.claim(&scene.start(&city, Scope::All).await, 1, 9).await.tasks.len(), 9);
    });
}

#[test]
fn a_plan_looks_past_long_stretches_and_refuses_too_long_pages() {
    each(|scene| async move {
        let (table, city) = scene.filled(45_000).await;
        let options =
            RunOptions { filter: Some(at_least(&table, 44_998)), ..RunOptions::default() };
        let new = NewRun { options, ..NewRun::new(table.id, city.id, Scope::Empty) };
        assert_eq!(scene.planned(&new, 10).await, [44_998, 44_999, 45_000]);
        let query = |max| DueQuery { run: new.clone(), after: RowId(0), max };
        assert_eq!(scene.store.due_cells(&query(0), &[]).await.unwrap(), []);
        let long = query(limits::PAGE_ROWS_MAX + 1);
        let refused = scene.store.due_cells(&long, &[]).await.unwrap_err();
        assert!(matches!(refused, paceline_model::Error::Invalid(_)), "{refused}");
        let run = scene.store.create_run(new).await.unwrap();
        let claim = scene.claim(&run, 1, 10).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![44_998, 44_999, 45_000], true));
    });
}
