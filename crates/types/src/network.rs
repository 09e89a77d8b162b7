//! Client networks and networks in the configuration.
//!
//! Some sockets and headers carry an IPv4 address mapped into IPv6 (`::ffff:192.0.2.1`, RFC 4291 section
//! 2.5.5.2). It is the same client, so every comparison here treats it as IPv4.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{AddrParseError, IpNet, Ipv4Net};

/// A network in CIDR notation, or a single address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The length of the prefix `::ffff:0:0/96`, which mapped IPv4 addresses share.
const MAPPED_PREFIX: u8 = 96;

/// Returns the network that counts as one client, wherever clients are counted: limits, throttles and budgets.
///
/// An IPv6 customer usually has a /64 and can use any address in it, so the /64 counts as one client. An IPv4
/// address counts by itself.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

// === impl Network ===

impl Network {
    /// Returns whether `address` is in this network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Returns the address, if this network consists of exactly one.
    #[must_use]
    pub fn single(&self) -> Option<IpAddr> {
        (self.0.prefix_len() == self.0.max_prefix_len()).then_some(self.0.addr())
    }
}

impl FromStr for Network {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse()?,
        };
        Ok(Self(canonical(network)))
    }
}

/// Returns the IPv4 network, if `network` is one mapped into IPv6.
fn canonical(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(address) = v6.addr().to_ipv4_mapped()
        && let Some(bits) = v6.prefix_len().checked_sub(MAPPED_PREFIX)
        && let Ok(v4) = Ipv4Net::new(address, bits)
    {
        return IpNet::V4(v4);
    }
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_counts_by_address_and_ipv6_by_its_64() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8:0:0:ffff::1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(client_network(address).to_string(), expected, "{address}");
        }
    }

    #[test]
    fn mapped_ipv4_is_treated_as_ipv4() {
        for (network, address, expected) in [
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.7", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.3.7", false),
            ("::ffff:192.0.2.7", "192.0.2.7", true),
            ("::ffff:0:0/96", "203.0.113.1", true),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "192.0.2.7", false),
        ] {
            let found = network.parse::<Network>().unwrap();
            assert_eq!(found.contains(address.parse().unwrap()), expected, "{address} in {network}");
        }
        for text in ["", "everybody", "192.0.2.0/33", "192.0.2", "192.0.2.0/", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_full_length_prefix_is_a_single_address() {
        for (text, one) in [
            ("192.0.2.7", Some("192.0.2.7")),
            ("::ffff:192.0.2.7/128", Some("192.0.2.7")),
            ("192.0.2.7/31", None),
            ("2001:db8::1", Some("2001:db8::1")),
        ] {
            assert_eq!(
                text.parse::<Network>().unwrap().single(),
                one.map(|one| one.parse().unwrap()),
                "{text}"
            );
        }
    }
}
