//! Lookups and the table that they look into: checked when they are made, followed when it gets other names, kept while
//! they need it, stale when its rows move.

use paceline_clock::{Clock, SimClock};
use paceline_engine::{Asked, Engine, Error, Moved};
use paceline_model::{
    ColumnChange, ColumnType, Filter, NewColumn, NewTable, Operator, RowId, RunOptions, Scope,
    SmartKind, Subject, Table, TableChange, Test, Value,
};
use serde_json::{Value as Json, json};

use crate::{add, engine, rows, run, spec, table, values};

/// A table `codes` with `code` (number) 1 to 4, `size` (number) ten times that, `flag` (boolean) and `tags` (JSON).
async fn codes(engine: &Engine) -> Table {
    let plain = |name: &str, kind| NewColumn {
        name: name.into(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let columns = vec![
        plain("code", ColumnType::Number),
        plain("size", ColumnType::Number),
        plain("flag", ColumnType::Boolean),
        plain("tags", ColumnType::Json),
    ];
    let new = NewTable { name: "codes".into(), description: String::new(), columns };
    let table = engine.store().create_table(new).await.unwrap();
    let ids = [table.columns[0].id, table.columns[1].id];
    let lines = (1..=4).map(|n| vec![Value::Int(n), Value::Int(10 * n)]).collect();
    engine.store().insert_rows(table.id, &ids, lines).await.unwrap();
    table
}

fn config(more: Json) -> Json {
    let mut config = json!({"table": "codes", "match": {"code": "{{n}}"}, "value": "size"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

/// The two tables, and a lookup `size` from one into the other, filled.
async fn filled(clock: &Clock) -> (Engine, Table) {
    let engine = engine(clock);
    table(&engine).await;
    let codes = codes(&engine).await;
    add(&engine, "size", SmartKind::Lookup, config(json!({}))).await;
    assert_eq!(run(&engine, "size", Scope::All).await.counts.completed, 5);
    (engine, codes)
}

/// Writes the size of a code.
async fn write(engine: &Engine, codes: &Table, code: i64, size: i64) {
    let operator = Operator::Eq(Value::Int(code));
    let filter = Filter::Test(Test { subject: Subject::Id, path: Vec::new(), operator });
    let (column, value) = (codes.columns[1].id, Value::Int(size));
    engine.store().update_rows(codes.id, filter, &[column], vec![value]).await.unwrap();
}

#[test]
fn what_a_lookup_names_is_checked_when_it_is_made_and_changed() {
    SimClock::new().run(|clock| async move {
        let (engine, _) = filled(&clock).await;
        let table = rows(&engine).await;
        for (more, told, meant) in [
            (json!({"table": "cods"}), "config.table: there is no table \"cods\"", Some("codes")),
            (
                json!({"match": {"coed": "{{n}}"}}),
                "config.match.coed: table codes has no column \"coed\"",
                Some("code"),
            ),
            (
                json!({"match": {"tags": "{{n}}"}}),
                "config.match.tags: column \"tags\" of table codes holds JSON",
                None,
            ),
            (
                json!({"value": "sise"}),
                "config.value: table codes has no column \"sise\"",
                Some("size"),
            ),
            (json!({"value": "flag"}), "config.value: gives values of type boolean", None),
        ] {
            let made = spec("other", SmartKind::Lookup, config(more.clone()));
            let made = engine.add_smart_column(&table, made).await.map(drop);
            let changed = Some(config(more));
            let changed = engine.update_smart_column(&table, "size", changed, None).await.map(drop);
            for refused in [made, changed] {
                let error = refused.unwrap_err();
                assert!(error.to_string().starts_with(told), "{error}");
                let Error::Config { did_you_mean, .. } = error else { panic!("{told}") };
                assert_eq!(did_you_mean.as_deref(), meant, "{told}");
            }
        }
        let count = config(json!({"many": "count", "value": ""}));
        add(&engine, "count", SmartKind::Lookup, count).await;
    });
}

#[test]
fn a_lookup_follows_other_names_of_what_it_reads_and_none_of_its_cells_is_stale() {
    SimClock::new().run(|clock| async move {
        let (engine, codes) = filled(&clock).await;
        let named =
            |name: &str| ColumnChange { name: Some(name.into()), ..ColumnChange::default() };
        for (at, name) in [(0, "kode"), (1, "weight")] {
            engine.update_column(codes.id, codes.columns[at].id, named(name)).await.unwrap();
        }
        let change = TableChange { name: Some("kinds".into()), ..TableChange::default() };
        engine.update_table(codes.id, change).await.unwrap();
        let table = rows(&engine).await;
        let smart = table.column("size").unwrap().smart.clone().unwrap();
        let followed = json!({"table": "kinds", "match": {"kode": "{{n}}"}, "value": "weight"});
        assert_eq!((smart.config, smart.version), (followed, 1));
        assert_eq!(engine.staleness(&table, "size", RowId(1)).await.unwrap(), []);
        assert_eq!(run(&engine, "size", Scope::Stale).await.counts.ended(), 0);
        // Its own table's new names go into its templates, as ever.
        engine.update_column(table.id, table.columns[0].id, named("number")).await.unwrap();
        assert_eq!(run(&engine, "size", Scope::All).await.counts.completed, 5);
    });
}

#[test]
fn what_a_lookup_reads_is_not_deleted_and_a_title_does_not_take_its_name() {
    SimClock::new().run(|clock| async move {
        let (engine, codes) = filled(&clock).await;
        for at in [0, 1] {
            let refused = engine.delete_column(codes.id, codes.columns[at].id).await.unwrap_err();
            assert!(refused.to_string().contains("is read by the lookups rows.size;"), "{refused}");
        }
        let refused = engine.delete_table(codes.id).await.unwrap_err();
        assert_eq!(refused.code(), "CONFLICT");
        assert!(refused.to_string().contains("rows.size"), "{refused}");
        engine.delete_column(codes.id, codes.columns[3].id).await.unwrap();
        // Read by its title, and then another column gets that for a name.
        let titled = ColumnChange { title: Some(Some("big".into())), ..ColumnChange::default() };
        engine.update_column(codes.id, codes.columns[1].id, titled).await.unwrap();
        let by_title = Some(config(json!({"value": "big"})));
        engine.update_smart_column(&rows(&engine).await, "size", by_title, None).await.unwrap();
        let taken = ColumnChange { name: Some("big".into()), ..ColumnChange::default() };
        let refused = engine.update_column(codes.id, codes.columns[2].id, taken).await.unwrap_err();
        assert!(
            refused.to_string().contains("the lookup rows.size would mean another"),
            "{refused}"
        );
        let table = rows(&engine).await;
        engine.delete_column(table.id, table.column("size").unwrap().id).await.unwrap();
        engine.delete_table(codes.id).await.unwrap();
    });
}

#[test]
fn a_row_that_moves_in_the_other_table_makes_exactly_its_cells_stale() {
    SimClock::new().run(|clock| async move {
        let (engine, codes) = filled(&clock).await;
        let config = json!({"formula": "size === null ? null : size * 2"});
        add(&engine, "twice", SmartKind::Formula, config).await;
        run(&engine, "twice", Scope::All).await;
        assert_eq!(run(&engine, "size", Scope::Stale).await.counts.ended(), 0);
        write(&engine, &codes, 2, 21).await;
        let new = vec![vec![Value::Int(5), Value::Int(50)]];
        let ids = [codes.columns[0].id, codes.columns[1].id];
        engine.store().insert_rows(codes.id, &ids, new).await.unwrap();
        let table = rows(&engine).await;
        for (row, moved) in [(1, false), (2, true), (5, true)] {
            let told = engine.staleness(&table, "size", RowId(row)).await.unwrap();
            let wanted = moved.then(|| Moved::Lookup("codes".to_owned()));
            assert_eq!(told, Vec::from_iter(wanted), "{row}");
        }
        let plan = engine
            .plan(
                &table,
                "size",
                Asked { scope: Scope::Stale, options: &RunOptions::default(), dependents: false },
            )
            .await
            .unwrap();
        assert_eq!((plan.cells, plan.unchanged), (5, 3));
        let options = RunOptions::default();
        let runs =
            engine.start_with_dependents(&table, "size", Scope::Stale, options).await.unwrap();
        for run in &runs {
            assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 2, "{run:?}");
        }
        let sizes = [json!(10), json!(21), json!(30), json!(40), json!(50)];
        assert_eq!(values(&engine, &table, "size").await, sizes);
        assert_eq!(values(&engine, &table, "twice").await[1], json!(42));
        assert_eq!(run(&engine, "size", Scope::Stale).await.counts.ended(), 0);
    });
}
