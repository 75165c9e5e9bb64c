//! Why there is no response, without the address: a path or a query may hold a secret.

use std::error::Error;

use crate::{Refused, Transport};

/// No response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// There was no permit, and no call was made.
    #[error("no call was made: {0}")]
    Refused(#[from] Refused),
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {message}; mend it, trying again does not help")]
    Invalid {
        /// What is wrong with it.
        message: String,
    },
    /// The connection failed, broke or took too long.
    #[error("{origin}: {}: {message}", headline(*.kind))]
    Transport {
        /// In which way. [`Transport::may_have_arrived`] tells whether the vendor may have acted.
        kind: Transport,
        /// Scheme, host and port.
        origin: String,
        /// The causes.
        message: String,
    },
}

fn headline(kind: Transport) -> &'static str {
    match kind {
        Transport::Connect => "no connection",
        Transport::UnknownHost => "the host has no address",
        Transport::Blocked => "the address may not be called",
        Transport::Broken => "the connection broke before a response",
        Transport::Timeout => "no response in time",
    }
}

impl CallError {
    pub(super) fn invalid(error: &reqwest::Error) -> Self {
        Self::Invalid { message: chain(error) }
    }

    /// `stayed`: the call was waiting for its connection to the end, so nothing of it left.
    pub(super) fn of(error: &reqwest::Error, origin: String, stayed: bool) -> Self {
        if error.is_builder() {
            return Self::invalid(error);
        }
        let kind = match error {
            error if error.is_dns() => Transport::UnknownHost,
            error if error.is_connect() || stayed => Transport::Connect,
            error if error.is_timeout() => Transport::Timeout,
            _ => Transport::Broken,
        };
        Self::Transport { kind, origin, message: chain(error) }
    }
}

/// The causes of an error, without its own text, which names the URL.
fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause: &&dyn Error| (*cause).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    if texts.is_empty() { "no cause given".to_owned() } else { texts.join(": ") }
}
