//! `Host` and `:authority`: a host and an optional port, in a form that every server splits the same way.

use std::net::Ipv6Addr;

use super::bad::BadHead;

/// The longest host in bytes: a name of 253 characters and its final dot (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 254;

/// Checks the value of `Host` or `:authority` (RFC 9110 section 7.2).
///
/// Stricter than the grammar of RFC 3986 section 3.2: no userinfo, no percent-encoding, no sub-delimiters, no empty
/// port. Clients do not send those, and servers disagree on how to split them.
pub(super) fn check(authority: &[u8]) -> Result<(), BadHead> {
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
        return is_address && is_optional_port(&rest[end + 1..]);
    }
    let end = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
    let (host, port) = bytes.split_at(end);
    (1..=MAX_HOST).contains(&host.len())
        && host.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        && is_optional_port(port)
}

fn is_optional_port(bytes: &[u8]) -> bool {
    let Some(digits) = bytes.strip_prefix(b":") else { return bytes.is_empty() };
    // `parse` alone would accept `+80`.
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && std::str::from_utf8(digits).is_ok_and(|it| it.parse::<u16>().is_ok())
}
