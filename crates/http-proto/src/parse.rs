//! What requests and responses have in common: lines, fields, versions.

use bytes::Bytes;

use super::bad::BadHead;
use super::fields::Fields;
use super::head::Version;

/// Refuses what the tokeniser would forgive: bare LF, bare CR, NUL.
pub(super) fn judge_lines(head: &[u8]) -> Result<(), BadHead> {
    for (at, &byte) in head.iter().enumerate() {
        match byte {
            b'\n' if at == 0 || head[at - 1] != b'\r' => {
                return Err(BadHead::Malformed("a line that ends with LF alone"));
            }
            b'\r' if head.get(at + 1) != Some(&b'\n') => {
                return Err(BadHead::Malformed("a CR that ends no line"));
            }
            0 => return Err(BadHead::Malformed("a NUL in the head")),
            _ => {}
        }
    }
    Ok(())
}

/// The tokeniser's fields as slices of the head.
pub(super) fn fields(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<Fields, BadHead> {
    parsed
        .iter()
        .map(|field| {
            if field.value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control()) {
                return Err(BadHead::Malformed("a control character in a field"));
            }
            let value = field.value.trim_ascii();
            // An empty slice of nowhere cannot be found in the head.
            let value = if value.is_empty() { Bytes::new() } else { head.slice_ref(value) };
            Ok((head.slice_ref(field.name.as_bytes()), value))
        })
        .collect()
}

pub(super) const fn version(minor: Option<u8>) -> Result<Version, BadHead> {
    match minor {
        Some(0) => Ok(Version::Http10),
        Some(1) => Ok(Version::Http11),
        _ => Err(BadHead::Version),
    }
}

pub(super) fn refusal(error: httparse::Error) -> BadHead {
    match error {
        httparse::Error::HeaderName => BadHead::Malformed("a field name that is no token, or a folded line"),
        httparse::Error::HeaderValue => BadHead::Malformed("a field value with forbidden characters"),
        httparse::Error::NewLine => BadHead::Malformed("a line end other than CR LF"),
        httparse::Error::Status => BadHead::Malformed("no three-digit status"),
        httparse::Error::Token => BadHead::Malformed("a start line that is none"),
        httparse::Error::TooManyHeaders => BadHead::TooManyFields,
        httparse::Error::Version => BadHead::Version,
    }
}

/// Options that `Connection` may list: each of them is looked for among all fields.
const MAX_OPTIONS: usize = 32;

/// Refuses a `Connection` of which only the looking up would be work (RFC 9110 section 7.6.1 sets no bound). Empty
/// members count: they have to be passed over too.
pub(super) fn judge_connection(fields: &Fields) -> Result<(), BadHead> {
    let options = fields.get_all("connection").flat_map(|value| value.split(|&byte| byte == b','));
    if options.count() > MAX_OPTIONS {
        return Err(BadHead::Malformed("a Connection that lists more than 32 options"));
    }
    Ok(())
}

/// Whether the connection can be used again (RFC 9112 section 9.3).
pub(super) fn keeps_alive(fields: &Fields, version: Version) -> bool {
    match version {
        Version::Http10 => fields.lists("connection", "keep-alive") && !fields.lists("connection", "close"),
        Version::Http11 | Version::Http2 => !fields.lists("connection", "close"),
    }
}

/// The value of the only `Upgrade`, where `Connection` lists it.
pub(super) fn upgrade(fields: &Fields, version: Version) -> Option<Bytes> {
    let is_listed = version == Version::Http11 && fields.lists("connection", "upgrade");
    fields.only("upgrade").filter(|_| is_listed).cloned()
}
