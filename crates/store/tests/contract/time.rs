//! Virtual time stands still while a database thread works.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_model::{CellState, Scope};

use crate::support::each;

#[test]
fn time_does_not_move_while_the_store_works() {
    each(|scene| async move {
        let (table, city) = scene.filled(5_000).await;
        // Somebody who sleeps: without a guard, time would jump to their deadline as soon as the runtime has
        // nothing to do but wait for the database.
        let clock = scene.clock.clone();
        let sleeper = tokio::spawn(async move {
            clock.sleep(Duration::from_millis(1)).await;
            clock.now()
        });
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Completed).await;
        scene.store.count_rows(table.id, None).await.unwrap();
        scene.store.checkpoint().await.unwrap();
        assert_eq!(scene.clock.now(), Tick::ZERO);
        assert_eq!(sleeper.await.unwrap(), Tick::from_millis(1));
    });
}

#[test]
fn a_call_that_is_dropped_leaves_nothing_standing() {
    each(|scene| async move {
        let (_, city) = scene.filled(10).await;
        let run = scene.start(&city, Scope::All).await;
        for _ in 0..20 {
            let store = scene.store.clone();
            let id = run.id;
            let call = tokio::spawn(async move {
                store.set_run_status(id, paceline_model::RunStatus::Paused, None).await
            });
            tokio::task::yield_now().await;
            call.abort();
            let _ = call.await;
        }
        // Would hang if a guard were left behind.
        scene.clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.clock.now(), Tick::from_millis(1_000));
        scene.store.run(run.id).await.unwrap().unwrap();
    });
}
