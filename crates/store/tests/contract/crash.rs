//! What outlives the store and the death of its process (R4): locks, reopening, kill -9.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use paceline_clock::{Clock, SimClock};
use paceline_model::{CellState, Error, NotedCall, Recovery, RowId, Scope, Table};
use paceline_store::SqliteStore;

use crate::backends::{Home, open};
use crate::support::{Scene, finish, integration, leads, lease};

/// Tells the child that it is one, and what to open: without this file in its directory it does nothing.
const MARK: &str = "crash-child";
/// Acknowledgements that the parent waits for before it kills: enough for many commits, claims and inserts.
const ACKNOWLEDGED_MIN: usize = 400;

#[test]
fn a_second_process_is_told_so() {
    for home in Home::lasting() {
        let first = home.open(Clock::system());
        let second = open(&home.address, Clock::system()).unwrap_err();
        let told = "another paceline process works on this d";
        assert!(matches!(&second, Error::Conflict(text) if text.contains(told)), "{second}");
        drop(first);
        home.open(Clock::system());
    }
}

#[test]
fn everything_is_there_after_reopening() {
    for home in Home::lasting() {
        let sim = SimClock::new();
        let before = sim.run(|clock| async {
            let scene = Scene::open(&home, &sim, clock);
            let (table, city) = scene.filled(30).await;
            let run = scene.start(&city, Scope::All).await;
            scene.claim(&run, 1, 20).await;
            let reports = (1..=10).map(|row| finish(row, CellState::Completed, scene.clock.wall()));
            let run = scene.store.record(run.id, 1, reports.collect()).await.unwrap();
            scene.store.checkpoint().await.unwrap();
            (table, run)
        });
        sim.run(|clock| async {
            let scene = Scene::open(&home, &sim, clock);
            let run = before.1.clone();
            assert_eq!(scene.store.table("leads").await.unwrap(), Some(before.0.clone()));
            assert_eq!(scene.store.run(run.id).await.unwrap(), Some(run.clone()));
            assert_eq!(scene.store.recover_run(run.id, Recovery::Repeatable).await.unwrap(), 10);
            let claim = scene.claim(&run, 2, 100).await;
            assert_eq!(claim.tasks.len(), 20, "10 given back, 10 never claimed");
        });
    }
}

#[test]
fn an_id_comes_once_even_if_somebody_deletes_the_last_rows() {
    for home in Home::lasting() {
        let sim = SimClock::new();
        sim.run(|clock| async {
            let scene = Scene::open(&home, &sim, clock);
            let (table, _) = scene.filled(5).await;
            home.shell("DELETE FROM {}leads WHERE _ht_id > 3");
            let score = [table.columns[1].id];
            let row = || vec![vec![paceline_model::Value::Int(1)]];
            let next = scene.store.insert_rows(table.id, &score, row()).await.unwrap();
            assert_eq!(next, Some((RowId(6), RowId(6))), "cells of 4 and 5 may be on record");
            // And one that the shell has taken is not given out again.
            home.shell(
                "INSERT INTO {}leads (_ht_id, _ht_created_at, _ht_updated_at) VALUES (9, 0, 0)",
            );
            let next = scene.store.insert_rows(table.id, &score, row()).await.unwrap();
            assert_eq!(next, Some((RowId(10), RowId(10))));
        });
    }
}

#[test]
fn a_checkpoint_leaves_nothing_in_the_log() {
    let home = Home::sqlite();
    let sim = SimClock::new();
    sim.run(|clock| async {
        let scene = Scene::open(&home, &sim, clock);
        scene.filled(1_000).await;
        let log = home.dir.path().join("paceline.db-wal");
        assert!(std::fs::metadata(&log).unwrap().len() > 0);
        scene.store.checkpoint().await.unwrap();
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0);
    });
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notes.txt");
    let text = "these are notes, longer than the header of a database; ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = SqliteStore::open(&path, Clock::system()).unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "left as it was");
}

/// What the child printed before it died: every line was answered by the store.
#[derive(Debug, Default)]
struct Acknowledged {
    rows: i64,
    finished: BTreeMap<i64, String>,
    intended: Vec<i64>,
    noted: Vec<i64>,
}

#[test]
fn a_killed_process_loses_nothing_that_was_answered() {
    for round in 0..3 {
        for home in Home::lasting() {
            std::fs::write(home.dir.path().join(MARK), &home.address).unwrap();
            let acknowledged = kill_in_the_middle(home.dir.path(), ACKNOWLEDGED_MIN + round * 97);
            let sim = SimClock::new();
            sim.run(|clock| check_survivors(Scene::open(&home, &sim, clock), acknowledged));
        }
    }
}

