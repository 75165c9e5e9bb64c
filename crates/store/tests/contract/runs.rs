//! Runs: totals, statuses, and at most one per column (R1, R2, R3).

use paceline_model::{
    CellState, ColumnId, ColumnType, Error, NewRun, NewTable, RunId, RunStatus, Scope, Table,
    TableId,
};

use crate::support::{Scene, claimed, column, each, finish, smart};

#[test]
fn a_run_is_queued_with_its_total() {
    each(|scene| async move {
        let (table, city) = scene.filled(5).await;
        let run = scene.start(&city, Scope::All).await;
        assert_eq!(
            (run.status, run.counts.total, run.reason.clone()),
            (RunStatus::Queued, 5, None)
        );
        assert_eq!(
            (run.table, run.column, run.created_at),
            (table.id, city.id, scene.clock.wall())
        );
        assert_eq!(scene.store.run(run.id).await.unwrap(), Some(run));
        assert_eq!(scene.store.run(RunId(99)).await.unwrap(), None);
    });
}

#[test]
fn each_scope_counts_what_is_due() {
    each(|scene| async move {
        let (table, city) = scene.filled(4).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 10).await;
        let now = scene.clock.wall();
        let reports = [(1, CellState::Completed), (2, CellState::Failed), (3, CellState::Skipped)]
            .map(|(row, state)| finish(row, state, now));
        scene.store.record(run.id, 1, reports.to_vec()).await.unwrap();
        scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        scene.add_rows(&table, 2).await;
        for (scope, rows) in [
            (Scope::All, vec![1, 2, 3, 4, 5, 6]),
            (Scope::Empty, vec![4, 5, 6]),
            (Scope::Failed, vec![2]),
        ] {
            let run = scene.start(&city, scope).await;
            assert_eq!(run.counts.total, rows.len() as u64, "{scope:?}");
            let claim = scene.claim(&run, 1, 10).await;
            assert_eq!((claimed(&claim), claim.exhausted), (rows, true), "{scope:?}");
            scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        }
    });
}

#[test]
fn a_column_has_one_run_at_a_time() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        let new = NewRun::new(city.table, city.id, Scope::All);
        let run = scene.start(&city, Scope::All).await;
        for status in [RunStatus::Queued, RunStatus::Running, RunStatus::Paused] {
            scene.store.set_run_status(run.id, status, None).await.unwrap();
            let error = scene.store.create_run(new.clone()).await.unwrap_err();
            assert!(matches!(&error, Error::Conflict(text) if text.contains("city")), "{error}");
        }
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        let second = scene.store.create_run(new).await.unwrap();
        let newest = scene.store.runs(city.table, 10).await.unwrap();
        assert_eq!(newest.iter().map(|run| run.id).collect::<Vec<_>>(), [second.id, run.id]);
        assert_eq!(scene.store.runs(city.table, 1).await.unwrap().len(), 1);
    });
}

#[test]
fn what_is_not_at_its_end_is_found_among_many_runs() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let mut other = leads_like(&scene, "others").await;
        let theirs = other.columns.pop().unwrap();
        let newest = async |column| scene.store.newest_run(column).await.unwrap();
        assert_eq!(newest(city.id).await, None);
        for _ in 0..12 {
            let run = scene.start(&city, Scope::All).await;
            scene.store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        }
        let ended = newest(city.id).await.unwrap();
        assert_eq!(ended.status, RunStatus::Cancelled);
        assert_eq!(scene.store.unfinished_runs(None).await.unwrap(), []);
        let paused = scene.start(&city, Scope::All).await;
        let paused = scene.store.set_run_status(paused.id, RunStatus::Paused, None).await.unwrap();
        let queued = scene.start(&theirs, Scope::Empty).await;
        assert_eq!(newest(city.id).await, Some(paused.clone()));
        assert_eq!(newest(theirs.id).await, Some(queued.clone()));
        for (of, wanted) in [
            (None, vec![paused.clone(), queued.clone()]),
            (Some(table.id), vec![paused]),
            (Some(other.id), vec![queued]),
            (Some(TableId(99)), vec![]),
        ] {
            assert_eq!(scene.store.unfinished_runs(of).await.unwrap(), wanted, "{of:?}");
        }
    });
}

/// A table like `leads`, of another name.
async fn leads_like(scene: &Scene, name: &str) -> Table {
    let columns = vec![column("email", ColumnType::Email), smart("city", ColumnType::Text)];
    let table = NewTable { name: name.into(), description: String::new(), columns };
    scene.store.create_table(table).await.unwrap()
}

#[test]
fn only_smart_columns_run() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let new = |column| NewRun::new(table.id, column, Scope::All);
        let plain = scene.store.create_run(new(table.columns[0].id)).await.unwrap_err();
        assert!(matches!(plain, Error::Invalid(_)), "{plain}");
        let missing = scene.store.create_run(new(ColumnId(99))).await.unwrap_err();
        assert!(matches!(missing, Error::Missing(_)), "{missing}");
    });
}

#[test]
fn a_final_status_stays() {
    each(|scene| async move {
        let (_, city) = scene.filled(1).await;
        for last in [RunStatus::Cancelled, RunStatus::Completed, RunStatus::CompletedWithErrors] {
            let run = scene.start(&city, Scope::All).await;
            let reason = Some("because".to_owned());
            let paused = scene
                .store
                .set_run_status(run.id, RunStatus::Paused, reason.clone())
                .await
                .unwrap();
            assert_eq!((paused.status, &paused.reason), (RunStatus::Paused, &reason));
            assert_eq!(scene.store.run(run.id).await.unwrap(), Some(paused));
            scene.store.set_run_status(run.id, last, None).await.unwrap();
            let error =
                scene.store.set_run_status(run.id, RunStatus::Running, None).await.unwrap_err();
            assert!(matches!(error, Error::Conflict(_)), "{error}");
        }
        let missing = scene.store.set_run_status(RunId(99), RunStatus::Running, None).await;
        assert!(matches!(missing.unwrap_err(), Error::Missing(_)));
    });
}

#[test]
fn a_run_ends_where_the_table_ended_when_it_was_made() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        scene.add_rows(&table, 3).await;
        let claim = scene.claim(&run, 1, 10).await;
        assert_eq!((claimed(&claim), claim.exhausted), (vec![1, 2, 3], true));
    });
}

#[test]
fn retrying_failed_cells_takes_each_once() {
    each(|scene| async move {
        let (_, city) = scene.filled(6).await;
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Failed).await;
        scene.store.set_run_status(run.id, RunStatus::CompletedWithErrors, None).await.unwrap();
        let again = scene.start(&city, Scope::Failed).await;
        let mut seen = Vec::new();
        loop {
            let claim = scene.claim(&again, 1, 2).await;
            seen.extend(claimed(&claim));
            let now = scene.clock.wall();
            let reports =
                claim.tasks.iter().map(|task| finish(task.row.0, CellState::Failed, now)).collect();
            scene.store.record(again.id, 1, reports).await.unwrap();
            if claim.exhausted && claim.tasks.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6], "a cell that fails again is not taken again");
    });
}
