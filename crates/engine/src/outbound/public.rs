//! Which addresses are public: IANA's registries of special-purpose addresses, and what is embedded in an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names under which clouds hand out the credentials of a machine.
pub(super) const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "metadata", "instance-data"];

/// Addresses where clouds hand out the credentials of a machine, from their documentation. Two lie in public ranges.
const METADATA_V4: [Ipv4Addr; 6] = [
    // AWS, Google, Azure and most others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS: tasks of ECS, and pods of EKS.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Azure: the wire server.
    Ipv4Addr::new(168, 63, 129, 16),
    // Oracle.
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same over IPv6: AWS (machines, pods of EKS) and Google.
const METADATA_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Endings of names that never lead to the public network (RFC 6761, RFC 6762, RFC 8375; ICANN's `.internal`).
const LOCAL_ENDINGS: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];

/// Whether a name, in small letters, belongs to a machine or network of its own.
pub(super) fn is_local_name(name: &str) -> bool {
    LOCAL_ENDINGS.iter().any(|ending| {
        name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether a cloud hands out the machine's credentials there.
pub(super) fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => {
            METADATA_V6.contains(&address)
                || embedded(address).is_some_and(|inner| METADATA_V4.contains(&inner))
        }
    }
}

/// Whether an address belongs to the public network.
pub(super) fn is_public(address: IpAddr) -> bool {
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
        // Carrier-grade NAT, protocol assignments, the relay of 6to4, benchmarking.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = embedded(address) {
        return is_public_v4(inner);
    }
    let [a, b, ..] = address.segments();
    match (a, b) {
        // Protocol assignments (Teredo, which hides an address, benchmarking, ORCHID); documentation is nobody's.
        (0x2001, 0..0x200 | 0xdb8) | (0x3fff, 0..0x1000) => false,
        // Only 2000::/3 is given out: unspecified, loopback, local, link-local and multicast lie outside.
        _ => a & 0xe000 == 0x2000,
    }
}

/// The IPv4 address that is called in the end: IPv4-mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    if let Some(inner) = address.to_ipv4_mapped() {
        return Some(inner);
    }
    let [a, b, c, d, e, f, g, h] = address.segments();
    let inner = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match (a, b) {
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => Some(inner(g, h)),
        (0x2002, high) => Some(inner(high, c)),
        _ => None,
    }
}
