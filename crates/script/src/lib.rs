//! JavaScript that users write, run so that it harms nobody: not the next row, not the server, not its secrets.
//!
//! A [`Formula`] is an expression over the columns of a row. It runs in this process, on the threads of a [`Pool`], with a
//! deadline and a cap of memory per row, and gives the same for the same inputs: it has no clock and no chance. A function
//! is a script; a [`FunctionHost`] runs it in a child process that it kills when time is up ([`worker`] is what the child
//! does). Neither sees anything but its arguments: there is no network, no file, no timer, no module, no environment.
//!
//! What this crate does not know: tables, stores, engines, and where the program of the child comes from.
#![warn(missing_docs)]

mod convert;
mod error;
mod formula;
mod frame;
mod host;
mod pool;
mod realm;
mod source;
mod stuck;
mod token;
pub mod worker;

pub use error::{ScriptCode, ScriptError};
pub use formula::Formula;
pub use host::{FunctionCommand, FunctionHost};
pub use pool::Pool;
pub use source::{FunctionSource, words};
