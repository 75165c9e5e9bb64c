//! >>> PLACE FOR `Keyed<K>` <<< Not compiled: behind the feature `keyed`, which is off until the governor has the type.
//! It is written against the planned interface and has never met a compiler. When the type is there: mend what differs,
//! make the feature the default in Cargo.toml, and fill in `keyed` in `src/memory.rs`, which has the same mark.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_governor::{BudgetConfig, Keyed, Limit};

use super::{KEYS, Operation, Walk, key, timed};
use crate::Failure;

pub(super) fn operations() -> Result<Vec<Operation>, Failure> {
    // Beside governor's keyed row: the same keys in the same order, but two windows in one decision.
    let limits = [
        Limit::new(500_000, Duration::from_millis(1))?,
        Limit::new(1_000_000, Duration::from_millis(2))?,
    ];
    let keyed = Keyed::<String>::new(BudgetConfig::new(limits), Clock::system())?;
    let keys: Arc<[String]> = (0..KEYS).map(key).collect();
    for key in keys.iter() {
        keyed.try_acquire(key).map_err(|refusal| format!("{refusal:?}"))?.not_sent(None);
    }
    let walk = Walk::default();
    Ok(vec![Operation::new(
        "ours: keyed try_acquire, 1M String keys, two windows",
        move |thread, ops| {
            timed(|| {
                for at in walk.next(thread, ops) {
                    match keyed.try_acquire(&keys[at]) {
                        Ok(permit) => permit.not_sent(None),
                        Err(refusal) => panic!("a key was refused: {refusal:?}"),
                    }
                }
            })
        },
    )])
}
