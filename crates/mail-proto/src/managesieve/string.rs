//! ManageSieve's strings in both directions (RFC 5804 sections 1.2 and 4).
//!
//! string = quoted / literal-c2s / literal-s2c. A text that is not valid inside quotes is written as a literal.

use crate::frame::literal_header;
use types::secret::Secret;

/// quoted = DQUOTE *1024QUOTED-CHAR DQUOTE
const MAX_QUOTED: usize = 1024;

/// A cursor over one frame.
pub(super) struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
}

/// The side that writes a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// literal-c2s = "{" number "+}" CRLF *OCTET
    Client,
    /// literal-s2c = "{" number "}" CRLF *OCTET
    Server,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// Creates a cursor at the start of `frame`, without its last line end.
    pub(super) fn new(frame: &'a [u8]) -> Self {
        let text = frame.strip_suffix(b"\n").unwrap_or(frame);
        Self { frame: text.strip_suffix(b"\r").unwrap_or(text), at: 0 }
    }

    /// One or more bytes up to a space, a parenthesis, a brace, a quote or the end.
    pub(super) fn atom(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'"' | b'{');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    pub(super) fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// One or more spaces.
    pub(super) fn spaces(&mut self) -> Option<()> {
        self.byte(b' ')?;
        while self.byte(b' ').is_some() {}
        Some(())
    }

    /// A decoded string. A literal may have the form of either side.
    pub(super) fn string(&mut self) -> Option<Secret> {
        if self.peek()? == b'"' { self.quoted() } else { self.literal() }
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.frame[self.at..]
    }

    /// Returns whether nothing but spaces is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest().iter().all(|&byte| byte == b' ')
    }

    fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    /// QUOTED-CHAR = SAFE-UTF8-CHAR / "\" QUOTED-SPECIALS
    fn quoted(&mut self) -> Option<Secret> {
        self.byte(b'"')?;
        let mut text = Secret::with_capacity(64);
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    text.extend(&[self.peek().filter(|byte| matches!(byte, b'"' | b'\\'))?]);
                }
                b'\r' | b'\n' | 0 => return None,
                byte => text.extend(&[byte]),
            }
            self.at += 1;
        }
        self.at += 1;
        Some(text)
    }

    fn literal(&mut self) -> Option<Secret> {
        let line_end = memchr::memchr(b'\n', self.rest())?;
        let text = &self.rest()[..line_end];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let header = literal_header(text).filter(|literal| literal.length == text.len())?;
        let octets = self.rest()[line_end + 1..].get(..header.octets)?;
        self.at += line_end + 1 + header.octets;
        (!octets.contains(&0)).then(|| Secret::copy_of(octets))
    }
}

/// Appends `text` as a string.
pub(super) fn push(out: &mut Secret, text: &[u8], writer: Writer) {
    let is_quotable = text.len() <= MAX_QUOTED && text.iter().all(|byte| (b' '..0x7f).contains(byte));
    if !is_quotable {
        let plus = if writer == Writer::Client { "+" } else { "" };
        out.extend(format!("{{{}{plus}}}\r\n", text.len()).as_bytes());
        out.extend(text);
        return;
    }
    out.extend(b"\"");
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.extend(b"\\");
        }
        out.extend(&[byte]);
    }
    out.extend(b"\"");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings() {
        for (frame, expected) in [
            (&b"\"alice\"\r\n"[..], Some(&b"alice"[..])),
            (b"\"\"\n", Some(b"")),
            (b"\"a\\\"b\\\\c\"", Some(b"a\"b\\c")),
            (b"\"\xc3\xa9\"\r\n", Some(b"\xc3\xa9")),
            (b"{3+}\r\na\r\n\r\n", Some(b"a\r\n")),
            (b"{3}\n{5}\n", Some(b"{5}")),
            (b"{0}\r\n\r\n", Some(b"")),
            // Not strings.
            (b"alice\r\n", None),
            (b"\"alice\r\n", None),
            (b"\"al\\ice\"\r\n", None),
            (b"\"al\0ice\"\r\n", None),
            (b"{3+}\r\na\0b\r\n", None),
            (b"{9+}\r\nabc\r\n", None),
            (b"{3+} \r\nabc\r\n", None),
            (b"x{3+}\r\nabc\r\n", None),
            (b"{3+}", None),
            (b"", None),
        ] {
            let mut cursor = Cursor::new(frame);
            let found = cursor.string();
            assert_eq!(found.as_ref().map(Secret::expose), expected, "{}", frame.escape_ascii());
            assert!(found.is_none() || cursor.is_at_end(), "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn written_strings() {
        let long = [b'x'; 1025];
        let long_literal = [&b"{1025+}\r\n"[..], &long].concat();
        for (text, writer, expected) in [
            (&b"alice"[..], Writer::Client, &b"\"alice\""[..]),
            (b"", Writer::Client, b"\"\""),
            (b"a\"b\\c", Writer::Server, b"\"a\\\"b\\\\c\""),
            (b"a\r\nb", Writer::Client, b"{4+}\r\na\r\nb"),
            (b"a\r\nb", Writer::Server, b"{4}\r\na\r\nb"),
            (b"\xff", Writer::Server, b"{1}\r\n\xff"),
            (&long, Writer::Client, &long_literal),
        ] {
            let mut out = Secret::default();
            push(&mut out, text, writer);
            assert_eq!(out.expose(), expected, "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn written_strings_can_be_read(text in proptest::collection::vec(1_u8.., 0..1100), is_client in any::<bool>()) {
            let mut out = Secret::default();
            push(&mut out, &text, if is_client { Writer::Client } else { Writer::Server });
            out.extend(b"\r\n");
            let mut cursor = Cursor::new(out.expose());
            let found = cursor.string();
            prop_assert_eq!(found.as_ref().map(Secret::expose), Some(&text[..]));
            prop_assert!(cursor.is_at_end());
        }
    }
}
