//! What the engine tells about itself: its budgets, its calls, its runs at work.

use std::time::Duration;

use paceline_governor::{Budget, Status};
use paceline_model::{Caps, ColumnId, RunId, Spent};

use super::Engine;
use crate::CallCount;
use crate::ledger::day_of;
use crate::progress::{limits_of, reason_text};

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

/// A budget that columns share, as this process has made it.
#[derive(Clone, Debug, PartialEq)]
pub struct SharedStatus {
    /// Under which it is kept: `budget:` and its name, or `credential:` and a keyed hash.
    pub key: String,
    /// What people call it.
    pub name: String,
    /// The columns that pass it.
    pub columns: Vec<ColumnId>,
    /// Runs at work whose calls wait for it, with how many of them do.
    pub waiting: Vec<(ColumnId, RunId, usize)>,
    /// Its limits, what is in flight, what was learnt.
    pub status: Status,
    /// Nothing more is sent before this has passed.
    pub wait: Option<Duration>,
    /// What holds the next call back.
    pub held_by: Option<String>,
    /// Of a named budget, how much its columns may do today and have done.
    pub today: Option<(Caps, Spent)>,
}

impl Engine {
    /// Every budget that columns share and that this process has made, by key.
    #[must_use]
    pub fn shared_budgets(&self) -> Vec<SharedStatus> {
        let (now, today) = (self.inner.clock.now(), day_of(self.inner.clock.wall()));
        let state = self.lock();
        let mut budgets = Vec::new();
        for (key, known) in &state.shared {
            let status = known.shared.budget.status();
            let ours = state.active.iter().filter(|(_, active)| {
                active.ctx.gate.now().shared().is_some_and(|shared| shared.key == *key)
            });
            // Who waits for both gates stands in the line of its own one.
            let waiting = ours.map(|(run, active)| {
                let waiting = active.ctx.gate.now().own().status().waiting;
                (active.ctx.column.id, *run, waiting)
            });
            let mut waiting: Vec<_> = waiting.filter(|(_, _, waiting)| *waiting > 0).collect();
            waiting.sort_by_key(|(_, run, _)| run.0);
            budgets.push(SharedStatus {
                key: key.clone(),
                name: known.shared.name.clone(),
                columns: known.members.clone(),
                waiting,
                wait: status.next_slot.filter(|slot| *slot > now).map(|slot| slot - now),
                held_by: status
                    .held_by
                    .map(|reason| reason_text(reason, &limits_of(&status), u32::MAX)),
                today: known.account.as_ref().map(|account| account.status(today)),
                status,
            });
        }
        drop(state);
        budgets.sort_by(|one, other| one.key.cmp(&other.key));
        budgets
    }

    /// Every budget that this process has made, in the order of their columns. A column that was not run since the
    /// process began has none yet.
    #[must_use]
    pub fn budgets(&self) -> Vec<ColumnBudget> {
        let made: Vec<(ColumnId, &'static str, Budget, u32)> = {
            let state = self.lock();
            let of_calls = state.budgets.iter().map(|(column, (rate, budget))| {
                (*column, "calls", budget.clone(), rate.concurrent_max)
            });
            let of_jobs = state.hex.values().flat_map(|known| {
                known.columns.iter().flat_map(|column| {
                    known.each().map(|(purpose, budget)| (*column, purpose, budget, u32::MAX))
                })
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
        let limits = limits_of(&status);
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
