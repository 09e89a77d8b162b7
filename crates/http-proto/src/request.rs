//! Parses the head of an HTTP/1 request, strictly.

use bytes::Bytes;

use super::authority;
use super::bad::BadHead;
use super::fields::Fields;
use super::framing;
use super::head::{Framing, MAX_FIELDS, MAX_TARGET, RequestHead, Version, blank_lines};
use super::parse;

/// Parses a head that [`head_end`](super::head_end) found, including its empty line. Everything in the result is a
/// slice of `head`.
///
/// # Errors
/// See [`BadHead`]; the connection cannot be used any more.
pub fn parse_request(head: &Bytes) -> Result<RequestHead, BadHead> {
    let head = head.slice(blank_lines(head)..);
    parse::check_lines(&head)?;
    check_start_line(&head)?;
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(&head).map_err(parse::rejection)? {
        httparse::Status::Complete(length) if length == head.len() => {}
        _ => return Err(BadHead::Malformed("an incomplete head")),
    }
    let version = parse::version(parsed.version)?;
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(BadHead::Malformed("a malformed start line"));
    };
    check_method(method.as_bytes())?;
    check_target(method.as_bytes(), target.as_bytes())?;
    let method = head.slice_ref(method.as_bytes());
    let target = head.slice_ref(target.as_bytes());
    let fields = parse::fields(&head, parsed.headers)?;
    let host = host(&fields, version)?;
    let (authority, target) = to_origin_form(&method, &target, host, version)?;
    authorization(&fields)?;
    parse::check_connection(&fields)?;
    let upgrade = parse::upgrade(&fields, version);
    let framing = framing::declared(&fields, version)?.unwrap_or(Framing::None);
    let expects_continue = expects(&fields)?;
    let keeps_alive = parse::keeps_alive(&fields, version);
    Ok(RequestHead {
        method,
        target,
        version,
        authority,
        fields,
        framing,
        keeps_alive,
        expects_continue,
        upgrade,
    })
}

/// Methods are case-sensitive (RFC 9110 section 9.1), but some servers ignore the case: to `head` they would send a
/// response without the body that this proxy expects.
pub(super) fn check_method(method: &[u8]) -> Result<(), BadHead> {
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(BadHead::Malformed("a method that is not a token"));
    }
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(BadHead::ConnectRefused);
    }
    if method.eq_ignore_ascii_case(b"HEAD") && method != b"HEAD" {
        return Err(BadHead::Malformed("HEAD in lower case"));
    }
    Ok(())
}

/// RFC 9112 section 3.2: a target has no fragment, and some servers would cut it off; asterisk-form is for `OPTIONS`
/// only.
pub(super) fn check_target(method: &[u8], target: &[u8]) -> Result<(), BadHead> {
    if target.len() > MAX_TARGET {
        return Err(BadHead::TargetTooLong);
    }
    if target.contains(&b'#') {
        return Err(BadHead::Malformed("a target with a fragment"));
    }
    if target == b"*" && method != b"OPTIONS" {
        return Err(BadHead::Malformed("the target * with a method other than OPTIONS"));
    }
    Ok(())
}

/// Returns whether a token may contain `byte` (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Returns the `Authorization` of a request.
///
/// # Errors
/// When there are several, or when the value is not visible ASCII.
pub fn authorization(fields: &Fields) -> Result<Option<&Bytes>, BadHead> {
    let mut values = fields.get_all("authorization");
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadHead::Malformed("more than one Authorization"));
    }
    if value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(Some(value))
    } else {
        Err(BadHead::Malformed("an Authorization that is not visible ASCII"))
    }
}

/// Requires exactly one space between the three parts: servers differ in what else they treat as a space.
fn check_start_line(head: &[u8]) -> Result<(), BadHead> {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let mut parts = line.split(|&byte| byte == b' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some([_, ..]), Some([_, ..]), Some(b"HTTP/1.0" | b"HTTP/1.1"), None) => Ok(()),
        (Some([_, ..]), Some([_, ..]), Some(version), None) if version.starts_with(b"HTTP/") => {
            Err(BadHead::Version)
        }
        _ => Err(BadHead::Malformed(
            "a start line other than method, target and version with one space between them",
        )),
    }
}

fn host(fields: &Fields, version: Version) -> Result<Option<Bytes>, BadHead> {
    let mut hosts = fields.get_all("host");
    let host = hosts.next().cloned();
    if hosts.next().is_some() {
        return Err(BadHead::Malformed("more than one Host"));
    }
    match &host {
        Some(host) => authority::check(host)?,
        // RFC 9112 section 3.2 requires it in HTTP/1.1. In HTTP/1.0 an absolute-form target may replace it.
        None if version == Version::Http11 => return Err(BadHead::Malformed("no Host")),
        None => {}
    }
    Ok(host)
}

/// Converts an absolute-form target (RFC 9112 section 3.2.2) to origin-form; returns the authority and the target.
fn to_origin_form(
    method: &[u8],
    target: &Bytes,
    host: Option<Bytes>,
    version: Version,
) -> Result<(Bytes, Bytes), BadHead> {
    let missing = BadHead::Malformed("no Host");
    if target.starts_with(b"/") || (&**target == b"*") {
        return Ok((host.ok_or(missing)?, target.clone()));
    }
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| target.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme)))
        .ok_or(BadHead::Malformed("a target that is neither a path nor an http or https URL"))?;
    let rest = target.slice(scheme.len()..);
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let named = rest.slice(..end);
    let path = rest.slice(end..);
    authority::check(&named)?;
    match host {
        Some(host) if !host.eq_ignore_ascii_case(&named) => {
            return Err(BadHead::Malformed("a URL whose host differs from Host"));
        }
        None if version == Version::Http11 => return Err(missing),
        _ => {}
    }
    match path.first() {
        Some(b'/') => Ok((named, path)),
        // RFC 9112 section 3.2.4: the server as a whole.
        None if method == b"OPTIONS" => Ok((named, Bytes::from_static(b"*"))),
        None => Ok((named, Bytes::from_static(b"/"))),
        Some(_) => Err(BadHead::Malformed("a URL without a path")),
    }
}

/// Returns whether the client waits for a 100 (RFC 9110 section 10.1.1). Other expectations are errors.
pub(super) fn expects(fields: &Fields) -> Result<bool, BadHead> {
    let mut values = fields.get_all("expect");
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(BadHead::Expectation),
    }
}
