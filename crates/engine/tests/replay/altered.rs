//! A recording that is replayed with something changed shows what would have come of it.

use paceline_engine::replay::Altered;
use paceline_model::CellState;
use serde_json::{Value as Json, json};

use crate::support::{Case, rate, record, replayed, status, value};

fn altered(config: Json) -> Altered {
    Altered { config: Some(config), ..Altered::default() }
}

fn recorded() -> paceline_engine::Recording {
    of_rows(10)
}

fn of_rows(rows: i64) -> paceline_engine::Recording {
    let case = Case::get(rows);
    let run = record(&case, |_, request| {
        let n: u64 = request.url.path()[1..].parse().unwrap();
        if n == 4 { status(404) } else { value(&json!({"n": n, "twice": 2 * n})) }
    });
    assert_eq!(run.counts.calls, rows as u64);
    case.files.read()
}

#[test]
fn a_condition_skips_the_rows_that_it_would_have_skipped() {
    let config = json!({
        "url": "https://vendor.example/{{n}}", "run_if": {"n": {"lte": 3}}
    });
    let report = replayed(&recorded(), altered(config)).unwrap();
    assert_eq!((report.calls, report.same, report.not_recorded), (3, 3, 0), "{report:#?}");
    assert_eq!((report.different.len(), report.calls_unused), (7, 7));
    for difference in &report.different {
        let now = difference.now.as_ref().unwrap();
        assert_eq!((now.state, now.error.as_deref()), (CellState::Skipped, Some("CONDITION")));
        assert_eq!((difference.calls_then, difference.calls), (1, 0));
    }
}

#[test]
fn a_path_takes_another_part_of_the_same_answers() {
    let config = json!({"url": "https://vendor.example/{{n}}", "extract": "$.twice"});
    let report = replayed(&recorded(), altered(config)).unwrap();
    assert_eq!(
        (report.calls, report.same, report.calls_unused),
        (10, 1, 0),
        "the 404 is as it was"
    );
    let first = &report.different[0];
    assert_eq!(first.then.as_ref().unwrap().value, json!({"n": 1, "twice": 2}));
    assert_eq!(first.now.as_ref().unwrap().value, json!(2));
}

#[test]
fn a_request_that_was_never_made_fails_its_cell_with_a_code_of_its_own_and_is_not_tried_again() {
    let config = json!({"url": "https://vendor.example/v2/{{n}}"});
    let report = replayed(&recorded(), altered(config)).unwrap();
    assert_eq!(
        (report.calls, report.not_recorded, report.calls_unused),
        (0, 10, 10),
        "{report:#?}"
    );
    let now = report.different[0].now.as_ref().unwrap();
    assert_eq!((now.state, now.error.as_deref()), (CellState::Failed, Some("NOT_RECORDED")));
    assert!(now.message.as_ref().unwrap().contains("Record the run anew"));
    assert_eq!(report.different[0].calls, 1);
}

#[test]
fn a_slower_rate_ends_the_same_and_says_how_long_it_takes() {
    let mut slow = rate(1);
    slow["limits"] = json!(["2/s"]);
    let changed = Altered { rate_limit: Some(slow), ..Altered::default() };
    let recording = recorded();
    let report = replayed(&recording, changed).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert!(report.elapsed.as_secs() >= 4 && report.elapsed_then.as_secs() < 1, "{report:#?}");
}

#[test]
fn a_shorter_time_out_is_over_before_the_answer_was() {
    let config = json!({"url": "https://vendor.example/{{n}}", "timeout_ms": 30});
    // Too few for the breaker to trip.
    let report = replayed(&of_rows(6), altered(config)).unwrap();
    // The 404 came after 23 ms, the others after 43.
    assert_eq!((report.same, report.different.len()), (1, 5));
    let now = report.different[0].now.as_ref().unwrap();
    // The first attempt times out; for a second one there is no answer.
    assert_eq!(now.error.as_deref(), Some("NOT_RECORDED"));
    assert_eq!(report.different[0].calls, 2);
}

#[test]
fn what_the_recording_does_not_have_is_refused_with_what_it_has() {
    let config = json!({"url": "https://vendor.example/{{word}}"});
    let error = replayed(&recorded(), altered(config)).unwrap_err().to_string();
    assert!(error.contains("word") && error.contains("the recorded run used: n"), "{error}");
}
