//! The outbound guard (spec S2): which addresses may be called. Checked on the URL as it is rendered, and again on every
//! address a name resolves to; the connection goes to the very address that was checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Which addresses may be called. By default only public ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboundGuard {
    /// Private, loopback and link-local addresses too: the operator wants to call into this network.
    pub allow_private: bool,
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
    /// The address is inside this machine or its network.
    #[error(
        "{0} is a private address (this machine or its network); calling it must be allowed by whoever operates \
         paceline (--allow-private)"
    )]
    Private(String),
}

impl OutboundGuard {
    /// Checks a URL as far as that is possible without resolving names: its form, its scheme, and an address given as
    /// a number in any notation.
    ///
    /// # Errors
    /// [`OutboundError`].
    pub fn check_url(&self, text: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(text).map_err(|error| OutboundError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OutboundError::Scheme(url.scheme().to_owned()));
        }
        let private = match url.host() {
            None => return Err(OutboundError::NotAUrl("it names no host".to_owned())),
            Some(Host::Ipv4(address)) => !is_public(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => !is_public(IpAddr::V6(address)),
            Some(Host::Domain(name)) => is_local_name(name),
        };
        if private && !self.allow_private {
            return Err(OutboundError::Private(url.host_str().unwrap_or_default().to_owned()));
        }
        Ok(url)
    }

    /// Whether a resolved address may be called.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Carrier-grade NAT, protocol assignments, benchmarking.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, ..] = segments;
    let embedded = |high: u16, low: u16| {
        is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
    };
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    match (a, b) {
        // NAT64 and 6to4 carry an IPv4 address that is what gets called in the end.
        (0x64, 0xff9b) => segments[2..6] == [0; 4] && embedded(segments[6], segments[7]),
        (0x2002, high) => embedded(high, segments[2]),
        // Teredo hides it; documentation is nobody's.
        (0x2001, 0 | 0xdb8) => false,
        // Only 2000::/3 is given out: unspecified, loopback, local, link-local and multicast lie outside.
        _ => a & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_of_an_inside_address_is_refused() {
        let guard = OutboundGuard::default();
        let refused = [
            "http://127.0.0.1/",
            "http://localhost:8080/x",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://0.0.0.0/",
            "http://10.1.2.3/",
            "http://172.16.0.1/",
            "http://192.168.1.1/",
            "http://169.254.169.254/latest",
            "http://100.64.0.1/",
            "http://198.18.0.1/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00::1]/",
            "http://[fe80::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001:db8::1]/",
            "http://255.255.255.255/",
            "http://224.0.0.1/",
        ];
        for url in refused {
            assert!(matches!(guard.check_url(url), Err(OutboundError::Private(_))), "{url}");
            assert!(OutboundGuard { allow_private: true }.check_url(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn public_addresses_pass_and_nonsense_is_named() {
        let guard = OutboundGuard::default();
        for url in ["https://api.example.com/x?y=1", "http://8.8.8.8/", "http://[2606:4700::1111]/"]
        {
            assert!(guard.check_url(url).is_ok(), "{url}");
        }
        assert!(matches!(guard.check_url("file:///etc/passwd"), Err(OutboundError::Scheme(_))));
        assert!(matches!(guard.check_url("api.example.com/x"), Err(OutboundError::NotAUrl(_))));
        assert!(matches!(guard.check_url("http://"), Err(OutboundError::NotAUrl(_))));
    }
}
