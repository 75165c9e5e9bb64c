//! Spec R3: stop means stop. After a cancel was answered no call leaves; what still comes back is on record and not applied.

use std::time::Duration;

use paceline_clock::{Random, SimClock};
use paceline_model::{RunStatus, Scope};
use paceline_store::SqliteStore;
use serde_json::json;

use crate::support::{Vendor, add, attempts, call, engine, rate, states, table};

#[test]
fn fifty_cancels_at_random_moments_let_no_call_leave_and_keep_late_replies_on_record() {
    let random = Random::seeded(5);
    let mut late = 0;
    for round in 0..50 {
        let at = Duration::from_micros(random.next_u64() % 4_500_000);
        let posts = round % 2 == 1;
        late += SimClock::new().run(|clock| async move {
            let vendor = Vendor::unlimited();
            let store = SqliteStore::open_in_memory(clock.clone()).unwrap();
            let engine = engine(&store, &clock, &vendor);
            let made = table(&engine, "one", 100).await;
            let more = if posts { json!({"method": "POST"}) } else { json!({}) };
            let config = call("a", Some("key"), &more);
            let made = add(&engine, &made, "a", config, rate(&["20/s"], 6)).await;
            let column = made.column("a").unwrap().id;
            let run = engine.start_run(&made, "a", Scope::All).await.unwrap();
            clock.sleep(at).await;
            let cancelled = engine.cancel_run(run.id).await.unwrap();
            let (calls, answered_at) = (vendor.calls(), clock.now());
            assert_eq!(cancelled.status, RunStatus::Cancelled);
            engine.wait(run.id).await.unwrap();
            clock.sleep(Duration::from_secs(60)).await;
            let left = vendor.seen().iter().filter(|seen| seen.sent > answered_at).count();
            assert_eq!((left, vendor.calls()), (0, calls), "cancelled after {at:?}");
            let states = states(&engine, column).await;
            let applied = states.get("completed").copied().unwrap_or_default();
            assert_eq!(applied, cancelled.counts.completed, "late replies are not applied");
            let on_record = attempts(&engine, column, 100).await;
            assert_eq!(on_record, calls, "cancelled after {at:?}");
            calls - applied as usize
        });
    }
    println!("{late} late replies in 50 cancels");
    assert!(late > 50, "{late}: some calls were under way");
}
