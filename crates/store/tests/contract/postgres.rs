//! What only PostgreSQL can do or get wrong: several processes, and lost connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_model::{
    CellState, Column, ColumnChange, Error, NewItem, RowId, RunStatus, Scope, Store, Table,
    TableChange, Value,
};
use paceline_store::{Access, PostgresStore};

use crate::backends::Home;
use crate::server::pause;
use crate::support::{Scene, claimed, finish, leads, lease};

/// A store for one of several processes, in real time.
pub(crate) fn shared(home: &Home) -> Arc<dyn Store> {
    PostgresStore::open(&home.address, Clock::system(), Access::Shared).unwrap()
}

fn scene(store: Arc<dyn Store>) -> Scene {
    let (sim, clock) = (SimClock::new(), Clock::system());
    Scene { store, sim, clock, columns_max: 0, database: None }
}

/// Runs real tasks side by side.
pub(crate) fn in_real_time(case: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(case);
}

#[test]
fn of_processes_that_start_at_once_one_migrates_and_all_open() {
    let Some(home) = Home::postgres() else { return };
    std::thread::scope(|threads| {
        for _ in 0..6 {
            threads.spawn(|| shared(&home));
        }
    });
    let applied = home.shell("SELECT number FROM paceline._ht_migrations ORDER BY number");
    assert_eq!(applied.first().map(String::as_str), Some("1"));
    assert!(applied.is_sorted_by(|a, b| a < b), "{applied:?}");
}

/// Claims and finishes until nothing is left; answers the rows it was given.
async fn work(scene: Scene, run: paceline_model::Run, token: i64) -> Vec<i64> {
    let mut rows = Vec::new();
    loop {
        let claim = scene.claim(&run, token, 7).await;
        let now = scene.clock.wall();
        let end = |row: &i64| finish(*row, CellState::Completed, now);
        let reports = claimed(&claim).iter().map(end).collect();
        rows.extend(claimed(&claim));
        scene.store.record(run.id, token, reports).await.unwrap();
        if claim.exhausted && claim.tasks.is_empty() {
            return rows;
        }
    }
}

#[test]
fn processes_side_by_side_take_every_row_once() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let stores = [shared(&home), shared(&home), shared(&home)];
        let first = scene(stores[0].clone());
        let (_, city) = first.filled(500).await;
        let run = first.start(&city, Scope::All).await;
        let workers: Vec<_> = (1..)
            .zip(stores.iter().chain(&stores))
            .map(|(token, store)| tokio::spawn(work(scene(store.clone()), run.clone(), token)))
            .collect();
        let mut rows = Vec::new();
        for worker in workers {
            rows.extend(worker.await.unwrap());
        }
        rows.sort_unstable();
        assert_eq!(rows, (1..=500).collect::<Vec<_>>());
        let run = stores[1].run(run.id).await.unwrap().unwrap();
        assert_eq!((run.counts.completed, run.counts.calls), (500, 500));
    });
}

#[test]
fn a_reader_misses_no_change_that_commits_late() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let stores = [shared(&home), shared(&home)];
        let table = leads(stores[0].as_ref()).await;
        let run = scene(stores[0].clone()).start(&table.columns[2], Scope::All).await;
        // What a change tells of is held for a while by some verbs and not at all by others.
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let (store, table, run) = (stores[n % 2].clone(), table.clone(), run.id);
                tokio::spawn(async move {
                    for _ in 0..40 {
                        match n / 2 {
                            0 => {
                                store.set_run_status(run, RunStatus::Running, None).await.unwrap();
                            }
                            1 => {
                                let (city, json) = (table.columns[2].id, serde_json::json!({}));
                                store.update_smart_column(city, json.clone(), json).await.unwrap();
                            }
                            _ => {
                                let columns = [table.columns[0].id];
                                let row = vec![vec![Value::Null]; 50 * n];
                                store.insert_rows(table.id, &columns, row).await.unwrap();
                            }
                        }
                    }
                })
            })
            .collect();
        let mut seen = Vec::new();
        // The table and the run were changes too. Whoever misses one waits for it in vain.
        let mut patience = 3_000;
        while seen.len() < 322 && patience > 0 {
            patience -= 1;
            let after = seen.last().copied().unwrap_or(0);
            let (changes, _) = stores[1].changes_after(table.id, after, 5).await.unwrap();
            seen.extend(changes.iter().map(|change| change.sequence));
        }
        for writer in writers {
            writer.await.unwrap();
        }
        let (all, _) = stores[0].changes_after(table.id, 0, 1_000).await.unwrap();
        assert_eq!(seen, all.iter().map(|change| change.sequence).collect::<Vec<_>>());
    });
}

