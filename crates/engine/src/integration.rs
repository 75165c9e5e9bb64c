//! Columns of kind `integration`: a job of another service per row, started once and watched to its end. The one service so
//! far is Hex ([`paceline_hex`]); this is what stands between it and a run: the column's configuration, the store as its
//! memory, the engine's HTTP client as its wire.

mod column;
mod host;
mod memory;
mod rate;
mod recall;
mod session;
mod spec;
mod token;
mod troubles;
mod wire;
mod work;

pub(crate) use column::IntegrationColumn;
pub(crate) use memory::{Counter, Memories, recall};
pub(crate) use rate::{rate, spacing};
pub(crate) use recall::{claimed, tell};
pub use session::hex_session;
pub use spec::IntegrationSpec;
pub(crate) use token::Fixed;
pub(crate) use wire::ProviderWire;
pub(crate) use work::{HexWork, work};
