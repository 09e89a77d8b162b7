//! What counts as one client where clients are counted: for limits and for the brake on guessing.

use std::net::{IpAddr, Ipv6Addr};

/// The network that stands for `address`: an IPv6 customer has a /64 and can come from any address in it. An
/// IPv4 address stands for itself, mapped into IPv6 or not.
#[must_use]
pub fn of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn networks() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8:0:0:ffff::1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(super::of(address).to_string(), expected, "{address}");
        }
    }
}
