//! Runs of Hex (hex.tech) projects: each job started once, watched inside the read limits, and settled after an ambiguous
//! answer.
//!
//! A [`Session`] is one user's token, one set of [`Budgets`], one watcher and any number of jobs; [`Session::perform`] brings
//! one [`Job`] to its [`End`]. The crate has no HTTP client, no store and no environment: calls go through a [`Wire`], what
//! must survive a crash is a [`Note`] that a [`Host`] keeps, and the token comes from a [`TokenSource`].
//!
//! What holds, whatever the network, Hex and the process do:
//!
//! - **No job is started twice.** A note and the runs that are there (the baseline) are on record before a POST leaves. A
//!   POST without a clean answer is never sent again: its run is looked for by listing, and what cannot be told is
//!   [`EndKind::Unknown`], for a person. Hex has no idempotency key, so this is all there is.
//! - **The limits are kept**: triggers, reads and everything together, each with its own budget. Looks at runs are spread so
//!   that they leave room for checks, triggers and cancels.
//! - **A success was seen.** Only a run whose status was read as COMPLETED is one. No failing look fails a job.
//! - **A refused token fails no job.** Its source is read again, once for all who were refused.
//! - **No output holds the token**, not even where the server repeats it.
//!
//! One thing no listing can tell: where somebody else starts runs of the same project, and one of theirs appears between the
//! last listing and a POST that never arrived, it is taken for ours. Once others' runs were seen in a project, its baseline is
//! listed anew before each POST, which leaves them a moment.
//!
//! ```
//! use paceline_clock::SimClock;
//! use paceline_hex::{Budgets, Options};
//!
//! # SimClock::new().run(|clock| async move {
//! let options = Options::default();
//! let budgets = Budgets::new(&options, &clock).unwrap();
//! // The 61st trigger has to wait for the hour.
//! let eta = budgets.triggers.eta(61);
//! assert_eq!((eta.at - clock.now()).as_secs(), 3_601);
//! # });
//! ```
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

pub use budgets::{Budgets, Waiting};
pub use error::Error;
pub use job::{Job, JobError, RunId};
pub use note::{End, EndKind, Host, HostError, Note, PostRecord, RunReport};
pub use options::{Conflict, Options, OptionsError};
pub use retry::RetryOptions;
pub use session::{Books, Gauge, Session};
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
