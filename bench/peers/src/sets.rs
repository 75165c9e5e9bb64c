//! The sets of limits that everybody is asked to hold, from the file that the other languages read too.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::Failure;

const SETS: &str = include_str!("../sets.json");

/// So many calls through a short and a long window at once.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Set {
    pub(crate) calls: usize,
    /// The short window first.
    pub(crate) limits: [Window; 2],
}

/// A limit as a client is told it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Window {
    pub(crate) count: u32,
    window_ms: u64,
}

pub(crate) fn all() -> Result<Vec<Set>, Failure> {
    Ok(serde_json::from_str(SETS)?)
}

impl Window {
    pub(crate) fn length(self) -> Duration {
        Duration::from_millis(self.window_ms)
    }

    /// Time from one call to the next at an even pace.
    pub(crate) fn interval(self) -> Duration {
        self.length() / self.count
    }
}

impl Set {
    pub(crate) fn short(&self) -> Window {
        self.limits[0]
    }

    pub(crate) fn long(&self) -> Window {
        self.limits[1]
    }

    /// The limits as the judge keeps them.
    pub(crate) fn judged(&self) -> Result<[paceline_lab::Limit; 2], Failure> {
        let limit = |window: Window| paceline_lab::Limit::new(window.count.into(), window.length());
        Ok([limit(self.short())?, limit(self.long())?])
    }

    /// The limits as our governor keeps them.
    pub(crate) fn governed(&self) -> Result<[paceline_governor::Limit; 2], Failure> {
        let limit = |window: Window| paceline_governor::Limit::new(window.count, window.length());
        Ok([limit(self.short())?, limit(self.long())?])
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [short, long] = self.judged().map_err(|_| fmt::Error)?;
        write!(f, "{short} + {long}, {} calls", self.calls)
    }
}
