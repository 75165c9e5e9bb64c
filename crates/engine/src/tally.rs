//! Calls since this engine was made, counted for whoever watches it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use paceline_model::{Attempt, AttemptClass, SmartKind};

/// Calls of one kind of column that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCount {
    /// The kind, as the API names it.
    pub kind: &'static str,
    /// How they ended, as the API names it.
    pub class: &'static str,
    /// How many there were.
    pub count: u64,
}

/// Counts attempts. As many counters as there are kinds times classes.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<(&'static str, &'static str), u64>>);

impl Tally {
    /// Counts the attempts of one group.
    pub(crate) fn add<'a>(&self, kind: SmartKind, attempts: impl Iterator<Item = &'a Attempt>) {
        let mut counts = self.lock();
        for attempt in attempts {
            *counts.entry((kind.as_str(), AttemptClass::as_str(attempt.class))).or_default() += 1;
        }
    }

    pub(crate) fn counts(&self) -> Vec<CallCount> {
        let counts = self.lock();
        counts
            .iter()
            .map(|((kind, class), count)| CallCount { kind, class, count: *count })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, &'static str), u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
