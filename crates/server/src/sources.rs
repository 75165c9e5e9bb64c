//! What brings rows into tables from outside: webhooks that are sent here, APIs that are asked by the clock, other tables,
//! imports. A source is an item of the registry; what it has come to is another one, its state, which is written in the
//! transaction that inserts its rows, so that nothing is brought twice and nothing is left out.

mod connected;
mod headers;
mod hub;
mod incoming;
mod kept;
mod mapping;
mod path;
mod pull;
mod schedule;
mod spec;
mod work;

pub(crate) use connected::{connect, rows_of};
pub(crate) use headers::{Headers, open, opened_headers, seal, sealed_headers, shown_headers};
pub(crate) use hub::Hub;
pub(crate) use incoming::routes;
pub(crate) use kept::{
    Kept, Micros, Source, SourceKind, State, filter_of, forget, made_secret, make, place_of,
    record_import,
};
pub(crate) use mapping::{Bound, Mapping, Way};
pub(crate) use pull::{Pulled, pull_now};
pub(crate) use spec::{Draft, refused_url};
pub use work::background;
pub(crate) use work::start;
