//! Our own decisions for a million keys: two windows and a cap in one decision, a budget per key that is frozen while idle.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::Clock;
use paceline_governor::{BudgetConfig, Keyed, Limit};

use super::{KEYS, Operation, Walk, key, timed};
use crate::Failure;

pub(super) fn operations() -> Result<Vec<Operation>, Failure> {
    // Beside governor's keyed row: the same keys in the same order, but two windows in one decision.
    let limits = [
        Limit::new(1_000, Duration::from_secs(60))?,
        Limit::new(10_000, Duration::from_secs(3600))?,
    ];
    let keyed = Keyed::<String>::new(BudgetConfig::new(limits), Clock::system())?;
    let keys: Arc<[String]> = (0..KEYS).map(key).collect();
    for key in keys.iter() {
        let mut permit = keyed.budget(key)?.try_acquire().map_err(|refusal| format!("{refusal:?}"))?;
        permit.sent();
        permit.seen();
    }
    let walk = Walk::default();
    Ok(vec![Operation::new(
        "ours: keyed try_acquire, 1M String keys, two windows",
        move |thread, ops| {
            timed(|| {
                for at in walk.next(thread, ops) {
                    let Ok(budget) = keyed.budget(&keys[at]) else { panic!("too many keys") };
                    match budget.try_acquire() {
                        Ok(permit) => permit.not_sent(None),
                        Err(refusal) => panic!("a key was refused: {refusal:?}"),
                    }
                }
            })
        },
    )])
}
