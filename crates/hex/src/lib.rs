//! Runs of Hex (hex.tech) projects: each job started once, watched inside the read limits, and settled after an ambiguous
//! answer.
#![warn(missing_docs)]

mod answer;
mod budgets;
mod client;
mod error;
mod job;
mod kernels;
mod millis;
mod note;
mod options;
mod perform;
mod projects;
mod reconcile;
mod retry;
mod session;
mod token;
mod tokens;
mod types;
mod watcher;
mod wire;

pub use budgets::Budgets;
pub use error::Error;
pub use job::{Job, JobError, RunId};
pub use note::{End, EndKind, Host, HostError, Note, PostRecord, RunReport};
pub use options::{Conflict, Options, OptionsError};
pub use retry::RetryOptions;
pub use session::{Gauge, Session};
pub use token::{Secret, TokenError, TokenSource};
pub use types::{Project, ProjectPage, Run, RunPage, RunStatus};
pub use wire::{ConnectHook, Wire, WireError, WireEvents, WireReply, WireRequest};

/// Codes of [`EndKind::Failed`] and [`EndKind::Again`].
pub mod codes {
    /// The project has no published version.
    pub const UNPUBLISHED: &str = "UNPUBLISHED";
    /// The run ended ERRORED.
    pub const ERRORED: &str = "ERRORED";
    /// Somebody else cancelled the run.
    pub const KILLED: &str = "KILLED";
    /// Hex had no kernel.
    pub const NO_KERNEL: &str = "NO_KERNEL";
    /// The run did not end in time.
    pub const STUCK: &str = "STUCK";
    /// Another run of the project was under way.
    pub const CONFLICT: &str = "CONFLICT";
    /// Hex refused, with this status.
    pub const HTTP_STATUS: &str = "HTTP_STATUS";
    /// No connection came about, or none that answered.
    pub const NO_CONNECTION: &str = "NO_CONNECTION";
    /// Hex refused the call for its rate.
    pub const THROTTLED: &str = "THROTTLED";
    /// Hex refuses the token.
    pub const NO_CREDENTIALS: &str = "NO_CREDENTIALS";
    /// The job asks for what Hex does not do.
    pub const INVALID_JOB: &str = "INVALID_JOB";
}
