//! The allow list: hosts that may be called though they are private. Each rule opens exactly what it names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use url::Host;

use super::plain_name;

/// A rule of the allow list, as `HOST`, `HOST:PORT`, `ADDRESS`, `ADDRESS:PORT` or `NETWORK/BITS`.
///
/// | rule | opens |
/// |---|---|
/// | `build.internal` | URLs with that very name, whatever it resolves to, on every port |
/// | `build.internal:8080` | the same on that port |
/// | `10.1.2.3`, `[fd00::1]:80` | that address, in a URL or as what a name resolves to |
/// | `10.1.0.0/16` | the addresses of that network, on every port |
///
/// A name opens neither its subdomains nor other names of its address; an address opens no name that does not resolve to it.
///
/// ```
/// use paceline_engine::AllowedHost;
/// assert_eq!("Build.Internal.:8080".parse::<AllowedHost>().unwrap().to_string(), "build.internal:8080");
/// assert!("10.1.2.3/8".parse::<AllowedHost>().is_err(), "is it the host or the network?");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    what: What,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    /// In small letters, without a dot at its end.
    Name(String),
    /// The addresses that agree with this one in so many leading bits.
    Network(IpAddr, u8),
}

/// Text that is no rule of the allow list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}; write HOST, HOST:PORT, an address, or a network as 10.1.0.0/16")]
pub struct AllowError {
    text: String,
    problem: String,
}

impl AllowedHost {
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// `name` in the form of [`plain_name`].
    pub(super) fn opens_name(&self, name: &str, port: Option<u16>) -> bool {
        self.fits(port) && matches!(&self.what, What::Name(own) if own == name)
    }

    pub(super) fn opens_address(&self, address: IpAddr, port: Option<u16>) -> bool {
        let inside = |network, bits| masked(address.to_canonical(), bits) == Some(network);
        self.fits(port)
            && matches!(self.what, What::Network(network, bits) if inside(network, bits))
    }

    fn fits(&self, port: Option<u16>) -> bool {
        self.port.is_none() || self.port == port
    }
}

impl FromStr for AllowedHost {
    type Err = AllowError;

    fn from_str(text: &str) -> Result<Self, AllowError> {
        let refuse = |problem: &str| AllowError {
            text: text.chars().take(100).collect(),
            problem: problem.to_owned(),
        };
        if let Some((address, bits)) = text.split_once('/') {
            let address: IpAddr = address.parse().map_err(|_| refuse("is no network"))?;
            let bits: u8 = bits.parse().map_err(|_| refuse("has no number of bits"))?;
            return match masked(address, bits) {
                None => Err(refuse("has more bits than an address")),
                Some(network) if network != address => Err(refuse(&format!(
                    "is not the first address of its network {network}/{bits}"
                ))),
                Some(network) => Ok(Self { what: What::Network(network, bits), port: None }),
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { what: single(address.ip()), port: Some(address.port()) });
        }
        // An IPv6 address without brackets has colons of its own.
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self { what: single(address), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                let port = port.parse().ok().filter(|port| *port > 0);
                (host, Some(port.ok_or_else(|| refuse("has no port from 1 to 65535"))?))
            }
            _ => (text, None),
        };
        let what =
            match Host::parse(host).map_err(|error| refuse(&format!("names no host ({error})")))? {
                Host::Ipv4(address) => single(address.into()),
                Host::Ipv6(address) => single(address.into()),
                Host::Domain(name) if name.contains('*') => {
                    return Err(refuse("has a wildcard, and a rule opens one name"));
                }
                Host::Domain(name) => What::Name(plain_name(&name)),
            };
        Ok(Self { what, port })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Name(name) => f.write_str(name)?,
            What::Network(IpAddr::V4(address), 32) => write!(f, "{address}")?,
            What::Network(IpAddr::V6(address), 128) => write!(f, "[{address}]")?,
            What::Network(address, bits) => write!(f, "{address}/{bits}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn single(address: IpAddr) -> What {
    match address.to_canonical() {
        IpAddr::V4(address) => What::Network(address.into(), 32),
        IpAddr::V6(address) => What::Network(address.into(), 128),
    }
}

/// The address with all but its leading bits cleared; `None` if it has fewer.
fn masked(address: IpAddr, bits: u8) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => {
            let cleared = 32u32.checked_sub(u32::from(bits))?;
            let mask = u32::MAX.checked_shl(cleared).unwrap_or(0);
            Some(IpAddr::V4((u32::from(address) & mask).into()))
        }
        IpAddr::V6(address) => {
            let cleared = 128u32.checked_sub(u32::from(bits))?;
            let mask = u128::MAX.checked_shl(cleared).unwrap_or(0);
            Some(IpAddr::V6((u128::from(address) & mask).into()))
        }
    }
}
