//! What the engine tells about itself: its budgets, its calls, its runs at work.

use std::time::Duration;

use paceline_governor::{Budget, Limit, Status};
use paceline_model::ColumnId;

use super::Engine;
use crate::CallCount;
use crate::progress::reason_text;

/// A budget that this process has made for a smart column, now.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnBudget {
    /// The column.
    pub column: ColumnId,
    /// What it is for, where a column has several: `triggers`, `reads`, `overall`; else `calls`.
    pub purpose: &'static str,
    /// Its limits, what is in flight, what was learnt.
    pub status: Status,
    /// Nothing more is sent before this has passed, if anything but the end of a call changes that.
    pub wait: Option<Duration>,
    /// What holds the next call back.
    pub held_by: Option<String>,
}

impl Engine {
    /// Every budget that this process has made, in the order of their columns. A column that was not run since the
    /// process began has none yet.
    #[must_use]
    pub fn budgets(&self) -> Vec<ColumnBudget> {
        let made: Vec<(ColumnId, &'static str, Budget, u32)> = {
            let state = self.lock();
            let of_calls = state.budgets.iter().map(|(column, (rate, budget))| {
                (*column, "calls", budget.clone(), rate.concurrent_max)
            });
            let of_jobs = state.hex.iter().flat_map(|(column, known)| {
                known.each().map(|(purpose, budget)| (*column, purpose, budget, u32::MAX))
            });
            of_calls.chain(of_jobs).collect()
        };
        let mut budgets: Vec<ColumnBudget> = made.into_iter().map(|made| self.told(made)).collect();
        budgets.sort_by_key(|budget| budget.column.0);
        budgets
    }

    fn told(&self, made: (ColumnId, &'static str, Budget, u32)) -> ColumnBudget {
        let (column, purpose, budget, concurrent_max) = made;
        let status = budget.status();
        let now = self.inner.clock.now();
        let limits: Vec<Limit> = status.limits.iter().map(|status| status.limit).collect();
        ColumnBudget {
            column,
            purpose,
            wait: status.next_slot.filter(|slot| *slot > now).map(|slot| slot - now),
            held_by: status.held_by.map(|reason| reason_text(reason, &limits, concurrent_max)),
            status,
        }
    }

    /// Calls made since this engine was, by kind of column and outcome class.
    #[must_use]
    pub fn calls(&self) -> Vec<CallCount> {
        self.inner.tally.counts()
    }

    /// Runs at work in this process.
    #[must_use]
    pub fn runs_at_work(&self) -> usize {
        self.lock().active.len()
    }
}
