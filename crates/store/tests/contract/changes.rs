//! Changes: what is written, by number, and what a reader may have missed (P4).

use paceline_model::{
    CellState, ChangeKind, ColumnType, Error, Filter, NewTable, Operator, RowId, RunStatus, Scope,
    Subject, Table, TableEnd, TableId, Test, Value, limits,
};
use serde_json::json;

use crate::support::{Scene, column, each, finish, leads, lease};

#[test]
fn each_act_is_one_change() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let run = scene.start(&city, Scope::All).await;
        scene.claim(&run, 1, 2).await;
        scene.store.renew_leases(lease(1)).await.unwrap();
        let now = scene.clock.wall();
        let reports = [2, 1].map(|row| finish(row, CellState::Completed, now)).to_vec();
        scene.store.record(run.id, 1, reports).await.unwrap();
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        scene.store.update_smart_column(city.id, json!({}), json!("gentle")).await.unwrap();
        let (changes, oldest) = scene.store.changes_after(table.id, 0, 100).await.unwrap();
        let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                ChangeKind::Schema,
                ChangeKind::RowsInserted { first: RowId(1), last: RowId(2) },
                ChangeKind::Run { run: run.id },
                ChangeKind::Cells { column: city.id, rows: vec![RowId(1), RowId(2)] },
                ChangeKind::Run { run: run.id },
                ChangeKind::Schema,
            ]
        );
        assert!(changes.is_sorted_by(|a, b| a.sequence < b.sequence));
        assert!(changes.iter().all(|change| change.table == table.id && change.at == now));
        assert_eq!(oldest, changes[0].sequence);
    });
}

#[test]
fn a_table_tells_how_far_it_has_come() {
    each(|scene| async move {
        let (table, city) = scene.filled(3).await;
        let end = async || scene.store.table_end(table.id).await;
        let newest = async || {
            let (changes, _) = scene.store.changes_after(table.id, 0, 100).await.unwrap();
            changes.last().unwrap().sequence
        };
        assert_eq!(end().await.unwrap(), TableEnd { sequence: newest().await, row: RowId(3) });
        let last = Filter::Test(Test {
            subject: Subject::Id,
            path: Vec::new(),
            operator: Operator::Eq(Value::Int(3)),
        });
        scene.store.delete_rows(table.id, last).await.unwrap();
        // No other row gets the id of one that is gone.
        assert_eq!(end().await.unwrap(), TableEnd { sequence: newest().await, row: RowId(3) });
        scene.start(&city, Scope::All).await;
        assert_eq!(end().await.unwrap().sequence, newest().await);
        let other = leads_too(&scene).await;
        scene.add_rows(&other, 9).await;
        assert_eq!(end().await.unwrap(), TableEnd { sequence: newest().await, row: RowId(3) });
        scene.store.delete_table(other.id).await.unwrap();
        let gone = scene.store.table_end(other.id).await.unwrap_err();
        assert!(matches!(gone, Error::Missing(_)), "{gone}");
    });
}

/// A second table with one column.
async fn leads_too(scene: &Scene) -> Table {
    let columns = vec![column("email", ColumnType::Email), column("score", ColumnType::Number)];
    let table = NewTable { name: "more".into(), description: String::new(), columns };
    scene.store.create_table(table).await.unwrap()
}

#[test]
fn reading_goes_on_where_it_stopped() {
    each(|scene| async move {
        let table = leads(scene.store.as_ref()).await;
        let other = NewTable { name: "other".into(), description: String::new(), columns: vec![] };
        scene.store.create_table(other).await.unwrap();
        for _ in 0..4 {
            scene.add_rows(&table, 1).await;
        }
        let (all, _) = scene.store.changes_after(table.id, 0, 100).await.unwrap();
        assert_eq!(all.len(), 5, "the other table's are not among them");
        let mut read = Vec::new();
        let mut after = 0;
        loop {
            let (part, _) = scene.store.changes_after(table.id, after, 2).await.unwrap();
            let Some(last) = part.last() else { break };
            after = last.sequence;
            read.extend(part);
        }
        assert_eq!(read, all);
        let (none, oldest) = scene.store.changes_after(TableId(99), 0, 10).await.unwrap();
        assert_eq!((none, oldest), (vec![], 0));
    });
}

#[test]
fn old_changes_go_and_the_gap_shows() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        // Three changes so far; a pause each from here on.
        let kept = usize::try_from(limits::CHANGES_KEPT).unwrap();
        let mut left = kept + 7 - scene.repeat_last_change(kept - 500);
        while left > 0 {
            // Many at once, so that they share transactions.
            let together = (0..left.min(200))
                .map(|_| scene.store.set_run_status(run.id, RunStatus::Paused, None));
            for done in join_all(together).await {
                done.unwrap();
                left -= 1;
            }
        }
        let (first, oldest) = scene.store.changes_after(table.id, 0, 1).await.unwrap();
        assert_eq!(oldest, 11, "the ten oldest are gone");
        assert_eq!(first[0].sequence, oldest);
        let (newest, _) =
            scene.store.changes_after(table.id, limits::CHANGES_KEPT, 100).await.unwrap();
        assert_eq!(newest.last().unwrap().sequence, limits::CHANGES_KEPT + 10);
    });
}

async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, output) in &mut pending {
            if output.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *output = Some(done);
            }
        }
        if pending.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    pending.into_iter().filter_map(|(_, output)| output).collect()
}
