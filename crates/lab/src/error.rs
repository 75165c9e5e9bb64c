//! What a person can get wrong when describing a vendor, each with the way out.

use thiserror::Error;

/// A vendor that cannot be built as described. The text says what was read and what is accepted instead.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A limit that is not `COUNT/WINDOW`.
    #[error(
        "limit `{text}`: {reason}; write COUNT/WINDOW, as in 20/min, 60/h, 10/s, 500/15min, 1000/100ms"
    )]
    Limit {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A policy that the zoo does not have.
    #[error(
        "policy `{text}`: {reason}; use fixed, fixed:PHASE_MS, first_call, log, log:seconds, log_counting, \
         log_counting:seconds, counter, bucket, or bucket:SIZE"
    )]
    Policy {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A delay law that cannot be drawn from.
    #[error(
        "law `{text}`: {reason}; write milliseconds as 0, 20, 20..400 (uniform), or exp:60 (exponential, by its mean)"
    )]
    Law {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A fault law with an unknown kind, an impossible chance or a bad span.
    #[error(
        "fault `{text}`: {reason}; write KIND:CHANCE or KIND:CHANCE@FROM..TO, as in 500:0.1,429:1@0s..20s, or none"
    )]
    Fault {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A fault law of the simulated Hex with an unknown kind, an impossible chance or a bad span.
    #[error(
        "fault `{text}`: {reason}; write KIND:CHANCE or KIND:#N, perhaps with @FROM..TO, as in \
         drop-after-start:#3,500-on-read:0.1@0s..20s, or none"
    )]
    HexFault {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A fault law of the simulated AI vendors with an unknown kind, an impossible chance or a bad span.
    #[error(
        "fault `{text}`: {reason}; write KIND:CHANCE or KIND:CHANCE@FROM..TO, as in 429=2:1@0s..20s,overloaded:0.1, or \
         none"
    )]
    AiFault {
        /// What was read.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A word where one of a few is expected.
    #[error("{what} `{text}` is not known; use one of: {accepted}")]
    Word {
        /// Which setting it is.
        what: &'static str,
        /// What was read.
        text: String,
        /// What may stand there.
        accepted: &'static str,
    },
    /// Settings that are fine alone and not together.
    #[error("{0}")]
    Together(String),
}
