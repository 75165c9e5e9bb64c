//! Who asks for an operation, and through which face.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::KeyScope;

/// What a key is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum KeyId {
    /// One of the keys that the server was started with, by its place among them.
    Operator(usize),
    /// One that was made since: its item's id.
    Made(i64),
}

impl KeyId {
    /// The id of its item; 0 for the operator's.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Operator(_) => 0,
            Self::Made(id) => id,
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(place) => write!(f, "operator-{place}"),
            Self::Made(id) => write!(f, "{id}"),
        }
    }
}

/// What a caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Face {
    Rest,
    Mcp,
    WebSocket,
}

/// Who asks for an operation.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The key that was shown.
    pub(crate) key: KeyId,
    /// What a person calls that key.
    pub(crate) name: Arc<str>,
    /// What the key may do.
    pub(crate) scope: KeyScope,
    /// Where the request came from, as the socket says: what stands before this server (a proxy) is what is seen. None in
    /// this process.
    pub(crate) address: Option<IpAddr>,
    /// What it came through.
    pub(crate) face: Face,
}

impl Caller {
    /// Whoever started this process, and may do everything.
    #[must_use]
    pub(crate) fn of_this_process(face: Face) -> Self {
        let (key, scope) = (KeyId::Operator(0), KeyScope::Admin);
        Self { key, name: "operator".into(), scope, address: None, face }
    }

    /// The same, through another face.
    #[must_use]
    pub(crate) fn via(self, face: Face) -> Self {
        Self { face, ..self }
    }
}

/// The other end of a connection, as an extension of each of its requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// What strangers are told apart by: an IPv4 address, or the network of an IPv6 address, of which one machine has all.
pub(crate) fn stranger(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Ipv6Addr::from(network).into()
        }
    }
}
