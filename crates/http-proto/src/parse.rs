//! What requests and responses share: lines, fields, versions, `Connection`.

use bytes::Bytes;

use super::bad::BadHead;
use super::fields::Fields;
use super::head::Version;

/// Rejects what `httparse` tolerates: bare LF, bare CR, NUL.
pub(super) fn check_lines(head: &[u8]) -> Result<(), BadHead> {
    for at in memchr::memchr3_iter(b'\r', b'\n', 0, head) {
        match head[at] {
            b'\n' if at == 0 || head[at - 1] != b'\r' => {
                return Err(BadHead::Malformed("a line that ends with LF alone"));
            }
            b'\r' if head.get(at + 1) != Some(&b'\n') => {
                return Err(BadHead::Malformed("a CR without LF"));
            }
            0 => return Err(BadHead::Malformed("a NUL in the head")),
            _ => {}
        }
    }
    Ok(())
}

/// Converts the fields that `httparse` found to slices of the head.
pub(super) fn fields(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<Fields, BadHead> {
    parsed
        .iter()
        .map(|field| {
            if has_control(field.value) {
                return Err(BadHead::Malformed("a control character in a field"));
            }
            let value = field.value.trim_ascii();
            // `slice_ref` panics for an empty slice that is not part of the head.
            let value = if value.is_empty() { Bytes::new() } else { head.slice_ref(value) };
            Ok((head.slice_ref(field.name.as_bytes()), value))
        })
        .collect()
}

/// Returns whether a control character other than a tab is among `bytes`. Looks at all of them, which the compiler does for
/// many at once.
fn has_control(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | (byte != b'\t' && byte.is_ascii_control()))
}

pub(super) const fn version(minor: Option<u8>) -> Result<Version, BadHead> {
    match minor {
        Some(0) => Ok(Version::Http10),
        Some(1) => Ok(Version::Http11),
        _ => Err(BadHead::Version),
    }
}

pub(super) fn rejection(error: httparse::Error) -> BadHead {
    match error {
        httparse::Error::HeaderName => {
            BadHead::Malformed("a field name that is not a token, or a folded line")
        }
        httparse::Error::HeaderValue => BadHead::Malformed("a field value with forbidden characters"),
        httparse::Error::NewLine => BadHead::Malformed("a line end other than CR LF"),
        httparse::Error::Status => BadHead::Malformed("a status that is not three digits"),
        httparse::Error::Token => BadHead::Malformed("a malformed start line"),
        httparse::Error::TooManyHeaders => BadHead::TooManyFields,
        httparse::Error::Version => BadHead::Version,
    }
}

/// Most options in `Connection`: each of them is looked up among all fields.
const MAX_OPTIONS: usize = 32;

/// Rejects a `Connection` with so many options that the look-up would be costly (RFC 9110 section 7.6.1 sets no bound).
/// Empty members count too, since they also cost time.
pub(super) fn check_connection(fields: &Fields) -> Result<(), BadHead> {
    let options = fields.get_all("connection").flat_map(|value| value.split(|&byte| byte == b','));
    if options.count() > MAX_OPTIONS {
        return Err(BadHead::Malformed("a Connection that lists more than 32 options"));
    }
    Ok(())
}

/// Returns whether the connection can be reused (RFC 9112 section 9.3).
pub(super) fn keeps_alive(fields: &Fields, version: Version) -> bool {
    match version {
        Version::Http10 => fields.lists("connection", "keep-alive") && !fields.lists("connection", "close"),
        Version::Http11 | Version::Http2 => !fields.lists("connection", "close"),
    }
}

/// Returns the value of the only `Upgrade`, if `Connection` lists it.
pub(super) fn upgrade(fields: &Fields, version: Version) -> Option<Bytes> {
    let is_listed = version == Version::Http11 && fields.lists("connection", "upgrade");
    fields.only("upgrade").filter(|_| is_listed).cloned()
}
