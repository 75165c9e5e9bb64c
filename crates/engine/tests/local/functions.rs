//! A stored function that gets a new version, or is gone (spec C9).

use std::time::Duration;

use paceline_clock::Clock;
use paceline_engine::{Engine, EngineConfig, Moved};
use paceline_model::{NewItem, Note, RowId, RunStatus, Scope, SmartKind};
use paceline_script::{FunctionCommand, FunctionHost};
use serde_json::{Value as Json, json};

use crate::{add, rows, run, spec, table, values};

/// Answers each call with 2 if the source says `two`, else with 1: as the real child does, without its language.
const CHILD: &str = r#"while f=$(dd bs=65536 count=1 2>/dev/null | tr -d '\000') && [ -n "$f" ]; do
    case "$f" in *two*) n=2 ;; *) n=1 ;; esac
    printf '\024\000\000\000{"outcome":{"Ok":%s}}' "$n"
done"#;

fn engine(clock: &Clock) -> Engine {
    let command =
        FunctionCommand { program: "/bin/sh".into(), args: vec!["-c".into(), CHILD.into()] };
    let functions = Some(FunctionHost::new(command, clock.clone(), Duration::from_secs(20), 1));
    crate::engine_of(clock, EngineConfig { functions, ..EngineConfig::default() })
}

fn body(source: &str, description: &str) -> Json {
    json!({"source": source, "description": description})
}

/// As the platform keeps a new version.
async fn keep(engine: &Engine, source: &str, description: &str) {
    let item = engine.store().items("function", None).await.unwrap().remove(0);
    let (id, version) = (item.id, item.version);
    let note = Note::Item { kind: "function", id, version, body: body(source, description) };
    engine.store().keep(vec![note]).await.unwrap();
}

async fn moved(engine: &Engine) -> Vec<Moved> {
    engine.staleness(&rows(engine).await, "score", RowId(3)).await.unwrap()
}

/// A child needs a runtime that reads and writes.
fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn config() -> Json {
    json!({"function": "score", "args": {"n": "{{n}}"}})
}

async fn make(engine: &Engine) {
    let name = "score".to_owned();
    let item = NewItem { kind: "function", table: None, name, body: body("row => 1", "") };
    engine.store().create_item(item).await.unwrap();
}

#[test]
fn a_new_version_of_a_function_makes_its_cells_stale_and_another_description_does_not() {
    block_on(async {
        let engine = engine(&Clock::system());
        table(&engine).await;
        make(&engine).await;
        add(&engine, "score", SmartKind::Function, config()).await;
        let first = run(&engine, "score", Scope::All).await;
        assert_eq!((first.status, first.counts.completed), (RunStatus::Completed, 5));
        keep(&engine, "row => 1", "one for everybody").await;
        assert_eq!(moved(&engine).await, []);
        let stale = run(&engine, "score", Scope::Stale).await;
        assert_eq!((stale.counts.total, stale.counts.ended()), (0, 0));

        keep(&engine, "row => 'two'.length - 1", "").await;
        assert_eq!(moved(&engine).await, [Moved::Function]);
        let stale = run(&engine, "score", Scope::Stale).await;
        assert_eq!((stale.counts.completed, stale.counts.failed), (5, 0));
        assert_eq!(values(&engine, &rows(&engine).await, "score").await, [2; 5].map(Json::from));
        assert_eq!(moved(&engine).await, []);
    });
}

#[test]
fn a_function_that_is_gone_or_misspelt_is_told_with_its_field_and_a_run_left_behind_is_paused() {
    block_on(async {
        let clock = Clock::system();
        let engine = engine(&clock);
        table(&engine).await;
        make(&engine).await;
        let table = rows(&engine).await;
        let misspelt = json!({"function": "scoer", "args": {}});
        let refused =
            engine.add_smart_column(&table, spec("score", SmartKind::Function, misspelt)).await;
        let refused = refused.unwrap_err().to_string();
        assert!(
            refused.starts_with("config.function: there is no function \"scoer\""),
            "{refused}"
        );
        let table = add(&engine, "score", SmartKind::Function, config()).await;
        // Somebody deletes it while a run waits for the next start of the server.
        let column = table.column("score").unwrap().id;
        let new = paceline_model::NewRun::new(table.id, column, Scope::All);
        let left = engine.store().create_run(new).await.unwrap();
        let item = engine.store().items("function", None).await.unwrap().remove(0);
        engine.store().delete_item("function", item.id).await.unwrap();
        assert_eq!(engine.resume_left_behind().await.unwrap(), []);
        let left = engine.store().run(left.id).await.unwrap().unwrap();
        assert_eq!((left.status, left.counts.ended()), (RunStatus::Paused, 0));
        let reason = left.reason.unwrap();
        assert!(reason.contains("there is no function \"score\""), "{reason}");
        make(&engine).await;
        engine.resume_run(left.id).await.unwrap();
        assert_eq!(engine.wait(left.id).await.unwrap().counts.completed, 5);
    });
}
