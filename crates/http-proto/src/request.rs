//! The head of an HTTP/1 request, read strictly.

use bytes::Bytes;

use super::authority;
use super::bad::BadHead;
use super::fields::Fields;
use super::framing;
use super::head::{Framing, MAX_FIELDS, MAX_TARGET, RequestHead, Version, blank_lines};
use super::parse;

/// Reads a head that [`head_end`](super::head_end) found, its empty line included. Everything in the result is
/// a slice of `head`.
///
/// # Errors
/// See [`BadHead`]; the connection is out of step then.
pub fn parse_request(head: &Bytes) -> Result<RequestHead, BadHead> {
    let head = head.slice(blank_lines(head)..);
    parse::judge_lines(&head)?;
    judge_start_line(&head)?;
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(&head).map_err(parse::refusal)? {
        httparse::Status::Complete(length) if length == head.len() => {}
        _ => return Err(BadHead::Malformed("no whole head")),
    }
    let version = parse::version(parsed.version)?;
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(BadHead::Malformed("a start line that is none"));
    };
    judge_method(method.as_bytes())?;
    judge_target(method.as_bytes(), target.as_bytes())?;
    let method = head.slice_ref(method.as_bytes());
    let target = head.slice_ref(target.as_bytes());
    let fields = parse::fields(&head, parsed.headers)?;
    let host = host(&fields, version)?;
    let (authority, target) = reduce(&method, &target, host, version)?;
    authorization(&fields)?;
    parse::judge_connection(&fields)?;
    let upgrade = parse::upgrade(&fields, version);
    if fields.get_all("upgrade").any(|value| has_h2c(value)) {
        return Err(BadHead::H2c);
    }
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

/// Methods have a case (RFC 9110 section 9.1), which some servers forget: were `head` passed on, we would wait for
/// a body that such a server does not send.
pub(super) fn judge_method(method: &[u8]) -> Result<(), BadHead> {
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(BadHead::Malformed("a method that is no token"));
    }
    if method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(BadHead::ConnectRefused);
    }
    if method.eq_ignore_ascii_case(b"HEAD") && method != b"HEAD" {
        return Err(BadHead::Malformed("HEAD in small letters"));
    }
    Ok(())
}

/// RFC 9112 section 3.2: a fragment never stands in a target, and what is behind it would be cut off by some;
/// asterisk-form is for `OPTIONS` alone.
pub(super) fn judge_target(method: &[u8], target: &[u8]) -> Result<(), BadHead> {
    if target.len() > MAX_TARGET {
        return Err(BadHead::TargetTooLong);
    }
    if target.contains(&b'#') {
        return Err(BadHead::Malformed("a target with a fragment"));
    }
    if target == b"*" && method != b"OPTIONS" {
        return Err(BadHead::Malformed("a target that is * of another method than OPTIONS"));
    }
    Ok(())
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The `Authorization` of a request, once it can be only one thing.
///
/// # Errors
/// When it comes twice, or is not visible ASCII.
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

/// One space between the three parts, and nothing else: servers differ on what else they take for a space.
fn judge_start_line(head: &[u8]) -> Result<(), BadHead> {
    let line = &head[..memchr::memchr(b'\r', head).unwrap_or(head.len())];
    let mut parts = line.split(|&byte| byte == b' ');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some([_, ..]), Some([_, ..]), Some(b"HTTP/1.0" | b"HTTP/1.1"), None) => Ok(()),
        (Some([_, ..]), Some([_, ..]), Some(version), None) if version.starts_with(b"HTTP/") => {
            Err(BadHead::Version)
        }
        _ => Err(BadHead::Malformed("a start line that is not method, target and version, one space apart")),
    }
}

fn host(fields: &Fields, version: Version) -> Result<Option<Bytes>, BadHead> {
    let mut hosts = fields.get_all("host");
    let host = hosts.next().cloned();
    if hosts.next().is_some() {
        return Err(BadHead::Malformed("more than one Host"));
    }
    match &host {
        Some(host) => authority::judge(host)?,
        // RFC 9110 section 7.2 asks HTTP/1.1 for it. HTTP/1.0 may go without, but we would have to make one up.
        None if version == Version::Http11 => return Err(BadHead::Malformed("no Host")),
        None => {}
    }
    Ok(host)
}

/// Reduces an absolute-form target (RFC 9112 section 3.2.2) to origin-form, with its authority.
fn reduce(
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
        .ok_or(BadHead::Malformed("a target that is neither a path nor a URL"))?;
    let rest = target.slice(scheme.len()..);
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let named = rest.slice(..end);
    let path = rest.slice(end..);
    authority::judge(&named)?;
    match host {
        Some(host) if !host.eq_ignore_ascii_case(&named) => {
            return Err(BadHead::Malformed("a URL whose host differs from Host"));
        }
        None if version == Version::Http11 => return Err(missing),
        _ => {}
    }
    match path.first() {
        Some(b'/') => Ok((named, path)),
        // Section 3.2.4: the server as a whole.
        None if method == b"OPTIONS" => Ok((named, Bytes::from_static(b"*"))),
        None => Ok((named, Bytes::from_static(b"/"))),
        Some(_) => Err(BadHead::Malformed("a URL without a path")),
    }
}

/// Whether the client waits for a 100 (RFC 9110 section 10.1.1): nothing else can be expected here.
pub(super) fn expects(fields: &Fields) -> Result<bool, BadHead> {
    let mut values = fields.get_all("expect");
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        _ => Err(BadHead::Expectation),
    }
}

fn has_h2c(value: &[u8]) -> bool {
    value.split(|&byte| byte == b',').any(|member| member.trim_ascii().eq_ignore_ascii_case(b"h2c"))
}
