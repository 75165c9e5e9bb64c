//! Outgoing webhooks: what happens in a table is told to an address, at least once and in order. How far a webhook has come
//! is kept with the delivery that is under way, so that a server that is killed goes on with the same delivery and the same
//! id.

mod deliver;
mod kept;
mod payload;
mod queue;
mod retry;

pub(crate) use deliver::{DELIVERY_LOG, Turn, sample, tick};
pub(crate) use kept::{Hook, Kept, Trigger, forget, make, signing_place};
