//! Networks that somebody has written down, for addresses as sockets and headers bring them.
//!
//! An IPv4 address comes mapped into IPv6 (`::ffff:192.0.2.1`) from some sockets and people. It is the same
//! address, and a network that says otherwise would trust, kick or meet nobody.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{AddrParseError, IpNet, Ipv4Net};

/// A network, or one address. IPv4 that is mapped into IPv6 counts as IPv4, in the network and in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// Bits in front of an IPv4 address that is mapped (RFC 4291 section 2.5.5.2).
const MAPPED: u8 = 96;

// === impl Network ===

impl Network {
    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Its one address, where it has no more.
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
        let mapped = match network {
            IpNet::V6(v6) => {
                let bits = v6.prefix_len().checked_sub(MAPPED);
                let v4 = v6.addr().to_ipv4_mapped().zip(bits);
                v4.and_then(|(address, bits)| Ipv4Net::new(address, bits).ok())
            }
            IpNet::V4(_) => None,
        };
        Ok(Self(mapped.map_or(network, IpNet::V4)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_itself_however_it_is_written() {
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
    fn one_address_or_more() {
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
