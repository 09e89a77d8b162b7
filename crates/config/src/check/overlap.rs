//! Whether two listening addresses conflict.

use std::net::{IpAddr, SocketAddr};

/// Returns whether a socket bound to `a` takes connections to `b`, or the other way round.
pub(super) fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let any = |ip: IpAddr| ip.is_unspecified();
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || any(a.ip()) || any(b.ip()))
}
