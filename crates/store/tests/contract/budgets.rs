//! What budgets learnt is kept over a restart, each under its own key.

use std::time::Duration;

use paceline_model::{Error, SavedBudget, limits};

use crate::support::each;

#[test]
fn what_a_budget_learnt_is_kept_and_replaced() {
    each(|scene| async move {
        let (store, at) = (&scene.store, scene.clock.wall());
        assert_eq!(store.load_budget("column:1").await.unwrap(), None);
        store.save_budget("column:1", "{\"a\":1}", at).await.unwrap();
        store.save_budget("column:2", "{}", at).await.unwrap();
        let later = at + Duration::from_micros(10_000_001);
        store.save_budget("column:1", "{\"a\":2}", later).await.unwrap();
        let wanted = SavedBudget { snapshot: "{\"a\":2}".into(), saved_at: later };
        assert_eq!(store.load_budget("column:1").await.unwrap(), Some(wanted));
        let other = SavedBudget { snapshot: "{}".into(), saved_at: at };
        assert_eq!(store.load_budget("column:2").await.unwrap(), Some(other));
        assert_eq!(store.load_budget("column:11").await.unwrap(), None);
    });
}

#[test]
fn what_is_too_long_is_refused_and_what_was_kept_stays() {
    each(|scene| async move {
        let (store, at) = (&scene.store, scene.clock.wall());
        store.save_budget("column:1", "kept", at).await.unwrap();
        let long = "x".repeat(limits::VALUE_BYTES_MAX + 1);
        let refused = store.save_budget("column:1", &long, at).await;
        assert!(matches!(refused, Err(Error::Invalid(_))));
        assert!(matches!(store.save_budget(&long, "", at).await, Err(Error::Invalid(_))));
        assert_eq!(store.load_budget("column:1").await.unwrap().unwrap().snapshot, "kept");
    });
}
