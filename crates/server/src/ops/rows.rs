//! Rows: in, changed, out again, gone.

mod change;
pub(crate) mod filters;
mod query;
mod reader;
mod stream;
mod view;

pub(crate) use change::{delete, insert, unconfirmed, update};
pub(crate) use query::{count, get, no_such_row, query, search};
pub(crate) use stream::Format;
