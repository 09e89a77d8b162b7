//! What HTTP/2 lets through and an HTTP/1 server would misread.

use super::authority;
use super::bad::{BadBody, BadHead};
use super::chunked::MAX_TRAILER_FIELDS;
use super::fields::Fields;
use super::framing;
use super::head::{MAX_FIELDS, Version};
use super::request::{authorization, expects, is_token, judge_method, judge_target};

/// Judges a request that came on an HTTP/2 stream (RFC 9113 section 8.2, 8.3). An extended `CONNECT` (RFC 8441) is
/// asked about as the `GET` that it is to become: `CONNECT` itself is refused.
///
/// # Errors
/// See [`BadHead`]; the stream, not the connection, is at fault.
pub fn check_h2_request(
    method: &[u8],
    scheme: &[u8],
    authority: Option<&[u8]>,
    path: &[u8],
    fields: &Fields,
) -> Result<(), BadHead> {
    judge_method(method)?;
    judge_target(method, path)?;
    if scheme != b"http" && scheme != b"https" {
        return Err(BadHead::Malformed("a scheme other than http and https"));
    }
    if path != b"*" && !path.starts_with(b"/") {
        return Err(BadHead::Malformed("a :path that is no path"));
    }
    if path.iter().any(|byte| !matches!(byte, b'!'..=b'~')) {
        return Err(BadHead::Malformed("a :path with forbidden characters"));
    }
    let mut hosts = fields.get_all("host");
    match (authority, hosts.next(), hosts.next()) {
        (_, _, Some(_)) => return Err(BadHead::Malformed("more than one Host")),
        (None, None, _) => return Err(BadHead::Malformed("no Host")),
        (Some(named), Some(host), _) if !host.eq_ignore_ascii_case(named) => {
            return Err(BadHead::Malformed("an :authority that differs from Host"));
        }
        (Some(named), _, _) => authority::judge(named)?,
        (None, Some(host), _) => authority::judge(host)?,
    }
    authorization(fields)?;
    expects(fields)?;
    // Section 8.2.1: HTTP/1 would cut it off, and read another value than we did.
    if fields.iter().any(|(_, value)| value.trim_ascii().len() != value.len()) {
        return Err(BadHead::Malformed("white space around a value"));
    }
    check_fields(fields)
}

/// Judges a response that came on an HTTP/2 stream.
///
/// # Errors
/// See [`BadHead`].
pub fn check_h2_response(status: u16, fields: &Fields) -> Result<(), BadHead> {
    if !(100..600).contains(&status) {
        return Err(BadHead::Malformed("no status between 100 and 599"));
    }
    check_fields(fields)
}

/// What may be passed on of the trailers that came on an HTTP/2 stream, by the rules of those behind chunks.
///
/// # Errors
/// [`BadBody::TrailersTooLarge`] and [`BadBody::Trailers`].
pub fn check_h2_trailers(mut fields: Fields) -> Result<Fields, BadBody> {
    if fields.len() > MAX_TRAILER_FIELDS {
        return Err(BadBody::TrailersTooLarge);
    }
    check_text(&fields).map_err(|_| BadBody::Trailers)?;
    fields.strip_from_trailers();
    Ok(fields)
}

fn check_fields(fields: &Fields) -> Result<(), BadHead> {
    if fields.len() > MAX_FIELDS {
        return Err(BadHead::TooManyFields);
    }
    check_text(fields)?;
    // RFC 9113 section 8.2.2: malformed.
    for name in ["connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade"] {
        if fields.get(name).is_some() {
            return Err(BadHead::Malformed("a field of HTTP/1 connections in HTTP/2"));
        }
    }
    framing::declared(fields, Version::Http2).map(drop)
}

fn check_text(fields: &Fields) -> Result<(), BadHead> {
    for (name, value) in fields.iter() {
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Err(BadHead::Malformed("a field name that is no token"));
        }
        if value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(BadHead::Malformed("a control character in a field"));
        }
    }
    Ok(())
}
