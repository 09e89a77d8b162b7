//! Parsed heads, and where a head ends.

use std::fmt;

use bytes::Bytes;

use super::fields::Fields;

/// Most fields of a head, in HTTP/1 and HTTP/2.
pub const MAX_FIELDS: usize = 128;

/// The longest request target in bytes. RFC 9112 section 3 recommends at least 8000.
pub const MAX_TARGET: usize = 16 * 1024;

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2. [`parse_request`](super::parse_request) never returns it: the `h2` crate parses HTTP/2.
    Http2,
}

/// How the end of a message's body is found (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// There is no body, whatever the fields declare.
    None,
    /// This many bytes, possibly none.
    Length(u64),
    /// The chunked coding: read with [`ChunkDecoder`](super::ChunkDecoder).
    Chunked,
    /// Everything until the connection ends. Only in responses.
    UntilClose,
}

/// The head of an unambiguous request.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// A token, in the client's spelling. Never `CONNECT`.
    pub method: Bytes,
    /// The client's target: origin-form or `*`. Absolute-form has been converted to origin-form.
    pub target: Bytes,
    /// The version that the client speaks.
    pub version: Version,
    /// `Host` or `:authority`: a host or an address, and an optional port.
    pub authority: Bytes,
    /// All fields in the client's spelling, including `Host` in HTTP/1 and the hop-by-hop fields:
    /// [`Fields::strip_hop_by_hop`] removes those.
    pub fields: Fields,
    /// How the end of the body is found.
    pub framing: Framing,
    /// Whether the client may send another request on this connection.
    pub keeps_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
    /// The protocol that the client offers to upgrade to: the value of `Upgrade`, if `Connection` lists it. HTTP/1.1 only.
    pub upgrade: Option<Bytes>,
}

/// The head of an unambiguous response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The version that the server speaks.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// The reason phrase; may be empty.
    pub reason: Bytes,
    /// All fields in the server's spelling.
    pub fields: Fields,
    /// How the end of the body is found.
    pub framing: Framing,
    /// Whether the server accepts another request on this connection after this response.
    pub keeps_alive: bool,
    /// The protocol of a `101`, or the one that a `426` requires.
    pub upgrade: Option<Bytes>,
}

/// Returns the length of the head at the start of `bytes`, including its empty line; `None` when more is needed.
///
/// `from` is the length of the part that was searched before (0 at first), so that a head that arrives byte by byte is
/// not searched again each time. Up to two empty lines before the head are counted as part of it.
///
/// A lone LF ends a line here, so that the parser rejects such a head at once instead of waiting until the timeout.
#[must_use]
pub fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let begin = blank_lines(bytes);
    if let Some(length) = line_end(&bytes[begin..]) {
        return Some(begin + length);
    }
    // The two LFs that end a head are at most three bytes apart.
    let mut at = begin.max(from.saturating_sub(2));
    while let Some(found) = memchr::memchr(b'\n', bytes.get(at..)?) {
        at += found + 1;
        if let Some(length) = line_end(&bytes[at..]) {
            return Some(at + length);
        }
    }
    None
}

/// Returns the length of the empty lines before a request that are skipped (RFC 9112 section 2.2): old clients send
/// one after a body. No request has begun while `bytes` contains nothing else.
#[must_use]
pub fn blank_lines(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take(MAX_BLANK_LINES).take_while(|pair| pair == b"\r\n").count() * 2
}

/// Most empty lines before a request that are skipped.
const MAX_BLANK_LINES: usize = 2;

/// Returns the length of the line end at the start of `bytes`.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

// === impl RequestHead ===

impl RequestHead {
    /// Returns the path of the target, without the query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let end = memchr::memchr(b'?', &self.target).unwrap_or(self.target.len());
        &self.target[..end]
    }
}

/// Prints no query, since it may contain a token.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &format_args!("{}", self.path().escape_ascii()))
            .field("version", &self.version)
            .field("authority", &self.authority)
            .field("fields", &self.fields)
            .field("framing", &self.framing)
            .field("keeps_alive", &self.keeps_alive)
            .field("expects_continue", &self.expects_continue)
            .field("upgrade", &self.upgrade)
            .finish()
    }
}
