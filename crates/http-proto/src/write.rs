//! Writes HTTP/1 heads and chunks from parsed values.

use zeroize::Zeroize;

use super::fields::{Fields, is};
use super::head::{Framing, RequestHead, ResponseHead};

/// The line end after a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// An upper bound for the constant bytes of a head: the constant parts of the start line, a status, the longest length
/// field and the empty line.
const CONSTANT_PARTS: usize = 96;

/// Writes the head of a request for an HTTP/1.1 server: the fields in their order, and the length field that `framing`
/// requires. The head may contain a credential, so the old buffer is wiped if `out` has to grow.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, framing: Framing) {
    reserve_wiping(out, head.method.len() + head.target.len() + written_len(&head.fields));
    write_value(out, &head.method);
    out.push(b' ');
    write_value(out, &head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_fields(out, &head.fields, true);
    write_length(out, framing);
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
    write_fields(out, &head.fields, framing != Framing::None);
    write_length(out, framing);
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
        write_fields(out, trailers, true);
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(out: &mut Vec<u8>, fields: &Fields, without_length: bool) {
    for (name, value) in fields.iter() {
        if is(name, "transfer-encoding") || (without_length && is(name, "content-length")) {
            continue;
        }
        write_value(out, name);
        out.extend_from_slice(b": ");
        write_value(out, value);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

/// Writes a value without the bytes that could end its line.
fn write_value(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
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
        out.zeroize();
        *out = larger;
    }
}
