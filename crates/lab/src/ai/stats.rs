//! What the simulated vendors of language models saw: the judge's own count.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::LimitStats;

/// What each vendor has seen since it started or was last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AiStats {
    /// OpenAI, and whoever speaks as it does.
    pub openai: AiDialectStats,
    /// Anthropic.
    pub anthropic: AiDialectStats,
    /// Google.
    pub google: AiDialectStats,
}

/// What one vendor has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AiDialectStats {
    /// Calls that passed the limits, whatever became of them.
    pub accepted: u64,
    /// Calls that the limits refused; faults that look like it are not among them.
    pub refused: u64,
    /// Of these, how many a limit of tokens refused.
    pub refused_for_tokens: u64,
    /// Calls without a good key, which no limit counts.
    pub unauthorized: u64,
    /// Calls that the vendor could not make sense of, which no limit counts.
    pub invalid: u64,
    /// Calls that were answered as asked, whether or not the answer reached the caller.
    pub served: u64,
    /// Answers to a prompt that had been answered before.
    pub repeated: u64,
    /// Distinct prompts that were answered, [`KEYS_MAX`](crate::KEYS_MAX) at most.
    pub distinct: u64,
    /// Tokens of the prompts of calls that were answered.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// How often each kind of fault struck.
    pub faults: BTreeMap<&'static str, u64>,
    /// Requests against each limit of requests.
    pub requests: Vec<LimitStats>,
    /// Tokens that were taken in the end, counted when their call ended, against each limit of tokens.
    pub tokens: Vec<LimitStats>,
    /// The most calls that were at the vendor at once.
    pub in_flight_max: u64,
    /// When the first call arrived, in ms since the lab started.
    pub first_call_ms: Option<u64>,
    /// When the latest call arrived, in ms since the lab started.
    pub last_call_ms: Option<u64>,
}
