//! How long a body is, when its head leaves no doubt.

use super::bad::BadHead;
use super::fields::{Fields, is};
use super::head::{Framing, Version};
use super::strip::is_folded;

/// The largest length that a server's signed counter holds: it would take a larger one for less than nothing.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// What the fields say, `None` where they say nothing.
///
/// RFC 9112 section 6.3, but for every leniency that it allows: both lengths, several lengths and unknown
/// codings are refused instead of being mended.
pub(super) fn declared(fields: &Fields, version: Version) -> Result<Option<Framing>, BadHead> {
    let is_spelt = |name: &[u8], known: &str| is_folded(name, known) && !is(name, known);
    let is_other = |name: &[u8]| is_spelt(name, "content-length") || is_spelt(name, "transfer-encoding");
    if fields.iter().any(|(name, _)| is_other(name)) {
        return Err(BadHead::Malformed("a length under a name in another spelling"));
    }
    let mut lengths = fields.get_all("content-length");
    let mut codings = fields.get_all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(BadHead::Malformed("both Content-Length and Transfer-Encoding")),
        (Some(length), None) => {
            if lengths.any(|other| other != length) {
                return Err(BadHead::Malformed("several Content-Length that differ"));
            }
            let bad = BadHead::Malformed("Content-Length is not one decimal number of at most 63 bits");
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return Err(bad);
            }
            let length = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
            length
                .filter(|&length| length <= MAX_LENGTH)
                .map(|length| Some(Framing::Length(length)))
                .ok_or(bad)
        }
        (None, Some(coding)) => {
            if codings.next().is_some() || !coding.eq_ignore_ascii_case(b"chunked") {
                return Err(BadHead::Malformed("a Transfer-Encoding other than exactly chunked"));
            }
            if version == Version::Http10 {
                return Err(BadHead::Malformed("a Transfer-Encoding in HTTP/1.0"));
            }
            Ok(Some(Framing::Chunked))
        }
    }
}
