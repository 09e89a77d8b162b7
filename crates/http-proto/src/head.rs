//! What a head says once it is read, and where one ends.

use std::fmt;

use bytes::Bytes;

use super::fields::Fields;

/// Fields that a head may have; spec'd for both versions.
pub const MAX_FIELDS: usize = 128;

/// Bytes that a request target may have. RFC 9112 section 3 asks for 8000 at least.
pub const MAX_TARGET: usize = 16 * 1024;

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2. Never of a parsed head: the `h2` crate reads those.
    Http2,
}

/// How long a message's body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Framing {
    /// There is no body, whatever the fields say.
    None,
    /// That many bytes, perhaps none.
    Length(u64),
    /// The chunked coding: read with [`ChunkDecoder`](super::ChunkDecoder).
    Chunked,
    /// Everything until the connection ends. Of responses only.
    UntilClose,
}

/// The head of a request that nobody can read in two ways.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead {
    /// A token, in the case in which it came. Never `CONNECT`.
    pub method: Bytes,
    /// As it came: origin-form, or `*`. Absolute-form was reduced to origin-form.
    pub target: Bytes,
    /// The version that the client speaks.
    pub version: Version,
    /// `Host`, or `:authority`: a host or an address, and perhaps a port.
    pub authority: Bytes,
    /// All fields as they came, in HTTP/1 with `Host`, with those that are meant for this connection only:
    /// [`Fields::strip_hop_by_hop`] takes them out.
    pub fields: Fields,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the client would send another request on this connection.
    pub keeps_alive: bool,
    /// Whether the client holds the body back until it hears `100 Continue`.
    pub expects_continue: bool,
    /// What the client would upgrade to: the value of `Upgrade`, when `Connection` lists it too. HTTP/1.1 only.
    pub upgrade: Option<Bytes>,
}

/// The head of a response that nobody can read in two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The version that the server speaks.
    pub version: Version,
    /// 100 to 599.
    pub status: u16,
    /// The words behind the status; mostly empty or of no use.
    pub reason: Bytes,
    /// All fields as they came.
    pub fields: Fields,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the server takes another request on this connection once the body is read.
    pub keeps_alive: bool,
    /// What a `101` upgrades to, or a `426` demands.
    pub upgrade: Option<Bytes>,
}

/// Length of the head at the start of `bytes`, its empty line included; `None` when more is needed.
///
/// `from` is how much of `bytes` was searched before (0 at first), so that a head which comes byte by byte is
/// not searched anew each time. Up to two empty lines in front belong to the head.
///
/// Lines that end with a lone LF end a head here too, so that such a head is refused by the parser at once instead
/// of being waited for until the timeout.
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

/// Length of the empty lines in front of a request that are to be skipped (RFC 9112 section 2.2): old clients
/// send one behind a body. While `bytes` hold nothing else, no request has begun.
#[must_use]
pub fn blank_lines(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take(MAX_BLANK_LINES).take_while(|pair| pair == b"\r\n").count() * 2
}

/// Empty lines in front of a request that are skipped.
const MAX_BLANK_LINES: usize = 2;

/// Length of the line end at the start of `bytes`.
fn line_end(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

// === impl RequestHead ===

impl RequestHead {
    /// The path of the target, without its query.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        let end = memchr::memchr(b'?', &self.target).unwrap_or(self.target.len());
        &self.target[..end]
    }
}

/// Without the query, which may hold a token.
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
