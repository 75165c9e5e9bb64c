//! A trace: when each call of a peer left, in virtual time. One JSON line each, whatever the language.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::Failure;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Trace {
    /// Which set of limits, by its place in `sets.json`.
    pub(crate) set: usize,
    pub(crate) peer: String,
    pub(crate) version: String,
    /// How it was asked to hold both windows.
    pub(crate) how: String,
    /// From the moment the first call was pushed, in the order of leaving.
    pub(crate) sent_ns: Vec<u64>,
}

/// Every trace in these files. A file that is not there belongs to a language that was left out.
pub(crate) fn read(files: &[&str]) -> Result<Vec<Trace>, Failure> {
    let mut traces = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        for line in text.lines() {
            traces.push(serde_json::from_str(line).map_err(|error| format!("{file}: {error}"))?);
        }
    }
    Ok(traces)
}
