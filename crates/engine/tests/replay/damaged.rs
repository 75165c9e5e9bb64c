//! Files that were cut, filled up, mixed up or are something else.

use paceline_clock::SimClock;
use paceline_engine::Recording;
use paceline_engine::replay::Altered;
use paceline_model::{RunOptions, Scope};
use paceline_store::SqliteStore;
use proptest::prelude::*;
use serde_json::json;

use crate::support::{COLUMN, Case, InMemory, engine, record, replayed, table, value};

fn recorded(rows: i64) -> Case {
    let case = Case::get(rows);
    record(&case, |_, request| value(&json!(request.url.path())));
    case
}

#[test]
fn a_file_that_a_kill_left_is_read_up_to_its_last_line_and_replayed() {
    let bytes = recorded(6).files.text().into_bytes();
    let header_ends = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let mut cells = 0;
    for cut in header_ends + 1..=bytes.len() {
        let recording = Recording::read(&bytes[..cut]).unwrap();
        assert!(recording.cells.len() >= cells);
        if recording.cells.len() > cells {
            cells = recording.cells.len();
            let report = replayed(&recording, Altered::default()).unwrap();
            let ended = report.different.iter().filter(|one| one.then.is_some()).count();
            assert_eq!((report.same, ended), (cells as u64, 0), "{report:#?}");
        }
    }
    assert_eq!(cells, 6);
    let told = Recording::read(&bytes[..header_ends / 2]).unwrap_err().to_string();
    assert!(told.contains("first line") && told.contains("cut off"), "{told}");
}

#[test]
fn a_killed_run_goes_on_in_the_same_file() {
    let files = InMemory::default();
    let case = Case { files: files.clone(), ..Case::get(200) };
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let echo = |_, request: &paceline_engine::Request| value(&json!(request.url.path()));
        let killed = engine(&store, &clock, Some(&case.files), echo);
        let table = table(&killed, &case).await;
        let options = RunOptions { record: true, ..RunOptions::default() };
        let runs = killed.start_runs(&table, &[COLUMN], Scope::All, options).await.unwrap();
        clock.sleep(std::time::Duration::from_millis(500)).await;
        killed.shutdown().await;
        // What a kill leaves of a line that was being written, as a file's next opening takes it away.
        let next = engine(&store, &clock, Some(&case.files), echo);
        assert_eq!(next.resume_left_behind().await.unwrap().len(), 1);
        next.wait(runs[0].id).await.unwrap();
    });
    let recording = files.read();
    assert_eq!((recording.resumed, recording.cells.len(), recording.rows.len()), (1, 200, 200));
    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same() && report.same == 200, "{report:#?}");
}

#[test]
fn a_full_recording_says_so_and_is_no_longer_than_it_may_be() {
    let bytes_max = 64 * 1024;
    let files = InMemory { bytes_max, ..InMemory::default() };
    let case = Case { files: files.clone(), ..Case::get(300) };
    let run = record(&case, |_, _| value(&json!("x".repeat(500))));
    assert_eq!(run.counts.completed, 300, "the run itself is not held back");
    assert!(files.text().len() as u64 <= bytes_max);
    let recording = files.read();
    let end = recording.end.as_ref().unwrap();
    assert!(recording.is_full && end.left_out > 100, "{end:?}");
    assert_eq!(end.lines + end.left_out, 900, "a row, a call and a cell each");
    let report = replayed(&recording, Altered::default()).unwrap();
    let ended = report.different.iter().filter(|one| one.then.is_some()).count();
    assert_eq!(ended, 0, "{report:#?}");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let good = recorded(2).files.text();
    let (header, rest) = good.split_once('\n').unwrap();
    let other = header.replacen("\"version\":1", "\"version\":2", 1);
    let long = format!("{header}\n{}\n", "x".repeat(9 * 1024 * 1024));
    let cases = [
        (String::new(), "the file is empty"),
        ("\n \n".to_owned(), "the file is empty"),
        ("name,city\nx,y\n".to_owned(), "first line is not JSON"),
        ("{\"name\": 1}\n".to_owned(), "first line is not a header"),
        ("{\"recording\": {}}\n".to_owned(), "no version"),
        ("{\"recording\": {\"version\": 1}}\n".to_owned(), "line 1 is damaged: missing field"),
        (format!("{other}\n{rest}"), "version 2"),
        (format!("{header}\nnonsense\n{rest}"), "line 2 is damaged"),
        (format!("{header}\n{{\"what\":{{}}}}\n{rest}"), "unknown variant `what`"),
        (format!("{header}\n{header}\n{rest}"), "line 2 is damaged: another recording"),
        (
            format!("{header}\n{{\"row\":{{\"row\":1,\"values\":[]}}}}\n"),
            "0 values, and there are 1",
        ),
        (long, "line 2 is longer"),
    ];
    for (text, wanted) in cases {
        let told = Recording::read(text.as_bytes()).unwrap_err().to_string();
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Recording::read(bytes.as_slice());
    }

    #[test]
    fn a_recording_with_any_bytes_in_it_is_read_or_refused(
        at in any::<prop::sample::Index>(),
        put in proptest::collection::vec(any::<u8>(), 0..20),
        taken in 0_usize..40,
    ) {
        static GOOD: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
        let mut bytes = GOOD.get_or_init(|| recorded(3).files.text().into_bytes()).clone();
        let at = at.index(bytes.len());
        let end = (at + taken).min(bytes.len());
        bytes.splice(at..end, put);
        let _ = Recording::read(bytes.as_slice());
    }
}
