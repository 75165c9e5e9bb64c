//! A recording that is replayed as it is ends as it did.

use std::collections::BTreeMap;

use paceline_clock::SimClock;
use paceline_engine::replay::Altered;
use paceline_model::{CellState, RowId, RunStatus};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Act, Case, engine, record, replayed, run, status, table, value};

/// Row 3 is refused twice for the rate, row 5 fails twice and then works, row 7 times out once, row 9 is the row's own
/// fault, row 11 fails for good, row 13 breaks off.
fn trouble(attempt: u32, request: &paceline_engine::Request) -> Act {
    let n: u64 = request.url.path()[1..].parse().unwrap();
    match (n, attempt) {
        (3, 1..=2) => Act::Say(429, ("retry-after", "2"), String::new(), 20),
        (5, 1..=2) => status(503),
        (7, 1) => Act::Silence,
        (9, _) => Act::Say(422, ("content-type", "text/plain"), "no such row".to_owned(), 30),
        (11, _) => status(500),
        (13, 1) => Act::Cut(200),
        _ => value(&json!({"n": n, "text": "caf\u{e9} \"x\"\n"})),
    }
}

#[test]
fn every_cell_ends_as_it_did_with_as_many_calls_in_the_same_time() {
    let case = Case::get(40);
    let run = record(&case, trouble);
    assert_eq!(run.status, RunStatus::CompletedWithErrors);
    let recording = case.files.read();
    let states = |state| recording.cells.values().filter(|cell| cell.state == state).count();
    assert_eq!((states(CellState::Completed), states(CellState::Failed)), (38, 2));
    assert_eq!((recording.rows.len(), recording.calls.len() as u64), (40, run.counts.calls));
    assert_eq!(recording.end.as_ref().unwrap().status, run.status);

    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert_eq!((report.rows, report.same, report.unfinished), (40, 40, 0));
    assert_eq!((report.calls, report.refused), (run.counts.calls, run.counts.throttled));
    assert_eq!((report.calls_then, report.refused_then), (report.calls, report.refused));
    assert_eq!((report.calls_unused, report.left_out), (0, 0));
    assert_eq!(report.elapsed, report.elapsed_then);
    assert_eq!(Some(report.status), report.status_then);
}

#[test]
fn the_file_says_of_each_call_what_was_sent_and_what_came_back() {
    let case = Case::get(14);
    record(&case, trouble);
    let recording = case.files.read();
    let mut by_row: BTreeMap<RowId, Vec<_>> = BTreeMap::new();
    for call in &recording.calls {
        let status = call.head.as_ref().map(|head| head.status);
        by_row.entry(call.row).or_default().push((call.attempt, status));
    }
    assert_eq!(by_row[&RowId(1)], [(1, Some(200))]);
    assert_eq!(by_row[&RowId(3)], [(1, Some(429)), (2, Some(429)), (3, Some(200))]);
    assert_eq!(by_row[&RowId(7)], [(1, None), (2, Some(200))]);
    assert_eq!(by_row[&RowId(13)], [(1, Some(200)), (2, Some(200))]);
    let first = &recording.calls[0];
    assert_eq!((first.method.as_str(), first.url.as_str()), ("GET", "https://vendor.example/1"));
    assert_eq!((first.head.as_ref().unwrap().after_us, first.took_us), (40_000, 43_000));
    let failed = &recording.cells[&RowId(9)];
    assert_eq!(failed.error.as_deref(), Some("HTTP_STATUS"));
    assert!(failed.message.as_ref().unwrap().contains("no such row"));
}

#[test]
fn rows_with_equal_requests_share_their_call_again_whichever_row_makes_it() {
    let config = |least: u64| json!({"url": "https://vendor.example/{{group}}", "run_if": {"n": {"gte": least}}});
    let case = Case::get(20).config(config(1));
    let run = record(&case, |_, request| value(&json!(request.url.path())));
    assert_eq!((run.counts.calls, run.counts.completed), (4, 20));
    let recording = case.files.read();
    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same() && report.calls == 4, "{report:#?}");
    // Rows 1 to 4, which made the calls then, are left out: rows 5 to 8 make them now.
    let altered = Altered { config: Some(config(5)), ..Altered::default() };
    let report = replayed(&recording, altered).unwrap();
    assert_eq!((report.calls, report.same, report.not_recorded), (4, 16, 0), "{report:#?}");
}

#[test]
fn a_run_that_was_stopped_by_its_breaker_and_resumed_is_resumed_again() {
    let case = Case::get(60);
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let seen = std::sync::Arc::clone(&broken);
    SimClock::new().run(|clock| {
        let case = case.clone();
        async move {
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let script = move |_, request: &paceline_engine::Request| {
                let is_broken = seen.load(std::sync::atomic::Ordering::Relaxed);
                if is_broken { status(500) } else { value(&json!(request.url.path())) }
            };
            let engine = engine(&store, &clock, Some(&case.files), script);
            let table = table(&engine, &case).await;
            let stopped = run(&engine, &table).await;
            assert_eq!(stopped.status, RunStatus::Paused);
            broken.store(false, std::sync::atomic::Ordering::Relaxed);
            engine.resume_run(stopped.id).await.unwrap();
            assert_eq!(engine.wait(stopped.id).await.unwrap().status, RunStatus::Completed);
        }
    });
    let recording = case.files.read();
    assert_eq!(recording.resumed, 1);
    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert_eq!(report.same, 60);
}