/// Every kind of verb, over and over, on one run.
async fn jostle(scene: Scene, city: Column, run: paceline_model::Run, token: i64) {
    let (store, table) = (&scene.store, city.table);
    for round in 0..12 {
        let claim = scene.claim(&run, token, 5).await;
        let rows: Vec<RowId> = claim.tasks.iter().map(|task| task.row).collect();
        let name = format!("c{token}_{round}");
        let text = paceline_model::ColumnType::Text;
        let new = paceline_model::NewRun::new(table, city.id, Scope::All);
        let reports = || {
            let now = scene.clock.wall();
            rows.iter().rev().map(|row| finish(row.0, CellState::Completed, now)).collect()
        };
        store.record_intents(run.id, token, &rows).await.unwrap();
        let described = format!("round {round} of {token}");
        let change = TableChange { description: Some(described), ..TableChange::default() };
        let item = |name: &str| NewItem {
            kind: "job",
            table: Some(table),
            name: format!("{name} {token} {round}"),
            body: serde_json::json!(round),
        };
        let (renewed, recorded, moved, added, inserted, refused, changed) = tokio::join!(
            store.renew_leases(lease(token)),
            store.record(run.id, token, reports()),
            store.set_run_status(run.id, RunStatus::Running, None),
            store.add_column(table, crate::support::column(&name, text)),
            store.insert_rows(table, &[], vec![vec![]]),
            store.create_run(new),
            store.update_smart_column(city.id, serde_json::json!({}), serde_json::json!({})),
        );
        renewed.unwrap();
        recorded.unwrap();
        moved.unwrap();
        let added_id = added.unwrap().id;
        inserted.unwrap();
        changed.unwrap();
        assert!(matches!(refused.unwrap_err(), Error::Conflict(_)));
        let (described, made, logged, kept) = tokio::join!(
            store.update_table(table, change),
            store.create_item(item("a")),
            store.append_entries("audit", vec![(0, serde_json::json!(1)); 3], 5),
            store.delete_table(table),
        );
        described.unwrap();
        made.unwrap();
        logged.unwrap();
        assert!(matches!(kept.unwrap_err(), Error::Conflict(_)), "its run is at work");
        let renamed =
            ColumnChange { name: Some(format!("d{token}_{round}")), ..Default::default() };
        let (renamed, inserted) = tokio::join!(
            store.update_column(added_id, renamed),
            store.insert_rows(table, &[], vec![])
        );
        renamed.unwrap();
        inserted.unwrap();
        store.delete_column(added_id).await.unwrap();
    }
}

#[test]
fn verbs_that_meet_wait_for_each_other_and_never_in_a_circle() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let stores = [shared(&home), shared(&home)];
        let first = scene(stores[0].clone());
        let (table, city) = first.filled(1_000).await;
        let run = first.start(&city, Scope::All).await;
        let tasks: Vec<_> = (1..=6)
            .map(|token| {
                let store = stores[token as usize % 2].clone();
                tokio::spawn(jostle(scene(store), city.clone(), run.clone(), token))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(first.store.count_rows(table.id, None).await.unwrap(), 1_000 + 6 * 12);
    });
    // PostgreSQL breaks a circle after a second, so one that was broken would have failed its verb.
}

/// Inserts a row at a time until told to stop; answers how many were answered for.
pub(crate) async fn insert_until(
    store: Arc<dyn Store>,
    table: Table,
    stop: Arc<AtomicBool>,
) -> u64 {
    let mut inserted = 0;
    while !stop.load(Ordering::Relaxed) {
        let row = vec![vec![Value::Null]];
        match store.insert_rows(table.id, &[table.columns[0].id], row).await {
            Ok(_) => inserted += 1,
            Err(error) => assert!(error.retryable(), "{error}"),
        }
    }
    inserted
}

#[test]
fn whatever_connections_break_what_is_answered_is_what_was_written() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let store = shared(&home);
        let table = leads(store.as_ref()).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = (0..4)
            .map(|_| tokio::spawn(insert_until(store.clone(), table.clone(), stop.clone())))
            .collect();
        // Most of them in the middle of something, some in the middle of a commit.
        for _ in 0..60 {
            home.shell(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE application_name = 'paceline' AND datname = current_database()",
            );
            pause(Duration::from_millis(3));
        }
        stop.store(true, Ordering::Relaxed);
        let mut inserted = 0;
        for writer in writers {
            inserted += writer.await.unwrap();
        }
        assert!(inserted > 0);
        assert_eq!(store.count_rows(table.id, None).await.unwrap(), inserted);
    });
}

/// Ends the session that holds the lock of the process that is alone.
const END_LOCK: &str = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

#[test]
fn who_lost_its_lock_takes_it_again_unless_another_has_it() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let store = home.open(Clock::system());
        home.shell(END_LOCK);
        // Until it is held again, what is refused may be tried again.
        settled(&store).await.unwrap();
        std::thread::scope(|threads| {
            // Another process, which waits for the lock and has it the moment it is lost.
            let number = i32::from_be_bytes(*b"Pace");
            let wait = format!("SELECT pg_advisory_lock({number}, 2); SELECT pg_sleep(2)");
            let home = &home;
            threads.spawn(move || home.shell(&wait));
            let waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            while home.shell(waits).is_empty() {
                pause(Duration::from_millis(10));
            }
            home.shell(END_LOCK);
            while !home.shell(waits).is_empty() {
                pause(Duration::from_millis(10));
            }
        });
        let refused = settled(&store).await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict(text) if text.contains("another")), "{refused}");
    });
}

/// What a write comes to when it is tried for as long as it may be.
async fn settled(store: &Arc<dyn Store>) -> Result<(), Error> {
    loop {
        match store.set_setting("a", "b").await {
            Err(error) if error.retryable() => pause(Duration::from_millis(20)),
            other => return other,
        }
    }
}
