//! The lock that budgets are kept under: the standard library's, or the model checker's in `model_check`, where every
//! taking and releasing is a point at which any other thread may go on.
//!
//! `--cfg paceline_model` chooses, and not a feature: a feature that somebody switches on elsewhere in the build would
//! take the lock away from everyone. Nothing else here is shared between threads (an `Arc` needs no model: the checker's
//! is the standard one).

#[cfg(all(test, paceline_model))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, paceline_model)))]
pub(crate) use std::sync::{Mutex, MutexGuard};
