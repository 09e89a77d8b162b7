//! The chunked coding (RFC 9112 section 7.1), decoded in place.

use bytes::Bytes;

use super::bad::BadBody;
use super::fields::Fields;
use super::head::head_end;
use super::parse;

/// The longest trailer section in bytes.
pub const MAX_TRAILERS: usize = 16 * 1024;
/// Most fields of a trailer section.
pub const MAX_TRAILER_FIELDS: usize = 64;

/// The longest chunk line in bytes: the size and the extensions.
const MAX_LINE: usize = 256;
/// Most bytes of chunk lines beyond one for each byte of data and [`PLAIN_LINE`] for each chunk.
const MAX_OVERHEAD: u64 = 16 * 1024;
/// Length of an ordinary chunk line in bytes. A body may have any number of chunks of one byte.
const PLAIN_LINE: u64 = 16;

/// Decodes a chunked body: finds the content in the bytes that it is fed.
///
/// White space before an extension is read and ignored (RFC 9112 section 7.1.1, `BWS`).
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    /// Whether white space may end a chunk line. Some servers pad sizes with it.
    allows_padding: bool,
    /// Bytes of chunk lines beyond what the data and the chunks so far allow.
    overhead: u64,
}

/// What the input starts with.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded {
    /// `skip` bytes of framing, then `len` bytes of content, at least one.
    Data {
        /// Framing bytes.
        skip: usize,
        /// Content bytes after them.
        len: usize,
    },
    /// `consumed` bytes of framing; then more input is needed.
    NeedMore {
        /// Framing bytes.
        consumed: usize,
    },
    /// `consumed` bytes, with which the body ends.
    Trailers {
        /// Framing bytes.
        consumed: usize,
        /// The trailers that may be forwarded (RFC 9110 section 6.5.1); usually none.
        fields: Fields,
    },
}

#[derive(Debug)]
enum State {
    Size,
    /// This many bytes of the chunk are left.
    Data(u64),
    /// The line end after a chunk's data.
    End,
    Trailers,
}

// === impl ChunkDecoder ===

impl ChunkDecoder {
    /// Returns a decoder for the body of a request: chunk lines follow the grammar of RFC 9112 section 7.1.
    #[must_use]
    pub const fn for_requests() -> Self {
        Self { state: State::Size, allows_padding: false, overhead: 0 }
    }

    /// Returns a decoder for the body of a response: chunk lines may also end with white space. This is safe because
    /// the chunks are written again for the client.
    #[must_use]
    pub const fn for_responses() -> Self {
        Self { state: State::Size, allows_padding: true, overhead: 0 }
    }

    /// Decodes the start of `input`, which begins where the previous result ended.
    ///
    /// # Errors
    /// See [`BadBody`].
    pub fn consume(&mut self, input: &[u8]) -> Result<Decoded, BadBody> {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            match self.state {
                State::Size => {
                    let Some((size, length)) = chunk_line(rest, self.allows_padding)? else {
                        return Ok(Decoded::NeedMore { consumed: at });
                    };
                    at += length;
                    self.overhead =
                        (self.overhead + length as u64).saturating_sub(size.saturating_add(PLAIN_LINE));
                    if self.overhead > MAX_OVERHEAD {
                        return Err(BadBody::Overhead);
                    }
                    self.state = if size == 0 { State::Trailers } else { State::Data(size) };
                }
                State::Data(_) if rest.is_empty() => return Ok(Decoded::NeedMore { consumed: at }),
                State::Data(left) => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let left = left - len as u64;
                    self.state = if left == 0 { State::End } else { State::Data(left) };
                    return Ok(Decoded::Data { skip: at, len });
                }
                State::End => match rest {
                    [b'\r', b'\n', ..] => {
                        at += 2;
                        self.state = State::Size;
                    }
                    [] | [b'\r'] => return Ok(Decoded::NeedMore { consumed: at }),
                    _ => return Err(BadBody::LineEnd),
                },
                State::Trailers => {
                    return match trailers(rest)? {
                        Some((fields, length)) => Ok(Decoded::Trailers { consumed: at + length, fields }),
                        None => Ok(Decoded::NeedMore { consumed: at }),
                    };
                }
            }
        }
    }
}

/// Parses a chunk line; returns the chunk's size and the length of the line.
fn chunk_line(input: &[u8], allows_padding: bool) -> Result<Option<(u64, usize)>, BadBody> {
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if input.len() >= MAX_LINE { Err(BadBody::Extension) } else { Ok(None) };
    };
    let line = window[..end].strip_suffix(b"\r").ok_or(BadBody::LineEnd)?;
    let digits = line.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(line.len());
    if digits == 0 || digits > 16 {
        return Err(BadBody::Size);
    }
    let rest = &line[digits..];
    let padding = rest.iter().take_while(|&&byte| matches!(byte, b' ' | b'\t')).count();
    match &rest[padding..] {
        [] if padding == 0 || allows_padding => {}
        [b';', extension @ ..] => {
            if extension.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
                return Err(BadBody::Extension);
            }
        }
        _ => return Err(BadBody::Size),
    }
    let text = std::str::from_utf8(&line[..digits]).map_err(|_| BadBody::Size)?;
    let size = u64::from_str_radix(text, 16).map_err(|_| BadBody::Size)?;
    Ok(Some((size, end + 1)))
}

/// Parses the trailer section; returns it and its length, `None` when more input is needed.
fn trailers(input: &[u8]) -> Result<Option<(Fields, usize)>, BadBody> {
    match input {
        [b'\r', b'\n', ..] => return Ok(Some((Fields::new(), 2))),
        [] | [b'\r'] => return Ok(None),
        _ => {}
    }
    let Some(end) = head_end(input, 0) else {
        return if input.len() > MAX_TRAILERS { Err(BadBody::TrailersTooLarge) } else { Ok(None) };
    };
    if end > MAX_TRAILERS {
        return Err(BadBody::TrailersTooLarge);
    }
    let section = Bytes::copy_from_slice(&input[..end]);
    parse::check_lines(&section).map_err(|_| BadBody::Trailers)?;
    let mut parsed = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let parsed = match httparse::parse_headers(&section, &mut parsed) {
        Ok(httparse::Status::Complete((length, parsed))) if length == end => parsed,
        Err(httparse::Error::TooManyHeaders) => return Err(BadBody::TrailersTooLarge),
        _ => return Err(BadBody::Trailers),
    };
    let mut fields = parse::fields(&section, parsed).map_err(|_| BadBody::Trailers)?;
    fields.strip_from_trailers();
    Ok(Some((fields, end)))
}
