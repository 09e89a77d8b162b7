//! Checks of HTTP/2 messages: rejects what HTTP/2 allows and an HTTP/1 server would misread.

use super::authority;
use super::bad::{BadBody, BadHead};
use super::chunked::MAX_TRAILER_FIELDS;
use super::fields::Fields;
use super::framing;
use super::head::{MAX_FIELDS, Version};
use super::request::{authorization, check_method, check_target, expects, is_token};

/// Checks a request on an HTTP/2 stream (RFC 9113 sections 8.2 and 8.3). The caller passes `GET` for an extended
/// `CONNECT` (RFC 8441), which is converted to a `GET`; `CONNECT` itself is rejected.
///
/// # Errors
/// See [`BadHead`]; the error concerns the stream, not the connection.
pub fn check_h2_request(
    method: &[u8],
    scheme: &[u8],
    authority: Option<&[u8]>,
    path: &[u8],
    fields: &Fields,
) -> Result<(), BadHead> {
    check_method(method)?;
    check_target(method, path)?;
    if scheme != b"http" && scheme != b"https" {
        return Err(BadHead::Malformed("a scheme other than http and https"));
    }
    if path != b"*" && !path.starts_with(b"/") {
        return Err(BadHead::Malformed("a :path that does not start with a slash"));
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
        (Some(named), _, _) => authority::check(named)?,
        (None, Some(host), _) => authority::check(host)?,
    }
    authorization(fields)?;
    expects(fields)?;
    // RFC 9113 section 8.2.1. An HTTP/1 server would trim the value, and then see another value than this proxy.
    if fields.iter().any(|(_, value)| value.trim_ascii().len() != value.len()) {
        return Err(BadHead::Malformed("white space around a field value"));
    }
    check_fields(fields)
}

/// Checks a response on an HTTP/2 stream.
///
/// # Errors
/// See [`BadHead`].
pub fn check_h2_response(status: u16, fields: &Fields) -> Result<(), BadHead> {
    if !(100..600).contains(&status) {
        return Err(BadHead::Malformed("a status outside 100 to 599"));
    }
    check_fields(fields)
}

/// Returns the trailers of an HTTP/2 stream that may be forwarded, by the rules for the trailers of a chunked body.
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
            return Err(BadHead::Malformed("a connection-specific field in HTTP/2"));
        }
    }
    framing::declared(fields, Version::Http2).map(drop)
}

fn check_text(fields: &Fields) -> Result<(), BadHead> {
    for (name, value) in fields.iter() {
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) {
            return Err(BadHead::Malformed("a field name that is not a token"));
        }
        if value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
            return Err(BadHead::Malformed("a control character in a field"));
        }
    }
    Ok(())
}