async fn check_survivors(scene: Scene, acknowledged: Acknowledged) {
    let table = scene.store.table("leads").await.unwrap().unwrap();
    let city = table.columns[2].id;
    let rows = i64::try_from(scene.store.count_rows(table.id, None).await.unwrap()).unwrap();
    assert!(rows >= acknowledged.rows, "{rows} rows, {} acknowledged", acknowledged.rows);
    let found: BTreeMap<i64, String> = scene
        .states(city)
        .await
        .into_iter()
        .map(|(row, state)| (row, state.as_str().to_owned()))
        .collect();
    for (row, state) in &acknowledged.finished {
        assert_eq!(found.get(row), Some(state), "row {row}");
    }
    check_notes(&scene, &table, &acknowledged.noted).await;
    let run = scene.store.runs(table.id, 2).await.unwrap().remove(1);
    assert_eq!(run.counts.ended(), found.len() as u64, "counts and cells are of one commit");
    scene.store.recover_run(run.id, Recovery::Once).await.unwrap();
    let states: BTreeMap<i64, CellState> = scene.states(city).await.into_iter().collect();
    for row in acknowledged.intended {
        assert!(
            states.contains_key(&row),
            "row {row} may have been sent; it must not be sent again"
        );
    }
}

/// Every note that was answered for comes with the task that it belongs to, and no cell is given up.
async fn check_notes(scene: &Scene, table: &Table, noted: &[i64]) {
    let jobs = scene.store.runs(table.id, 1).await.unwrap().remove(0);
    scene.store.recover_run(jobs.id, Recovery::Reconciled).await.unwrap();
    assert_eq!(scene.states(table.columns[3].id).await, []);
    let claim = scene.claim(&jobs, 2, 1_000).await;
    for row in noted {
        let task = claim.tasks.iter().find(|task| task.row.0 == *row).unwrap();
        assert_eq!(task.note, Some(format!("of {row}")));
    }
}

/// Starts this binary again as a child that writes without end, and kills it once it has reported enough.
fn kill_in_the_middle(dir: &Path, lines: usize) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_writes_without_end", "--ignored", "--nocapture"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..lines {
        assert!(output.read_line(&mut text).unwrap() > 0, "the child ended by itself: {text}");
    }
    finish_off(&mut child, &mut output, &mut text);
    parse(&text)
}

/// SIGKILL, and then whatever was still in the pipe: it was acknowledged as well.
fn finish_off(child: &mut Child, output: &mut BufReader<ChildStdout>, text: &mut String) {
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_string(text).unwrap();
}

fn parse(text: &str) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    // The last line may have been cut short by the kill; what ends with a line feed was not.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["rows", last] => acknowledged.rows = last.parse().unwrap(),
            ["intended", row] => acknowledged.intended.push(row.parse().unwrap()),
            ["noted", row] => acknowledged.noted.push(row.parse().unwrap()),
            ["finished", row, state] => {
                acknowledged.finished.insert(row.parse().unwrap(), (*state).to_owned());
            }
            _ => {}
        }
    }
    assert!(acknowledged.rows > 0 && acknowledged.finished.len() > 10, "{acknowledged:?}");
    assert!(!acknowledged.intended.is_empty() && !acknowledged.noted.is_empty());
    acknowledged
}

#[test]
#[ignore = "not a case: the process that the case above kills"]
fn child_that_writes_without_end() {
    let Ok(address) = std::fs::read_to_string(MARK) else { return };
    let sim = SimClock::new();
    sim.run(|clock| async {
        let store = open(&address, clock.clone()).unwrap();
        write_without_end(Scene { store, sim: sim.clone(), clock, columns_max: 0, database: None })
            .await;
    });
}

async fn write_without_end(scene: Scene) {
    let table = leads(scene.store.as_ref()).await;
    scene.add_rows(&table, 10_000).await;
    println!("\nrows 10000");
    let run = scene.start(&table.columns[2], Scope::All).await;
    scene.store.add_column(table.id, integration("job")).await.unwrap();
    let table = scene.store.table("leads").await.unwrap().unwrap();
    let jobs = scene.start(&table.columns[3], Scope::All).await;
    let mut last = 10_000;
    loop {
        for task in scene.claim(&jobs, 1, 1).await.tasks {
            let note = format!("of {}", task.row);
            let saved =
                scene.store.save_note(jobs.id, 1, task.row, &note, NotedCall::Intended).await;
            if saved.unwrap() {
                println!("noted {}", task.row);
            }
        }
        let claim = scene.store.claim_tasks(run.id, &[], lease(1), 7).await.unwrap();
        let rows: Vec<RowId> = claim.tasks.iter().map(|task| task.row).collect();
        let held = scene.store.record_intents(run.id, 1, &rows).await.unwrap();
        for row in held {
            println!("intended {row}");
        }
        let now = scene.clock.wall();
        let states = [CellState::Completed, CellState::Failed].into_iter().cycle();
        let ends: Vec<(RowId, CellState)> = rows.into_iter().skip(1).zip(states).collect();
        let reports = ends.iter().map(|(row, state)| finish(row.0, *state, now)).collect();
        scene.store.record(run.id, 1, reports).await.unwrap();
        for (row, state) in ends {
            println!("finished {row} {}", state.as_str());
        }
        scene.add_rows(&table, 5).await;
        last += 5;
        println!("rows {last}");
    }
}
