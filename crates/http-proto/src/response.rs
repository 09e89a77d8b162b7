//! Parses the head of an HTTP/1 response, as strictly as that of a request.

use bytes::Bytes;

use super::bad::BadHead;
use super::framing;
use super::head::{Framing, MAX_FIELDS, ResponseHead, Version, blank_lines};
use super::parse;

/// Parses the head of a response, including its empty line. `request_method` decides whether a body follows.
///
/// # Errors
/// See [`BadHead`]; the connection cannot be used any more.
pub fn parse_response(head: &Bytes, request_method: &[u8]) -> Result<ResponseHead, BadHead> {
    parse::check_lines(head)?;
    // RFC 9112 section 2.2 allows empty lines before requests only. Before a response they are left over from the
    // previous response, whose body was then longer than its head declared.
    if blank_lines(head) > 0 {
        return Err(BadHead::Malformed("an empty line before the status line"));
    }
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    match parsed.parse(head).map_err(parse::rejection)? {
        httparse::Status::Complete(length) if length == head.len() => {}
        _ => return Err(BadHead::Malformed("an incomplete head")),
    }
    let version = parse::version(parsed.version)?;
    let status = parsed.code.filter(|status| (100..600).contains(status));
    let status = status.ok_or(BadHead::Malformed("a status outside 100 to 599"))?;
    let reason = match parsed.reason {
        Some(reason) if !reason.is_empty() => head.slice_ref(reason.as_bytes()),
        _ => Bytes::new(),
    };
    let fields = parse::fields(head, parsed.headers)?;
    parse::check_connection(&fields)?;
    let declared = framing::declared(&fields, version)?;
    let is_bodiless = matches!(declared, None | Some(Framing::Length(0)));
    // RFC 9112 section 6.3: interim responses have no body, whatever they declare. A server that declares one might
    // send it, and it would be read as the final response. (After a 101 no response is read.)
    if (100..200).contains(&status) && status != 101 && !is_bodiless {
        return Err(BadHead::Malformed("an interim response that declares a body"));
    }
    let framing = match declared {
        _ if status < 200 || status == 204 || status == 304 || request_method == b"HEAD" => Framing::None,
        Some(framing) => framing,
        None => Framing::UntilClose,
    };
    // The same holds for a 204, but it is a final response, so closing the connection is enough.
    let is_in_step = framing != Framing::UntilClose && (status != 204 || is_bodiless);
    let keeps_alive = is_in_step && parse::keeps_alive(&fields, version);
    let upgrade = parse::upgrade(&fields, Version::Http11);
    Ok(ResponseHead { version, status, reason, fields, framing, keeps_alive, upgrade })
}
