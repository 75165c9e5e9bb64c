//! The vendor behind HTTP/1.1 on a socket.

mod body;
mod control;
mod door;
mod endpoint;
mod lab;
mod reply;
mod server;

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::ConfigError;

pub use body::HUGE_BODY_BYTES;
pub use endpoint::REQUEST_BODY_BYTES_MAX;
pub use lab::{Lab, LabConfig, Running};
pub use server::CONNECTIONS_MAX;

/// Why a lab did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The vendor cannot be built as described.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}; choose a free port, or port 0 for any")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}
