//! Tables that are renamed on PostgreSQL while others are at work on them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use paceline_model::TableChange;

use crate::backends::Home;
use crate::postgres::{in_real_time, insert_until, shared};
use crate::server::pause;
use crate::support::leads;

#[test]
fn while_names_go_round_nothing_goes_to_another_table() {
    let Some(home) = Home::postgres() else { return };
    in_real_time(async {
        let stores = [shared(&home), shared(&home)];
        let table = leads(stores[0].as_ref()).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> = stores
            .iter()
            .map(|store| tokio::spawn(insert_until(store.clone(), table.clone(), stop.clone())))
            .collect();
        let named = |name: &str| TableChange { name: Some(name.into()), ..TableChange::default() };
        for _ in 0..40 {
            // Its old name is another table's, which has the same columns, and then its own again.
            stores[1].update_table(table.id, named("away")).await.unwrap();
            let other = leads(stores[0].as_ref()).await;
            pause(Duration::from_millis(2));
            assert_eq!(stores[0].count_rows(other.id, None).await.unwrap(), 0);
            stores[1].delete_table(other.id).await.unwrap();
            stores[0].update_table(table.id, named("leads")).await.unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        let mut inserted = 0;
        for writer in writers {
            inserted += writer.await.unwrap();
        }
        assert!(inserted > 0);
        assert_eq!(stores[0].count_rows(table.id, None).await.unwrap(), inserted);
        assert_eq!(stores[0].deleted_tables().await.unwrap().len(), 40);
    });
}
