//! Which formulas run in a child that can be killed, because the threads of this process cannot stop them.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_clock::Clock;
use paceline_model::{Value, limits};

use crate::error::ScriptError;
use crate::formula::Formula;
use crate::host::{FunctionCommand, FunctionHost};

/// Formulas that are remembered; the oldest goes for one more, and costs a thread once again.
const KNOWN_MAX: usize = 1_024;
/// Rows in a row after which a formula is given a thread again. It may have been the machine that was too busy.
const FORGIVEN_AFTER: u32 = 1_000;

/// Children for formulas: those that were caught in a built-in once, and while threads are lost, all others.
pub(crate) struct Children {
    /// For those that may have to be killed, so that no other waits behind them.
    suspects: FunctionHost,
    others: FunctionHost,
    known: Mutex<VecDeque<Known>>,
}

/// A formula that was caught.
struct Known {
    mark: u64,
    /// Rows that did no harm since.
    good: u32,
}

impl Children {
    pub(crate) fn new(command: FunctionCommand, clock: &Clock) -> Self {
        let host = || {
            let most = limits::FORMULA_PROCESSES_MAX;
            FunctionHost::new(command.clone(), clock.clone(), limits::FORMULA_TIMEOUT, most)
        };
        Self { suspects: host(), others: host(), known: Mutex::default() }
    }

    /// Whether a formula was caught before, in this column or with the same text in another one.
    pub(crate) fn knows(&self, formula: &Formula) -> bool {
        let mark = mark(formula);
        self.lock().iter().any(|known| known.mark == mark)
    }

    /// A formula was caught in a built-in.
    pub(crate) fn suspect(&self, formula: &Formula) {
        let mark = mark(formula);
        let mut known = self.lock();
        known.retain(|known| known.mark != mark);
        known.push_back(Known { mark, good: 0 });
        if known.len() > KNOWN_MAX {
            known.pop_front();
        }
    }

    /// A row of a formula came to its end by itself.
    fn praise(&self, formula: &Formula) {
        let mark = mark(formula);
        let mut known = self.lock();
        let Some(at) = known.iter().position(|known| known.mark == mark) else { return };
        known[at].good += 1;
        if known[at].good >= FORGIVEN_AFTER {
            known.remove(at);
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a formula gives for a row.
    pub(crate) async fn eval(
        &self,
        formula: &Formula,
        row: &[Value],
    ) -> Result<serde_json::Value, ScriptError> {
        let host = if self.knows(formula) { &self.suspects } else { &self.others };
        let row = row.iter().map(Value::to_json).collect();
        let (outcome, killed) = host.formula(formula.function(), row).await;
        if killed {
            self.suspect(formula);
        } else {
            self.praise(formula);
        }
        outcome.map_err(|error| formula.explained(error))
    }
}

/// Two that are taken for one another run slower, and right.
fn mark(formula: &Formula) -> u64 {
    let mut hasher = DefaultHasher::new();
    formula.function().hash(&mut hasher);
    hasher.finish()
}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Children").field("host", &self.others).finish_non_exhaustive()
    }
}
