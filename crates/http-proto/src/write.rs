//! Writes HTTP/1 heads and chunks from parsed values.

use super::fields::{Fields, is};
use super::head::{Framing, RequestHead, ResponseHead, Version};
use super::wipe::wipe;

/// The line end after a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// An upper bound for the constant bytes of a head: the constant parts of the start line, a status, the longest length
/// field and the empty line.
const CONSTANT_PARTS: usize = 96;

/// Names whose usual spelling does not follow the rule of [`write_usual_name`].
const UNUSUAL_NAMES: [&str; 4] = ["DNT", "ETag", "TE", "WWW-Authenticate"];
const SEC_WEBSOCKET: &str = "Sec-WebSocket-";

/// Writes the head of a request for an HTTP/1.1 server: the fields in their order, and the length field that `framing`
/// requires. The head may contain a credential, so the old buffer is wiped if `out` has to grow.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, framing: Framing) {
    reserve_wiping(out, head.method.len() + head.target.len() + written_len(&head.fields));
    write_value(out, &head.method);
    out.push(b' ');
    write_value(out, &head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, &head.fields, head.version, framing);
    out.extend_from_slice(b"\r\n");
}

/// Writes the head of a response for an HTTP/1 client. With [`Framing::None`] a `Content-Length` is kept: it
/// describes a body that is not sent (RFC 9110 section 8.6).
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead, framing: Framing) {
    reserve_wiping(out, head.reason.len() + written_len(&head.fields));
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.to_string().as_bytes());
    out.push(b' ');
    write_value(out, &head.reason);
    out.extend_from_slice(b"\r\n");
    if framing == Framing::None {
        for (name, value) in head.fields.iter().filter(|(name, _)| !is(name, "transfer-encoding")) {
            write_field(out, name, value, head.version);
        }
    } else {
        write_fields(out, &head.fields, head.version, framing);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the chunk line of a chunk of `len` bytes, at least one.
pub fn write_chunk_header(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(format!("{len:x}\r\n").as_bytes());
}

/// Writes the end of a chunked body.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        for (name, value) in trailers.iter() {
            write_field(out, name, value, Version::Http11);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the fields, with the length field that `framing` requires in the place and the spelling that its sender chose.
fn write_fields(out: &mut Vec<u8>, fields: &Fields, version: Version, framing: Framing) {
    let length = length_field(framing);
    let mut has_length = false;
    for (name, value) in fields.iter() {
        if !is(name, "content-length") && !is(name, "transfer-encoding") {
            write_field(out, name, value, version);
            continue;
        }
        if let Some((known, value)) = &length
            && !has_length
            && is(name, known)
        {
            has_length = true;
            write_field(out, name, value.as_bytes(), version);
        }
    }
    if let Some((name, value)) = length
        && !has_length
    {
        write_field(out, name.as_bytes(), value.as_bytes(), version);
    }
}

fn length_field(framing: Framing) -> Option<(&'static str, String)> {
    match framing {
        Framing::Length(length) => Some(("Content-Length", length.to_string())),
        Framing::Chunked => Some(("Transfer-Encoding", "chunked".to_owned())),
        Framing::None | Framing::UntilClose => None,
    }
}

/// Writes one field. HTTP/2 has names in lower case only; some HTTP/1 programs know just the usual spelling.
fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8], version: Version) {
    if version == Version::Http2 {
        write_usual_name(out, name);
    } else {
        write_value(out, name);
    }
    out.extend_from_slice(b": ");
    write_value(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Writes a name with a capital at the start of each word, as browsers spell names in HTTP/1.
fn write_usual_name(out: &mut Vec<u8>, name: &[u8]) {
    for known in UNUSUAL_NAMES {
        if is(name, known) {
            return out.extend_from_slice(known.as_bytes());
        }
    }
    // RFC 6455 section 11.3 spells these names with a capital S.
    let mut rest = name;
    if name.get(..SEC_WEBSOCKET.len()).is_some_and(|start| is(start, SEC_WEBSOCKET)) {
        out.extend_from_slice(SEC_WEBSOCKET.as_bytes());
        rest = &name[SEC_WEBSOCKET.len()..];
    }
    let mut starts_word = true;
    for &byte in rest {
        out.push(if starts_word { byte.to_ascii_uppercase() } else { byte });
        starts_word = byte == b'-';
    }
}

/// Writes a value without the bytes that could end its line.
fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    // Parsed heads have none of them, so this is one copy.
    while let Some(at) = memchr::memchr3(b'\r', b'\n', 0, rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Returns the length of the fields as they are written, in bytes.
fn written_len(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + b": \r\n".len()).sum()
}

/// Reserves room for `bytes` and [`CONSTANT_PARTS`]. `Vec::reserve` would leave a copy in the old allocation.
fn reserve_wiping(out: &mut Vec<u8>, bytes: usize) {
    let needed = out.len() + bytes + CONSTANT_PARTS;
    if out.capacity() < needed {
        let mut larger = Vec::with_capacity(needed);
        larger.extend_from_slice(out);
        wipe(out);
        *out = larger;
    }
}
