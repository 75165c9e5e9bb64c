//! What can go wrong with a request to the engine, by what the caller does about it.

use paceline_governor::RateError;

/// The result of an engine call.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the engine. Nothing has happened when one is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store's answer.
    #[error(transparent)]
    Store(#[from] paceline_model::Error),
    /// The column's configuration is wrong: the field, and what to write instead.
    #[error("{field}: {problem}")]
    Config {
        /// The field, as a path into the config.
        field: String,
        /// What is wrong and what is accepted.
        problem: String,
        /// What was probably meant.
        did_you_mean: Option<String>,
    },
    /// One of several columns to be made at once is wrong.
    #[error("columns[{index}]: {error}")]
    InColumn {
        /// Its place among them, from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// The rate is wrong: every fault at once.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rate(Vec<RateError>),
    /// The address may not be called.
    #[error(transparent)]
    Outbound(#[from] crate::OutboundError),
    /// There is no such table, column or run.
    #[error("{0}")]
    Missing(String),
    /// The state of things does not allow it now.
    #[error("{0}")]
    Conflict(String),
    /// The run would make more calls than one may without a plan that was seen.
    #[error(
        "this run makes more than {calls_max} calls; ask for its plan first (plan_run), then run with the plan's token"
    )]
    PlanNeeded {
        /// Calls that need no plan.
        calls_max: u64,
    },
    /// The token of a plan does not hold (any more): why.
    #[error("the plan does not hold: {0}; plan the run again")]
    PlanOutdated(String),
    /// Something of this machine does not work (TLS set-up, entropy).
    #[error("{0}")]
    Internal(String),
}

impl Error {
    pub(crate) fn config(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Config { field: field.into(), problem: problem.into(), did_you_mean: None }
    }

    /// As an error of the store's, for what has to stop a run.
    pub(crate) fn into_store(self) -> paceline_model::Error {
        match self {
            Self::Store(error) => error,
            other => paceline_model::Error::Conflict(other.to_string()),
        }
    }

    /// The code that programs act on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::InColumn { error, .. } => error.code(),
            Self::Config { .. } | Self::Rate(_) => "VALIDATION_ERROR",
            Self::Outbound(_) => "BLOCKED_URL",
            Self::Missing(_) => "NOT_FOUND",
            Self::Conflict(_) => "CONFLICT",
            Self::PlanNeeded { .. } => "PLAN_REQUIRED",
            Self::PlanOutdated(_) => "PLAN_OUTDATED",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Store(error) if error.retryable())
    }
}
