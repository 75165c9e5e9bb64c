//! The outbound guard (spec S2): which addresses may be called. Checked on the URL as it is rendered, and again on every
//! address a name resolves to; the connection goes to the very address that was checked.

mod allow;
mod public;

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

pub use allow::{AllowError, AllowedHost};

/// Which addresses may be called. By default only public ones. Cheap to clone.
///
/// ```
/// use paceline_engine::OutboundGuard;
/// let guard = OutboundGuard::default();
/// assert!(guard.check_url("https://api.example.com/").is_ok());
/// assert!(guard.check_url("http://127.0.0.1:8080/").is_err());
///
/// let guard = OutboundGuard { allow: ["127.0.0.1:8080".parse().unwrap()].into(), ..guard };
/// assert!(guard.check_url("http://127.0.0.1:8080/").is_ok());
/// assert!(guard.check_url("http://127.0.0.1:8081/").is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundGuard {
    /// Private, loopback and link-local addresses too: the operator wants to call into this network. Not those where a
    /// cloud hands out the machine's own credentials; these are opened by name only.
    pub allow_private: bool,
    /// What may be called besides, one by one.
    pub allow: Arc<[AllowedHost]>,
}

/// An address that may not be called. The text names the host, never the whole URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// Not an address at all.
    #[error("the URL cannot be used: {0}; write it in full, as https://host/path")]
    NotAUrl(String),
    /// Only http and https are spoken.
    #[error("the URL begins with {0}:, and only http: and https: are called")]
    Scheme(String),
    /// A user name or password stands in it, which would be stored and shown as part of the URL.
    #[error(
        "the URL of {0} carries a user name or password; leave them out and send an Authorization header instead"
    )]
    Credentials(String),
    /// The address is inside this machine or its network.
    #[error(
        "{0} is a private address (this machine or its network); calling it must be allowed by whoever operates \
         paceline (--allow-host {0}, or --allow-private)"
    )]
    Private(String),
    /// The address is where a cloud hands out the machine's own credentials.
    #[error(
        "{0} is where a cloud hands out the credentials of this machine; only whoever operates paceline can open it, by \
         its name (--allow-host {0})"
    )]
    Metadata(String),
}

impl OutboundGuard {
    /// Private addresses too, or only public ones; nothing else opened.
    #[must_use]
    pub fn private(allow_private: bool) -> Self {
        Self { allow_private, ..Self::default() }
    }

    /// Checks a URL as far as that is possible without resolving names: its form, its scheme, credentials in it, and an
    /// address given as a number in any notation.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub fn check_url(&self, text: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(text).map_err(|error| OutboundError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Scheme(url.scheme().to_owned()));
        }
        let Some(host) = url.host() else {
            return Err(OutboundError::NotAUrl("it names no host".to_owned()));
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Credentials(host.to_string()));
        }
        let port = url.port_or_known_default();
        match host {
            Host::Ipv4(address) => self.check_address(IpAddr::V4(address), port)?,
            Host::Ipv6(address) => self.check_address(IpAddr::V6(address), port)?,
            Host::Domain(name) => self.check_name(name, port)?,
        }
        Ok(url)
    }

    /// Whether an address that `host` resolved to may be called. `port` is the port of the call if any rule names it: a
    /// rule with a port opens nothing where the port is not known.
    pub(crate) fn admits(&self, host: &str, address: IpAddr, port: Option<u16>) -> bool {
        self.check_address(address, port).is_ok() || self.opens_name(host, port)
    }

    /// The ports that the rules name.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.allow.iter().filter_map(AllowedHost::port)
    }

    fn check_address(&self, address: IpAddr, port: Option<u16>) -> Result<(), OutboundError> {
        if self.allow.iter().any(|rule| rule.opens_address(address, port)) {
            return Ok(());
        }
        // As it stands in a URL.
        let shown = || match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        if public::is_metadata(address) {
            return Err(OutboundError::Metadata(shown()));
        }
        if self.allow_private || public::is_public(address) {
            return Ok(());
        }
        Err(OutboundError::Private(shown()))
    }

    fn check_name(&self, name: &str, port: Option<u16>) -> Result<(), OutboundError> {
        if self.opens_name(name, port) {
            return Ok(());
        }
        let plain = plain_name(name);
        if public::METADATA_NAMES.contains(&plain.as_str()) {
            return Err(OutboundError::Metadata(plain));
        }
        if !self.allow_private && public::is_local_name(&plain) {
            return Err(OutboundError::Private(plain));
        }
        Ok(())
    }

    fn opens_name(&self, name: &str, port: Option<u16>) -> bool {
        let name = plain_name(name);
        self.allow.iter().any(|rule| rule.opens_name(&name, port))
    }
}

/// A name as it is compared: in small letters, without the dot at its end.
fn plain_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
