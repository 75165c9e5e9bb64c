//! The promise that a claim seeks past what was claimed, checked against SQLite's own plan of the statements.

use paceline_clock::Timestamp;
use paceline_model::{RunOptions, RunStatus, Scope};
use rusqlite::Connection;

use super::*;
use crate::due::{Statements, Upstream, Words, states_list};
use crate::sqlite::connection::open_memory;

fn statements(scope: Scope) -> Statements {
    Statements {
        words: Words::Sqlite,
        scope,
        table: "\"leads\"".into(),
        selected: format!("{}, t.\"email\"", states_list(Words::Sqlite, [ColumnId(2)].into_iter())),
        followed: vec![(RunId(3), ColumnId(2)), (RunId(4), ColumnId(5))],
    }
}

/// After one run that is at work and one that is over.
fn gate() -> Gate {
    let upstream = |run, status| Upstream { run, column: ColumnId(2), status, cursor: 7 };
    let before = [upstream(RunId(3), RunStatus::Running), upstream(RunId(4), RunStatus::Paused)];
    let over = upstream(RunId(5), RunStatus::Cancelled);
    let after = vec![RunId(3), RunId(4), RunId(5)];
    let options = RunOptions { after, ..RunOptions::default() };
    Gate::new(&options, &[before[0], before[1], over])
}

fn database() -> Connection {
    let conn = open_memory(Timestamp::default()).unwrap();
    conn.execute_batch("CREATE TABLE leads (_ht_id INTEGER PRIMARY KEY, email TEXT) STRICT")
        .unwrap();
    conn
}

/// The steps of the plan, as SQLite words them.
fn plan(conn: &Connection, sql: &str) -> Vec<String> {
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let count = statement.parameter_count();
    let parameters = rusqlite::params_from_iter(std::iter::repeat_n(1, count));
    let steps = statement.query_map(parameters, |row| row.get::<_, String>(3)).unwrap();
    steps.map(std::result::Result::unwrap).collect()
}

/// Every table is sought in by a key, and nothing is sorted.
fn assert_sought(plan: &[String]) {
    let slow = |step: &&String| {
        (step.starts_with("SCAN") && *step != "SCAN CONSTANT ROW") || step.contains("TEMP B-TREE")
    };
    assert_eq!(plan.iter().find(slow), None, "{plan:?}");
}

const FILTERS: [&str; 2] = ["", " AND t.\"email\" = ?5"];

#[test]
fn every_scope_seeks_past_the_cursor() {
    let conn = database();
    let by_id = "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    let by_cell = "SEARCH c USING PRIMARY KEY (column_id=? AND row_id>? AND row_id<?)";
    for (scope, wanted) in [
        (Scope::All, by_id),
        (Scope::Empty, by_id),
        (Scope::Following, by_id),
        (Scope::Stale, by_cell),
        (
            Scope::Failed,
            "SEARCH c USING INDEX _ht_cells_failed (column_id=? AND row_id>? AND row_id<?)",
        ),
        (
            Scope::Unknown,
            "SEARCH c USING INDEX _ht_cells_unknown (column_id=? AND row_id>? AND row_id<?)",
        ),
    ] {
        for filter in FILTERS {
            let plan = plan(&conn, &statements(scope).due(filter));
            assert_eq!(plan.first().map(String::as_str), Some(wanted), "{scope:?}: {plan:?}");
            assert_sought(&plan);
        }
    }
}

#[test]
fn given_back_tasks_are_sought_in_their_run() {
    let conn = database();
    let free = Gate::new(&RunOptions::default(), &[]);
    let plan = plan(&conn, &statements(Scope::All).unheld(&free, ""));
    assert_eq!(
        plan[..3],
        [
            "SEARCH k USING PRIMARY KEY (run_id=?)",
            "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
            "SEARCH c USING PRIMARY KEY (column_id=? AND row_id=?) LEFT-JOIN"
        ]
    );
    assert_sought(&plan);
}

#[test]
fn what_waits_is_sought_in_its_run_and_in_those_before_it() {
    let conn = database();
    let gate = gate();
    assert_eq!((gate.bound, gate.unfinished.as_slice()), (7, [RunId(3), RunId(4)].as_slice()));
    for scope in Scope::ALL {
        let plan = plan(&conn, &statements(scope).unheld(&gate, " AND t.\"email\" = ?6"));
        assert_eq!(plan[0], "SEARCH k USING PRIMARY KEY (run_id=?)", "{plan:?}");
        let before = "SEARCH w USING PRIMARY KEY (run_id=? AND row_id=?)";
        assert!(plan.iter().any(|step| step == before), "{plan:?}");
        assert_sought(&plan);
    }
    let busy = plan(&conn, &gate.rows_sql(Words::Sqlite));
    assert_eq!(busy, ["SEARCH w USING PRIMARY KEY (run_id=? AND row_id>? AND row_id<?)"]);
    assert_sought(&plan(&conn, &statements(Scope::All).waiting()));
}
