//! Heads and chunks, written from values: what another reader could misread is never written.

use zeroize::Zeroize;

use super::fields::{Fields, is};
use super::head::{Framing, RequestHead, ResponseHead};

/// Ends a chunk.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Upper bound of what is the same in all heads: the constant parts of the first line, a status, the longest field
/// of a length and the empty line.
const SAME_IN_ALL: usize = 96;

/// Writes a request's head for an HTTP/1.1 server: the fields in their order, but for the lengths, which
/// `framing` says. `out` may come to hold a credential: where it has to grow, its old place is wiped.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead, framing: Framing) {
    make_room(out, head.method.len() + head.target.len() + size(&head.fields));
    put(out, &head.method);
    out.push(b' ');
    put(out, &head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(out, &head.fields, true);
    length(out, framing);
    out.extend_from_slice(b"\r\n");
}

/// Writes a response's head for an HTTP/1 client. With [`Framing::None`] a `Content-Length` is left as it is:
/// it tells of a body that is not sent (RFC 9110 section 8.6).
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead, framing: Framing) {
    make_room(out, head.reason.len() + size(&head.fields));
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.to_string().as_bytes());
    out.push(b' ');
    put(out, &head.reason);
    out.extend_from_slice(b"\r\n");
    fields(out, &head.fields, framing != Framing::None);
    length(out, framing);
    out.extend_from_slice(b"\r\n");
}

/// Writes what stands before a chunk of `len` bytes, at least one.
pub fn write_chunk_header(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(format!("{len:x}\r\n").as_bytes());
}

/// Writes the end of a chunked body.
pub fn write_last_chunk(out: &mut Vec<u8>, trailers: Option<&Fields>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        fields(out, trailers, true);
    }
    out.extend_from_slice(b"\r\n");
}

fn fields(out: &mut Vec<u8>, fields: &Fields, without_length: bool) {
    for (name, value) in fields.iter() {
        if is(name, "transfer-encoding") || (without_length && is(name, "content-length")) {
            continue;
        }
        put(out, name);
        out.extend_from_slice(b": ");
        put(out, value);
        out.extend_from_slice(b"\r\n");
    }
}

fn length(out: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            out.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
}

/// Whatever the value holds, it stays within its line.
fn put(out: &mut Vec<u8>, value: &[u8]) {
    out.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0)));
}

/// Bytes that the fields take when they are written.
fn size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + b": \r\n".len()).sum()
}

/// Room for so many bytes and [`SAME_IN_ALL`]. A vector that grows by itself leaves its old place as it was.
fn make_room(out: &mut Vec<u8>, bytes: usize) {
    let needed = out.len() + bytes + SAME_IN_ALL;
    if out.capacity() < needed {
        let mut larger = Vec::with_capacity(needed);
        larger.extend_from_slice(out);
        out.zeroize();
        *out = larger;
    }
}
