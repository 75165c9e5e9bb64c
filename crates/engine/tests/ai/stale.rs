//! A stored provider that is saved anew behind its label (spec C9): another place makes cells stale, another key does not.

use std::time::Duration;

use paceline_clock::{Random, SimClock};
use paceline_engine::{AiProvider, Engine, Moved, Sealer};
use paceline_lab::AiConfig;
use paceline_model::{
    ColumnType, Filter, NewItem, Operator, RowId, RunStatus, Scope, Subject, Test, Value,
};
use serde_json::{Value as Json, json};
use url::Url;

use crate::support::{COLUMN, World, rate};

fn body(service: &str, base: &str, key: &str) -> Json {
    let base = Url::parse(base).unwrap();
    let sealer = Sealer::new(&[7; 32], Random::seeded(9));
    let provider = AiProvider {
        provider: service.to_owned(),
        key: AiProvider::seal_key(&sealer, key, &base).unwrap(),
        base_url: base.to_string(),
        ends: String::new(),
        default_since_micros: None,
        models: Vec::new(),
        tested_at_micros: None,
    };
    provider.to_json()
}

async fn save(engine: &Engine, body: Json) {
    let store = engine.store();
    match store.items(AiProvider::KIND, None).await.unwrap().first() {
        None => {
            let name = "ours".to_owned();
            let item = NewItem { kind: AiProvider::KIND, table: None, name, body };
            store.create_item(item).await.unwrap();
        }
        Some(item) => {
            store.update_item(AiProvider::KIND, item.id, item.version, body).await.unwrap();
        }
    }
}

#[test]
fn another_place_behind_a_label_makes_cells_stale_and_a_rotated_key_does_not() {
    SimClock::new().run(|clock| async move {
        let keys = vec!["old".to_owned(), "new".to_owned()];
        let world = World::new(AiConfig { keys, ..AiConfig::default() }, &clock);
        let engine = &world.engine;
        let compatible = |base: &str, key: &str| body("openai_compatible", base, key);
        save(engine, compatible("https://one.example/v1", "old")).await;
        let config = json!({"provider": "ours", "model": "m", "prompt": "Rate {{n}}"});
        let table = world.table(3, config, rate(&[], 1)).await;
        assert_eq!(world.run(&table).await.counts.completed, 3);
        let moved = || async { engine.staleness(&table, COLUMN, RowId(1)).await.unwrap() };
        let stale = || async {
            let run = engine.start_run(&table, COLUMN, Scope::Stale).await.unwrap();
            let run = engine.wait(run.id).await.unwrap();
            assert_eq!(run.status, RunStatus::Completed, "{:?}", run.reason);
            (run.counts.total, run.counts.calls)
        };
        save(engine, compatible("https://one.example/v1", "new")).await;
        assert_eq!((moved().await, stale().await), (vec![], (0, 0)));
        for (service, base) in
            [("openai_compatible", "https://two.example/v1"), ("openai", "https://two.example/v1")]
        {
            save(engine, body(service, base, "new")).await;
            assert_eq!(moved().await, [Moved::Provider], "{service}");
            assert_eq!(stale().await, (3, 3), "{service}: what the old one said is not taken");
            assert_eq!((moved().await, stale().await), (vec![], (0, 0)), "{service}");
        }
    });
}

#[test]
fn a_run_keeps_the_provider_it_began_with_and_its_cells_are_stale_when_it_is_done() {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let engine = &world.engine;
        save(engine, body("openai_compatible", "https://one.example/v1", "good")).await;
        let config = json!({"provider": "ours", "model": "m", "prompt": "Rate {{n}}"});
        let table = world.rows(4).await;
        let rate = rate(&["1/s"], 1);
        let table = world.add(&table, ColumnType::Text, &[], config, rate).await.unwrap();
        let run = engine.start_run(&table, COLUMN, Scope::All).await.unwrap();
        clock.sleep(Duration::from_millis(1_500)).await;
        save(engine, body("openai_compatible", "https://two.example/v1", "good")).await;
        engine.pause_run(run.id).await.unwrap();
        engine.wait(run.id).await.unwrap();
        // Resumed, it goes on with the new one; what is there was made with the old.
        engine.resume_run(run.id).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.completed, 4);
        let mut stale = 0;
        for row in 1..=4 {
            stale += engine.staleness(&table, COLUMN, RowId(row)).await.unwrap().len();
        }
        assert!((1..4).contains(&stale), "{stale}");
        let run = engine.start_run(&table, COLUMN, Scope::Stale).await.unwrap();
        assert_eq!(engine.wait(run.id).await.unwrap().counts.calls, stale as u64);
    });
}

#[test]
fn a_column_that_runs_by_itself_asks_the_new_provider_for_the_rows_that_change_and_for_no_others() {
    SimClock::new().run(|clock| async move {
        let world = World::new(AiConfig::default(), &clock);
        let engine = &world.engine;
        save(engine, body("openai_compatible", "https://one.example/v1", "good")).await;
        let mut config = json!({"provider": "ours", "model": "m", "prompt": "Rate {{n}}"});
        config["auto_run"] = json!("on_change");
        let table = world.table(3, config, rate(&[], 1)).await;
        assert_eq!(world.run(&table).await.counts.completed, 3);
        save(engine, body("openai_compatible", "https://two.example/v1", "good")).await;
        let work = async {
            clock.sleep(Duration::from_secs(3)).await;
            // To the value that it has: only the provider has moved.
            let filter = Operator::Eq(Value::Int(2));
            let filter = Test { subject: Subject::Id, path: Vec::new(), operator: filter };
            let (n, two) = (vec![table.columns[0].id], vec![Value::Int(2)]);
            engine.store().update_rows(table.id, Filter::Test(filter), &n, two).await.unwrap();
            clock.sleep(Duration::from_secs(3)).await;
        };
        tokio::select! {
            () = engine.run_automatically() => {}
            () = work => {}
        }
        let runs = engine.store().runs(table.id, 9).await.unwrap();
        assert_eq!((runs.len(), runs[0].counts.calls), (2, 1), "{runs:?}");
        for (row, moved) in [(1, vec![Moved::Provider]), (2, vec![])] {
            assert_eq!(engine.staleness(&table, COLUMN, RowId(row)).await.unwrap(), moved, "{row}");
        }
    });
}
