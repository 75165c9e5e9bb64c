//! A column that is made from another one: what hung on that one is told and not played.

use paceline_clock::SimClock;
use paceline_engine::SmartSpec;
use paceline_engine::replay::Altered;
use paceline_model::{ColumnType, Scope, SmartKind};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{COLUMN, Case, engine, rate, replayed, run, status, table, value};

#[test]
fn a_row_whose_other_column_failed_is_left_out_and_the_others_are_played() {
    let case = Case::get(6);
    let played = case.clone();
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, Some(&played.files), |_, request| {
            if request.url.path() == "/first/2" { status(404) } else { value(&json!(request.url.path())) }
        });
        let made = table(&engine, &played).await;
        let first = SmartSpec {
            name: "first".to_owned(),
            title: None,
            kind: ColumnType::Text,
            options: Vec::new(),
            smart: SmartKind::Http,
            config: json!({"url": "https://vendor.example/first/{{n}}"}),
            rate_limit: rate(2),
        };
        engine.add_smart_column(&made, first).await.unwrap();
        let config = json!({"url": "https://vendor.example/second", "method": "POST", "repeatable": true,
            "body": {"of": "{{first}}"}});
        engine.update_smart_column(&made, COLUMN, Some(config), None).await.unwrap();
        let made = engine.store().table("rows").await.unwrap().unwrap();
        let filled = engine.start_run(&made, "first", Scope::All).await.unwrap();
        engine.wait(filled.id).await.unwrap();
        let counts = run(&engine, &made).await.counts;
        assert_eq!((counts.completed, counts.skipped), (5, 1));
    });
    let recording = case.files.read();
    let left_out: Vec<_> = recording.rows.values().filter_map(|row| row.left_out.clone()).collect();
    assert_eq!(left_out, ["UPSTREAM_FAILED"]);
    let report = replayed(&recording, Altered::default()).unwrap();
    assert!(report.is_same(), "{report:#?}");
    assert_eq!((report.same, report.left_out, report.calls), (5, 1, 5));
}
