//! Spec G2: budgets that people name.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_engine::{BudgetSpec, Error};
use paceline_model::{Caps, RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use crate::support::{Vendor, add, call, engine, rate, rate_with, table, try_add};

fn budget(rate: Json) -> BudgetSpec {
    BudgetSpec { rate, host: None, daily_caps: Caps::default() }
}

#[test]
fn columns_without_a_secret_share_the_budget_that_they_name_and_a_change_holds_at_once() {
    let vendor = Vendor::per_second(10);
    let seen = Arc::clone(&vendor);
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &seen);
        engine.create_budget("maps", &budget(json!({"limits": ["10/s"]}))).await.unwrap();
        let mut made = table(&engine, "one", 100).await;
        let named = rate_with(&[], 5, &json!({"budget": "maps"}));
        for name in ["a", "b"] {
            made = add(&engine, &made, name, call(name, None, &json!({})), named.clone()).await;
        }
        let mut runs = Vec::new();
        for name in ["a", "b"] {
            runs.push(engine.start_run(&made, name, Scope::All).await.unwrap());
        }
        clock.sleep(Duration::from_millis(5_050)).await;
        let before = seen.calls();
        assert!((48..=60).contains(&before), "{before}");
        let [shared] = &engine.shared_budgets()[..] else { panic!("one budget") };
        assert_eq!((shared.key.as_str(), shared.columns.len()), ("budget:maps", 2));
        assert!(!shared.waiting.is_empty() && shared.wait.is_some(), "{shared:?}");
        engine.update_budget("maps", &budget(json!({"limits": ["2/s"]}))).await.unwrap();
        clock.sleep(Duration::from_secs(10)).await;
        let after = seen.calls() - before;
        assert!((15..=21).contains(&after), "{after} calls in 10 s at 2/s");
        engine.update_budget("maps", &budget(json!({"limits": ["10/s"]}))).await.unwrap();
        for run in runs {
            assert_eq!(engine.wait(run.id).await.unwrap().status, RunStatus::Completed);
        }
    });
    assert_eq!((vendor.refused(), vendor.calls()), (0, 200));
}

#[test]
fn a_budget_is_refused_with_the_field_while_it_is_written_and_kept_while_it_is_named() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let engine = engine(&store, &clock, &Vendor::unlimited());
        for (name, rate, field) in [
            ("no blanks", json!({"limits": ["10/s"]}), "name"),
            ("b", json!({}), "rate.limits"),
            ("b", json!({"limits": ["10/s"], "max_retries": 3}), "rate.max_retries"),
            ("b", json!({"limits": ["often"]}), "limits[0]"),
            ("b", json!("gentle"), "rate"),
        ] {
            let error = engine.create_budget(name, &budget(rate)).await.unwrap_err();
            assert!(error.to_string().contains(field), "{error} names {field}");
        }
        let spec = BudgetSpec {
            host: Some("vendor.example".to_owned()),
            ..budget(json!({"max_concurrent": 2}))
        };
        engine.create_budget("vendor", &spec).await.unwrap();
        let made = table(&engine, "one", 1).await;
        let named = |name: &str| rate_with(&["10/s"], 5, &json!({"budget": name}));
        let plain = call("a", None, &json!({}));
        let error = try_add(&engine, &made, "a", plain.clone(), named("vendr")).await.unwrap_err();
        assert!(error.to_string().contains("did you mean \"vendor\"?"), "{error}");
        let elsewhere = call("a", None, &json!({"url": "http://other.example/{{n}}"}));
        let error = try_add(&engine, &made, "a", elsewhere, named("vendor")).await.unwrap_err();
        assert!(error.to_string().contains("calls other.example"), "{error}");
        let made = add(&engine, &made, "a", plain, named("vendor")).await;
        let error = engine.delete_budget("vendor").await.unwrap_err();
        assert!(matches!(&error, Error::Conflict(text) if text.contains("one.a")), "{error}");
        let other = BudgetSpec { host: Some("other.example".to_owned()), ..spec };
        let error = engine.update_budget("vendor", &other).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict(text) if text.contains("column a")), "{error}");
        engine.update_smart_column(&made, "a", None, Some(rate(&["10/s"], 5))).await.unwrap();
        engine.delete_budget("vendor").await.unwrap();
        assert!(engine.named_budgets().await.unwrap().is_empty());
    });
}
