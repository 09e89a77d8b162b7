//! `Host` and `:authority`: a host and perhaps a port, and nothing that two servers could cut differently.

use std::net::Ipv6Addr;

use super::bad::BadHead;

/// Longest host: a name of 253 letters and its final dot (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 254;

/// Judges the value of `Host` or `:authority` (RFC 9110 section 7.2).
///
/// Narrower than the grammar of RFC 3986 section 3.2: no user, no percent-encoding, no sub-delimiters, no empty
/// port. No client sends those, and each of them is cut differently by some server.
pub(super) fn judge(authority: &[u8]) -> Result<(), BadHead> {
    if is_authority(authority) {
        Ok(())
    } else {
        Err(BadHead::Malformed("the host is not a host name or an address with an optional port"))
    }
}

fn is_authority(bytes: &[u8]) -> bool {
    if let Some(rest) = bytes.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', rest) else { return false };
        let is_address = std::str::from_utf8(&rest[..end]).is_ok_and(|it| it.parse::<Ipv6Addr>().is_ok());
        return is_address && is_port_or_nothing(&rest[end + 1..]);
    }
    let end = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
    let (host, port) = bytes.split_at(end);
    (1..=MAX_HOST).contains(&host.len())
        && host.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && is_port_or_nothing(port)
}

fn is_port_or_nothing(bytes: &[u8]) -> bool {
    let Some(digits) = bytes.strip_prefix(b":") else { return bytes.is_empty() };
    // `parse` alone would take `+80`.
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits).is_ok_and(|it| it.parse::<u16>().is_ok())
}
