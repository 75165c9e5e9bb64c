//! Who waits for changes is woken by every one of them, and misses none (P4).

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_model::{CellState, NewItem, RunStatus, Scope, Store};
use paceline_store::{Access, PostgresStore};
use serde_json::json;

use crate::backends::Home;
use crate::support::{Scene, column, each, finish, leads};

/// Whether a caller that was answered `seen` would go on waiting.
async fn waits(scene: &Scene, seen: u64) -> bool {
    tokio::select! {
        biased;
        _ = scene.store.next_change(seen) => false,
        () = scene.clock.sleep(Duration::from_secs(60)) => true,
    }
}

#[test]
fn a_waiter_is_woken_by_every_kind_of_change_and_by_nothing_else() {
    each(|scene| async move {
        let store = &scene.store;
        let mut seen = store.next_change(0).await;
        assert!(waits(&scene, seen).await, "nothing has changed yet");
        let mut heard = async |what: &str| {
            assert!(!waits(&scene, seen).await, "{what}");
            seen = store.next_change(seen).await;
            assert!(waits(&scene, seen).await, "{what}: once");
        };
        let table = leads(store.as_ref()).await;
        heard("create_table").await;
        store.add_column(table.id, column("x", paceline_model::ColumnType::Text)).await.unwrap();
        heard("add_column").await;
        scene.add_rows(&table, 1).await;
        heard("insert_rows").await;
        let run = scene.start(&table.columns[2], Scope::All).await;
        heard("create_run").await;
        scene.claim(&run, 1, 1).await;
        store.set_setting("a", "b").await.unwrap();
        let item = NewItem { kind: "job", table: None, name: "a".into(), body: json!(1) };
        store.create_item(item).await.unwrap();
        store
            .create_run(paceline_model::NewRun::new(table.id, table.columns[2].id, Scope::All))
            .await
            .unwrap_err();
        store.checkpoint().await.unwrap();
        let done = finish(1, CellState::Completed, scene.clock.wall());
        store.record(run.id, 1, vec![done]).await.unwrap();
        heard("record").await;
        store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        heard("set_run_status").await;
    });
}

#[test]
fn what_does_not_change_a_table_wakes_nobody() {
    each(|scene| async move {
        let (_, city) = scene.filled(3).await;
        let run = scene.start(&city, Scope::All).await;
        let seen = scene.store.next_change(0).await;
        scene.claim(&run, 1, 2).await;
        scene.store.set_setting("a", "b").await.unwrap();
        scene.store.append_entries("audit", vec![(0, json!(1))], 9).await.unwrap();
        assert!(
            scene.store.insert_rows(paceline_model::TableId(99), &[], vec![vec![]]).await.is_err()
        );
        assert!(waits(&scene, seen).await);
    });
}

#[test]
fn a_change_that_came_between_the_read_and_the_wait_is_heard() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let seen = scene.store.next_change(0).await;
        let before = scene.store.count_rows(table.id, None).await.unwrap();
        scene.add_rows(&table, 1).await;
        let next = scene.store.next_change(seen).await;
        assert_ne!(next, seen);
        assert_eq!(scene.store.count_rows(table.id, None).await.unwrap(), before + 1);
    });
}

#[test]
fn who_follows_the_numbers_reads_every_change_whoever_else_does() {
    each(|scene| async move {
        let (table, _) = scene.filled(1).await;
        let followers: Vec<_> = (0..5)
            .map(|_| {
                let (scene, table) = (scene.clone(), table.clone());
                tokio::spawn(async move {
                    let (mut seen, mut after, mut read) = (0, 0, 0);
                    // The table, its first row, and forty more.
                    while read < 42 {
                        seen = scene.store.next_change(seen).await;
                        let (changes, _) =
                            scene.store.changes_after(table.id, after, 100).await.unwrap();
                        read += changes.len();
                        after = changes.last().map_or(after, |change| change.sequence);
                    }
                    read
                })
            })
            .collect();
        for _ in 0..40 {
            scene.add_rows(&table, 1).await;
        }
        for follower in followers {
            assert_eq!(follower.await.unwrap(), 42);
        }
    });
}

#[test]
fn what_another_process_changes_is_heard_too() {
    let Some(home) = Home::postgres() else { return };
    let open = || -> Arc<dyn Store> {
        PostgresStore::open(&home.address, Clock::system(), Access::Shared).unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (here, there) = (open(), open());
        let mut seen = here.next_change(0).await;
        let table = leads(there.as_ref()).await;
        // Woken by whatever ends a transaction on the server: the change is there at the latest when nothing else is heard.
        while here.changes_after(table.id, 0, 1).await.unwrap().0.is_empty() {
            seen = here.next_change(seen).await;
        }
        let waiting = here.next_change(seen);
        let changing = async {
            there.insert_rows(table.id, &[], vec![vec![]]).await.unwrap();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            next = waiting => assert_ne!(next, seen),
            () = changing => {}
        }
    });
}
