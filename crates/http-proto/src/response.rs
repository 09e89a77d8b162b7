//! The head of an HTTP/1 response, read as strictly as a request's.

use bytes::Bytes;

use super::bad::BadHead;
use super::framing;
use super::head::{Framing, MAX_FIELDS, ResponseHead, Version, blank_lines};
use super::parse;

/// Reads a response's head, its empty line included. `request_method` decides whether a body follows.
///
/// # Errors
/// See [`BadHead`]; the connection is out of step then.
pub fn parse_response(head: &Bytes, request_method: &[u8]) -> Result<ResponseHead, BadHead> {
    parse::judge_lines(head)?;
    // RFC 9112 section 2.2 forgives empty lines in front of requests only. In front of a response they are what is
    // left of the one before, whose length was then another than its head said.
    if blank_lines(head) > 0 {
        return Err(BadHead::Malformed("an empty line in front of a status line"));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head).map_err(parse::refusal)? {
        httparse::Status::Complete(length) if length == head.len() => {}
        _ => return Err(BadHead::Malformed("no whole head")),
    }
    let version = parse::version(parsed.version)?;
    let status = parsed.code.filter(|status| (100..600).contains(status));
    let status = status.ok_or(BadHead::Malformed("no status between 100 and 599"))?;
    let reason = match parsed.reason {
        Some(reason) if !reason.is_empty() => head.slice_ref(reason.as_bytes()),
        _ => Bytes::new(),
    };
    let fields = parse::fields(head, parsed.headers)?;
    parse::judge_connection(&fields)?;
    let declared = framing::declared(&fields, version)?;
    let is_bodiless = matches!(declared, None | Some(Framing::Length(0)));
    // RFC 9112 section 6.3: interim responses have no body, whatever they say. One that says otherwise may send it
    // still, and it would be read as the answer. (Behind a 101 nothing is read as one.)
    if (100..200).contains(&status) && status != 101 && !is_bodiless {
        return Err(BadHead::Malformed("an interim response that announces a body"));
    }
    let framing = match declared {
        _ if status < 200 || status == 204 || status == 304 || request_method == b"HEAD" => Framing::None,
        Some(framing) => framing,
        None => Framing::UntilClose,
    };
    // The same of a 204; but it is the last, so that closing the connection is enough.
    let is_in_step = framing != Framing::UntilClose && (status != 204 || is_bodiless);
    let keeps_alive = is_in_step && parse::keeps_alive(&fields, version);
    let upgrade = parse::upgrade(&fields, Version::Http11);
    Ok(ResponseHead { version, status, reason, fields, framing, keeps_alive, upgrade })
}
