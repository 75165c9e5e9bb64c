//! The promise that a claim seeks past what was claimed, checked against SQLite's own plan of the statements.

use paceline_clock::Timestamp;
use paceline_model::ColumnType;
use rusqlite::Connection;

use super::*;
use crate::sqlite::connection::open_memory;

fn source(scope: Scope) -> Source {
    Source {
        run: RunId(1),
        column: ColumnId(1),
        scope,
        cursor: 0,
        last: 0,
        table_name: "leads".into(),
        inputs: vec![Place {
            id: ColumnId(2),
            name: "email".into(),
            kind: ColumnType::Email,
            smart: None,
        }],
        noted: false,
    }
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

#[test]
fn every_scope_seeks_past_the_cursor() {
    let conn = database();
    let by_id = "SEARCH t USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)";
    for (scope, wanted) in [
        (Scope::All, by_id),
        (Scope::Empty, by_id),
        (
            Scope::Failed,
            "SEARCH c USING COVERING INDEX _ht_cells_failed (column_id=? AND row_id>? AND row_id<?)",
        ),
        (
            Scope::Unknown,
            "SEARCH c USING COVERING INDEX _ht_cells_unknown (column_id=? AND row_id>? AND row_id<?)",
        ),
    ] {
        let plan = plan(&conn, &due_sql(&source(scope)));
        assert_eq!(plan.first().map(String::as_str), Some(wanted), "{scope:?}: {plan:?}");
        let slow = |step: &&String| step.starts_with("SCAN") || step.contains("TEMP B-TREE");
        assert_eq!(plan.iter().find(slow), None, "{scope:?}: {plan:?}");
    }
}

#[test]
fn given_back_tasks_are_sought_in_their_run() {
    let conn = database();
    let plan = plan(&conn, &unheld_sql(&source(Scope::All)));
    assert_eq!(
        plan,
        ["SEARCH k USING PRIMARY KEY (run_id=?)", "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"]
    );
}
