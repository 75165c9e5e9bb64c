//! What the engine tells about itself: its budgets, its calls, its runs at work.

use std::time::Duration;

use paceline_governor::{Budget, Status};
use paceline_model::{Caps, ColumnId, RunId, Spent};

use super::{Engine, State, hex};
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
    /// Of a waterfall, whose calls pass it.
    pub source: Option<String>,
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
    /// Under which it is kept: `budget:` and its name, `credential:` and a keyed hash, or `hex:`, such a hash and what it is for.
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

/// A budget of this process.
struct Made {
    column: ColumnId,
    purpose: &'static str,
    source: Option<String>,
    budget: Budget,
    concurrent_max: u32,
}

/// Those of whom calls wait, in the order of their runs.
fn those_who_wait(
    runs: impl Iterator<Item = (ColumnId, RunId, usize)>,
) -> Vec<(ColumnId, RunId, usize)> {
    let mut waiting: Vec<_> = runs.filter(|(_, _, waiting)| *waiting > 0).collect();
    waiting.sort_by_key(|(_, run, _)| run.0);
    waiting
}

/// What holds the next call back, for people.
fn held_by(status: &Status, concurrent_max: u32) -> Option<String> {
    let limits = limits_of(status);
    status.held_by.map(|reason| reason_text(reason, &limits, concurrent_max))
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
            // Who waits for both gates stands in the line of its own one.
            let waiting = state.active.iter().map(|(run, active)| {
                let gates = active.ctx.gates().into_iter();
                let ours = gates.filter(|gate| gate.shared().is_some_and(|one| one.key == *key));
                let waiting = ours.map(|gate| gate.own().status().waiting).sum();
                (active.ctx.column.id, *run, waiting)
            });
            let waiting = those_who_wait(waiting);
            budgets.push(SharedStatus {
                key: key.clone(),
                name: known.shared.name.clone(),
                columns: known.columns(),
                waiting,
                wait: status.next_slot.filter(|slot| *slot > now).map(|slot| slot - now),
                held_by: held_by(&status, u32::MAX),
                today: known.account.as_ref().map(|account| account.status(today)),
                status,
            });
        }
        for (key, known) in state.hex.iter().filter(|(_, known)| known.columns.len() > 1) {
            budgets.extend(self.told_of_hex(&state, key, known));
        }
        drop(state);
        budgets.sort_by(|one, other| one.key.cmp(&other.key));
        budgets
    }

    /// What the columns with one token at one Hex share.
    fn told_of_hex(&self, state: &State, key: &str, known: &hex::Known) -> Vec<SharedStatus> {
        let now = self.inner.clock.now();
        let told = known.each().map(|(purpose, budget)| {
            let status = budget.status();
            let ours = state.active.iter().filter_map(|(run, active)| {
                let column = active.ctx.column.id;
                let session = active.ctx.work.session().filter(|_| known.columns.contains(&column));
                let waiting = session?.waiting();
                let calls = match purpose {
                    "triggers" => waiting.triggers,
                    "reads" => waiting.reads,
                    _ => waiting.others,
                };
                Some((column, *run, calls))
            });
            SharedStatus {
                key: format!("{key}:{purpose}"),
                name: format!("{purpose} of the columns with the same token at {}", known.base_url),
                columns: known.columns.clone(),
                waiting: those_who_wait(ours),
                wait: status.next_slot.filter(|slot| *slot > now).map(|slot| slot - now),
                held_by: held_by(&status, u32::MAX),
                today: None,
                status,
            }
        });
        told.into()
    }

    /// Every budget that this process has made, in the order of their columns. A column that was not run since the
    /// process began has none yet.
    #[must_use]
    pub fn budgets(&self) -> Vec<ColumnBudget> {
        let made: Vec<Made> = {
            let state = self.lock();
            let of_calls = state.budgets.iter().map(|(column, (rate, budget))| Made {
                column: *column,
                purpose: "calls",
                source: None,
                budget: budget.clone(),
                concurrent_max: rate.concurrent_max,
            });
            let of_sources = state.sources.iter().map(|((column, source), (rate, budget))| Made {
                column: *column,
                purpose: "calls",
                source: Some(source.clone()),
                budget: budget.clone(),
                concurrent_max: rate.concurrent_max,
            });
            let of_jobs = state.hex.values().flat_map(|known| {
                known.columns.iter().flat_map(|column| {
                    known.each().map(|(purpose, budget)| Made {
                        column: *column,
                        purpose,
                        source: None,
                        budget,
                        concurrent_max: u32::MAX,
                    })
                })
            });
            of_calls.chain(of_sources).chain(of_jobs).collect()
        };
        let mut budgets: Vec<ColumnBudget> = made.into_iter().map(|made| self.told(made)).collect();
        budgets.sort_by(|one, other| {
            (one.column.0, &one.source).cmp(&(other.column.0, &other.source))
        });
        budgets
    }

    fn told(&self, made: Made) -> ColumnBudget {
        let status = made.budget.status();
        let now = self.inner.clock.now();
        ColumnBudget {
            column: made.column,
            purpose: made.purpose,
            source: made.source,
            wait: status.next_slot.filter(|slot| *slot > now).map(|slot| slot - now),
            held_by: held_by(&status, made.concurrent_max),
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
