//! The promise that a shared value is sought by its key, checked against SQLite's own plan.

use paceline_clock::Timestamp;
use paceline_model::ColumnType;

use super::*;
use crate::sqlite::connection::open_memory;

#[test]
fn a_reusable_value_is_sought_by_its_key() {
    let conn = open_memory(Timestamp::default()).unwrap();
    conn.execute_batch("CREATE TABLE leads (_ht_id INTEGER PRIMARY KEY, city TEXT) STRICT")
        .unwrap();
    let place = Place { id: ColumnId(2), name: "city".into(), kind: ColumnType::Text, smart: None };
    let sql = format!("EXPLAIN QUERY PLAN {}", reusable_sql("leads", &place));
    let mut statement = conn.prepare(&sql).unwrap();
    let steps = statement.query_map([1, 1], |row| row.get::<_, String>(3)).unwrap();
    let plan: Vec<String> = steps.map(std::result::Result::unwrap).collect();
    assert_eq!(
        plan,
        [
            "SEARCH c USING COVERING INDEX _ht_cells_reusable (column_id=? AND fingerprint=?)",
            "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)"
        ]
    );
}
