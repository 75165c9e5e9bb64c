//! Columns that call nobody, run through the engine: a column made, a run started, its cells read; a row that hangs; a
//! function that is gone or has a new version; a table that is looked into; a column that gets another name.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod functions;
mod lookups;

use std::sync::Arc;

use paceline_clock::{Clock, Random, SimClock};
use paceline_engine::{Engine, EngineConfig, SmartSpec};
use paceline_model::{
    ColumnChange, ColumnType, NewColumn, NewTable, RowQuery, Run, RunStatus, Scope, SmartKind,
    Store, Table, Value,
};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

fn engine(clock: &Clock) -> Engine {
    engine_of(clock, EngineConfig::default())
}

fn engine_of(clock: &Clock, config: EngineConfig) -> Engine {
    let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
    Engine::new(store, clock.clone(), Random::seeded(1), config)
}

/// A table `rows` of the numbers 1 to 5 in the column `n`.
async fn table(engine: &Engine) -> Table {
    let n = NewColumn {
        name: "n".into(),
        title: None,
        kind: ColumnType::Number,
        options: Vec::new(),
        smart: None,
    };
    let new = NewTable { name: "rows".into(), description: String::new(), columns: vec![n] };
    let table = engine.store().create_table(new).await.unwrap();
    let rows = (1..=5).map(|n| vec![Value::Int(n)]).collect();
    engine.store().insert_rows(table.id, &[table.columns[0].id], rows).await.unwrap();
    table
}

async fn add(engine: &Engine, name: &str, smart: SmartKind, config: Json) -> Table {
    let table = rows(engine).await;
    engine.add_smart_column(&table, spec(name, smart, config)).await.unwrap();
    rows(engine).await
}

async fn rows(engine: &Engine) -> Table {
    engine.store().table("rows").await.unwrap().unwrap()
}

fn spec(name: &str, smart: SmartKind, config: Json) -> SmartSpec {
    SmartSpec {
        name: name.into(),
        title: None,
        kind: ColumnType::Number,
        options: Vec::new(),
        smart,
        config,
        rate_limit: Json::Null,
    }
}

/// Runs a column over that scope, to the run's end or its pause.
async fn run(engine: &Engine, column: &str, scope: Scope) -> Run {
    let run = engine.start_run(&rows(engine).await, column, scope).await.unwrap();
    engine.wait(run.id).await.unwrap()
}

async fn values(engine: &Engine, table: &Table, name: &str) -> Vec<Json> {
    let columns = vec![table.column(name).unwrap().id];
    let rows = engine.store().rows(RowQuery { columns, ..RowQuery::of(table.id) }).await.unwrap();
    rows.iter().map(|row| row.values[0].to_json()).collect()
}

#[test]
fn a_formula_column_is_filled_and_a_row_that_hangs_fails_alone() {
    SimClock::new().run(|clock| async move {
        let engine = engine(&clock);
        table(&engine).await;
        let config = json!({"formula": "if (n === 3) for (;;); return n * 10"});
        let table = add(&engine, "ten", SmartKind::Formula, config).await;
        let run = engine.start_run(&table, "ten", Scope::All).await.unwrap();
        engine.wait(run.id).await.unwrap();
        let run = engine.store().run(run.id).await.unwrap().unwrap();
        assert_eq!(run.status, RunStatus::CompletedWithErrors);
        assert_eq!((run.counts.completed, run.counts.failed), (4, 1));
        assert_eq!(
            values(&engine, &table, "ten").await,
            [json!(10), json!(20), Json::Null, json!(40), json!(50)]
        );
    });
}

#[test]
fn a_new_name_is_followed_by_the_formula_that_means_the_column() {
    SimClock::new().run(|clock| async move {
        let engine = engine(&clock);
        table(&engine).await;
        let table = add(&engine, "twice", SmartKind::Formula, json!({"formula": "n + n"})).await;
        let change = ColumnChange { name: Some("amount".into()), ..ColumnChange::default() };
        engine.update_column(table.id, table.columns[0].id, change).await.unwrap();
        let table = engine.store().table("rows").await.unwrap().unwrap();
        let smart = table.column("twice").unwrap().smart.clone().unwrap();
        assert_eq!(smart.config, json!({"formula": "amount + amount"}));
        let run = engine.start_run(&table, "twice", Scope::All).await.unwrap();
        engine.wait(run.id).await.unwrap();
        assert_eq!(values(&engine, &table, "twice").await, [2, 4, 6, 8, 10].map(Json::from));
        // A name that the language has already cannot be meant by a formula.
        let change = ColumnChange { name: Some("class".into()), ..ColumnChange::default() };
        let error = engine.update_column(table.id, table.columns[0].id, change).await.unwrap_err();
        assert_eq!(error.code(), "CONFLICT");
    });
}
