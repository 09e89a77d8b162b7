//! `Host` and `:authority`: a host and perhaps a port, and nothing that two servers could cut differently.

use super::bad::BadHead;

/// Longest host with its port: a name of 253 letters, and some.
const MAX_AUTHORITY: usize = 300;

/// Judges the value of `Host` or `:authority` (RFC 9110 section 7.2).
pub(super) fn judge(authority: &[u8]) -> Result<(), BadHead> {
    let bad = Err(BadHead::Malformed("the host is not a host name or an address with an optional port"));
    if authority.is_empty() || authority.len() > MAX_AUTHORITY {
        return bad;
    }
    let (host, port) = match authority.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = memchr::memchr(b']', rest) else { return bad };
            let is_address =
                rest[..end].iter().all(|&byte| byte.is_ascii_hexdigit() || b":.".contains(&byte));
            if end == 0 || !is_address {
                return bad;
            }
            (&rest[..end], &rest[end + 1..])
        }
        None => {
            let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
            let is_name = authority[..end]
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(&byte));
            if !is_name {
                return bad;
            }
            (&authority[..end], &authority[end..])
        }
    };
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if host.is_empty() || !is_port { bad } else { Ok(()) }
}
