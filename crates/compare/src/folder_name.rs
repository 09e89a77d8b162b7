//! Names of folders, independent of a server's delimiter and prefix.
//!
//! The same folder is `INBOX.Lists.rust` on one server and `Lists/rust` on another (RFC 2342 section 5).

use std::fmt;

/// The name of a folder as a path: what remains the same on both servers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FolderName(Vec<Vec<u8>>);

/// The prefix and the delimiter of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Namespace {
    pub(crate) prefix: Vec<u8>,
    pub(crate) delimiter: Option<u8>,
}

// === impl FolderName ===

impl FolderName {
    /// Reads `name` as the server sends it, in a personal namespace.
    pub(crate) fn new(name: &[u8], namespace: &Namespace) -> Self {
        let relative = match name.strip_prefix(namespace.prefix.as_slice()) {
            Some(rest) if !rest.is_empty() => rest,
            _ => name,
        };
        let mut parts: Vec<Vec<u8>> = match namespace.delimiter {
            Some(delimiter) => relative.split(|&byte| byte == delimiter).map(<[u8]>::to_vec).collect(),
            None => vec![relative.to_vec()],
        };
        // RFC 3501 section 5.1: INBOX is case-insensitive.
        if let Some(first) = parts.first_mut().filter(|first| first.eq_ignore_ascii_case(b"INBOX")) {
            first.make_ascii_uppercase();
        }
        Self(parts)
    }
}

/// With `/` between the levels, and decoded.
impl fmt::Display for FolderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            f.write_str(&decode(part))?;
        }
        Ok(())
    }
}

// === impl Namespace ===

impl Namespace {
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        name.starts_with(&self.prefix)
            // The prefix without its delimiter is the root of the namespace.
            || self.delimiter.is_some_and(|delimiter| {
                self.prefix.strip_suffix(&[delimiter]).is_some_and(|root| root == name)
            })
    }
}

/// Decodes modified UTF-7 (RFC 3501 section 5.1.3). A name that is not in that encoding is returned as it is.
pub(crate) fn decode(name: &[u8]) -> String {
    decode_strictly(name).unwrap_or_else(|| String::from_utf8_lossy(name).into_owned())
}

fn decode_strictly(name: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded.push_str(&rest[..start]);
        let end = start + rest[start..].find('-')?;
        let encoded = &rest[start + 1..end];
        if encoded.is_empty() {
            decoded.push('&');
        } else {
            decoded.push_str(&utf16_of(encoded)?);
        }
        rest = &rest[end + 1..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

/// Decodes the base64 of UTF-16 with `,` in place of `/`, without padding.
fn utf16_of(encoded: &str) -> Option<String> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut units = Vec::new();
    for byte in encoded.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b',' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0x003f_ffff;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).ok()?);
        }
    }
    String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(prefix: &str, delimiter: u8) -> Namespace {
        Namespace { prefix: prefix.into(), delimiter: Some(delimiter) }
    }

    #[test]
    fn a_folder_is_the_same_under_any_prefix_and_delimiter() {
        let dots = namespace("INBOX.", b'.');
        let slashes = namespace("", b'/');
        for (dotted, slashed) in
            [("INBOX", "inbox"), ("INBOX.Sent", "Sent"), ("INBOX.Lists.rust", "Lists/rust")]
        {
            assert_eq!(
                FolderName::new(dotted.as_bytes(), &dots),
                FolderName::new(slashed.as_bytes(), &slashes),
                "{dotted}"
            );
        }
        assert_ne!(FolderName::new(b"a/b", &dots), FolderName::new(b"a/b", &slashes));
        assert!(dots.contains(b"INBOX") && dots.contains(b"INBOX.a") && !dots.contains(b"shared.a"));
    }

    #[test]
    fn names_are_printed_decoded() {
        for (name, text) in [
            ("Entw&APw-rfe", "Entwürfe"),
            ("R&-D", "R&D"),
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("&broken", "&broken"),
            ("&!!!-", "&!!!-"),
        ] {
            assert_eq!(decode(name.as_bytes()), text);
        }
    }
}
