//! The promise that pages in the order of ids seek in the table, checked against SQLite's own plan of the statements.

use std::cell::Cell;

use paceline_model::{ColumnType, NewColumn, NewTable, Operator, Sort, Subject, Test};
use rusqlite::Connection;

use super::*;
use crate::sqlite::connection::open_memory;
use crate::sqlite::tables;

/// The steps of the plan of a page, as SQLite words them.
fn plan(conn: &Connection, query: &RowQuery) -> Vec<String> {
    let changed = Cell::new(false);
    let db = Db::new(conn, Timestamp::default(), &changed);
    let (tail, parameters) = page_tail(&db, query).unwrap();
    let sql = format!("EXPLAIN QUERY PLAN SELECT t._ht_id FROM leads AS t {tail}");
    let mut statement = conn.prepare(&sql).unwrap();
    let steps = statement.query_map(params_from_iter(parameters), |row| row.get::<_, String>(3));
    steps.unwrap().map(std::result::Result::unwrap).collect()
}

#[test]
fn pages_in_the_order_of_ids_seek_and_do_not_sort() {
    let conn = open_memory(Timestamp::default()).unwrap();
    let email = NewColumn {
        name: "email".into(),
        title: None,
        kind: ColumnType::Email,
        options: Vec::new(),
        smart: None,
    };
    let new = NewTable { name: "leads".into(), description: String::new(), columns: vec![email] };
    let changed = Cell::new(false);
    let db = Db::new(&conn, Timestamp::default(), &changed);
    let table = tables::create_table(&db, &new).unwrap();
    let page = || RowQuery { after: RowId(5), ..RowQuery::of(table.id) };
    let filter = Filter::Test(Test {
        subject: Subject::Column(table.columns[0].id),
        path: Vec::new(),
        operator: Operator::StartsWith("a".into()),
    });
    let backwards = vec![Sort { subject: Subject::Id, descending: true }];
    let cases = [
        (page(), "SEARCH t USING INTEGER PRIMARY KEY (rowid>?)"),
        (
            RowQuery { filter: Some(filter), ..page() },
            "SEARCH t USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            RowQuery { sort: backwards, after_keys: vec![Value::Int(5)], ..page() },
            "SEARCH t USING INTEGER PRIMARY KEY (rowid<?)",
        ),
    ];
    for (query, wanted) in cases {
        assert_eq!(plan(&conn, &query), [wanted], "{query:?}");
    }
}
