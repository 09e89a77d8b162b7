//! The length of a body, as its head declares it. An ambiguous declaration is an error.

use super::bad::BadHead;
use super::fields::{Fields, is};
use super::head::{Framing, Version};
use super::strip::is_folded;

/// The largest `Content-Length`. A server with a signed 64-bit counter would read a larger one as negative.
const MAX_LENGTH: u64 = i64::MAX as u64;

/// Returns the framing that the fields declare, `None` if they declare none.
///
/// RFC 9112 section 6.3 without its leniency: a head with both kinds of length, with several lengths or with an unknown
/// coding is rejected instead of being repaired.
pub(super) fn declared(fields: &Fields, version: Version) -> Result<Option<Framing>, BadHead> {
    let is_variant = |name: &[u8], known: &str| is_folded(name, known) && !is(name, known);
    let is_length_variant =
        |name: &[u8]| is_variant(name, "content-length") || is_variant(name, "transfer-encoding");
    if fields.iter().any(|(name, _)| is_length_variant(name)) {
        return Err(BadHead::Malformed("a misspelled Content-Length or Transfer-Encoding"));
    }
    let mut lengths = fields.get_all("content-length");
    let mut codings = fields.get_all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(BadHead::Malformed("both Content-Length and Transfer-Encoding")),
        (Some(length), None) => {
            if lengths.any(|other| other != length) {
                return Err(BadHead::Malformed("Content-Length fields that differ"));
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
