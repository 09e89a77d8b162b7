//! A cursor over one command: atoms, strings, numbers, lists (RFC 3501 section 9).

use super::frame::announced;
use crate::store::Flags;

/// What is left of a command. Every verb takes what it names, or takes nothing more and answers `None`, which
/// makes the command one that is not understood.
#[derive(Debug)]
pub(super) struct Words<'a> {
    frame: &'a [u8],
    at: usize,
}

/// Longest tag: a response repeats it.
const MAX_TAG: usize = 64;
/// Entries of one parenthesised list.
const MAX_LIST: usize = 64;

// === impl Words ===

impl<'a> Words<'a> {
    /// A cursor at the front of a whole command.
    pub(super) fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    /// The next byte, without taking it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    /// Takes this byte.
    pub(super) fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// SP
    pub(super) fn space(&mut self) -> Option<()> {
        self.byte(b' ')
    }

    /// Whether nothing but the line end is left; a space before it is forgiven.
    pub(super) fn is_at_end(&self) -> bool {
        matches!(&self.frame[self.at..], b"" | b"\n" | b"\r\n" | b" \r\n" | b" \n")
    }

    /// tag = 1*<any ASTRING-CHAR except "+">
    pub(super) fn tag(&mut self) -> Option<&'a str> {
        self.ascii(|byte| is_astring_char(byte) && byte != b'+').filter(|tag| tag.len() <= MAX_TAG)
    }

    /// A word of letters, digits, `.` and `-`: what commands, items and keys are called. In capitals.
    pub(super) fn keyword(&mut self) -> Option<String> {
        self.ascii(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
            .map(str::to_ascii_uppercase)
    }

    /// number = 1*DIGIT, below 2^32
    pub(super) fn number(&mut self) -> Option<u32> {
        self.ascii(|byte| byte.is_ascii_digit())?.parse().ok()
    }

    /// astring = 1*ASTRING-CHAR / string
    pub(super) fn astring(&mut self) -> Option<Vec<u8>> {
        match self.peek()? {
            b'"' | b'{' => self.string(),
            _ => self.ascii(is_astring_char).map(|text| text.as_bytes().to_vec()),
        }
    }

    /// astring, where only text makes sense: names of mailboxes and header fields.
    pub(super) fn name(&mut self) -> Option<String> {
        String::from_utf8(self.astring()?).ok()
    }

    /// list-mailbox = 1*list-char / string
    pub(super) fn pattern(&mut self) -> Option<String> {
        match self.peek()? {
            b'"' | b'{' => String::from_utf8(self.string()?).ok(),
            _ => self.ascii(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*')).map(str::to_owned),
        }
    }

    /// string = quoted / literal
    pub(super) fn string(&mut self) -> Option<Vec<u8>> {
        match self.peek()? {
            b'"' => self.quoted(),
            _ => self.literal().map(<[u8]>::to_vec),
        }
    }

    /// literal = "{" number ["+"] "}" CRLF *CHAR8. NUL is no CHAR8.
    pub(super) fn literal(&mut self) -> Option<&'a [u8]> {
        let rest = self.frame.get(self.at..)?;
        rest.strip_prefix(b"{")?;
        let line = rest.iter().position(|&byte| byte == b'\n')?;
        let text = rest[..line].strip_suffix(b"\r").unwrap_or(&rest[..line]);
        if text.iter().rposition(|&byte| byte == b'{') != Some(0) {
            return None;
        }
        let end = (line + 1).checked_add(announced(text)?.octets)?;
        let octets = rest.get(line + 1..end)?;
        self.at += end;
        (!octets.contains(&0)).then_some(octets)
    }

    /// flag = "\" atom / atom
    pub(super) fn flag(&mut self) -> Option<String> {
        let start = self.at;
        let _ = self.byte(b'\\');
        self.ascii(is_astring_char)?;
        std::str::from_utf8(&self.frame[start..self.at]).ok().map(str::to_owned)
    }

    /// flag-list, or flags without the parentheses, which STORE allows. Flags that cannot be kept are left
    /// out.
    pub(super) fn flags(&mut self) -> Option<Flags> {
        let names = if self.peek()? == b'(' {
            self.list(Self::flag)?
        } else {
            let mut names = vec![self.flag()?];
            while !self.is_at_end() && names.len() < MAX_LIST {
                self.space()?;
                names.push(self.flag()?);
            }
            names
        };
        Some(names.iter().filter_map(|name| Flags::canonical(name)).collect())
    }

    /// "(" [item *(SP item)] ")"
    pub(super) fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.byte(b'(')?;
        let mut items = Vec::new();
        while self.peek()? != b')' {
            if items.len() >= MAX_LIST {
                return None;
            }
            if !items.is_empty() {
                self.space()?;
            }
            items.push(item(self)?);
        }
        self.byte(b')')?;
        Some(items)
    }

    /// What is left of the line, without its end.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = &self.frame[self.at..];
        self.at = self.frame.len();
        rest.trim_ascii()
    }

    /// A run of ASCII bytes of that kind; at least one.
    pub(super) fn ascii(&mut self, is_part: impl Fn(u8) -> bool) -> Option<&'a str> {
        let rest = self.frame.get(self.at..)?;
        let length = rest.iter().position(|&byte| !byte.is_ascii() || !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        std::str::from_utf8(&rest[..length]).ok().filter(|text| !text.is_empty())
    }

    /// quoted = DQUOTE *QUOTED-CHAR DQUOTE, with 8-bit bytes allowed: passwords are bytes.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.byte(b'"')?;
        let rest = &self.frame[self.at..];
        // Large enough from the start: a password leaves no copies behind by growth.
        let mut text = Vec::with_capacity(rest.len().min(1024));
        let mut bytes = rest.iter().copied().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.at += at + 1;
                    return Some(text);
                }
                b'\\' => text.push(bytes.next().map(|(_, byte)| byte).filter(|byte| b"\"\\".contains(byte))?),
                b'\r' | b'\n' | 0 => return None,
                _ => text.push(byte),
            }
        }
        None
    }
}

/// ASTRING-CHAR = any CHAR except "(" / ")" / "{" / SP / CTL / "%" / "*" / DQUOTE / "\"
fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn astrings() {
        for (frame, expected, rest) in [
            (&b"alice x"[..], Some(&b"alice"[..]), &b" x"[..]),
            (b"\"a \\\"b\\\\\" x", Some(b"a \"b\\"), b" x"),
            (b"\"\" x", Some(b""), b" x"),
            (b"\"p\xe4ss\"\r\n", Some(b"p\xe4ss"), b"\r\n"),
            (b"{5}\r\na\r\nb) x\r\n", Some(b"a\r\nb)"), b" x\r\n"),
            (b"{2+}\r\nab\r\n", Some(b"ab"), b"\r\n"),
            (b"{3}\r\nab", None, b"{3}\r\nab"),
            (b"{2}\r\na\0\r\n", None, b"\r\n"),
            (b"{1{2}\r\nab", None, b"{1{2}\r\nab"),
            (b"\"open", None, b"open"),
            (b"\"a\\b\"", None, b"a\\b\""),
            (b"", None, b""),
            (b"(", None, b"("),
        ] {
            let mut words = Words::new(frame);
            assert_eq!(words.astring().as_deref(), expected, "{}", frame.escape_ascii());
            assert_eq!(&words.frame[words.at..], rest, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn lists_and_flags() {
        for (frame, expected) in [
            ("(\\Seen $x)\r\n", Some("($x \\Seen)")),
            ("\\seen \\Flagged\r\n", Some("(\\Flagged \\Seen)")),
            ("()\r\n", Some("()")),
            ("(\\Recent)\r\n", Some("()")),
            ("(\\Seen", None),
            ("(\\Seen  $x)", None),
            ("\r\n", None),
        ] {
            let flags = Words::new(frame.as_bytes()).flags().map(|flags| flags.to_string());
            assert_eq!(flags.as_deref(), expected, "{frame}");
        }
        let long = format!("({})", "a ".repeat(MAX_LIST + 1).trim_end());
        assert!(Words::new(long.as_bytes()).list(Words::keyword).is_none());
    }

    #[test]
    fn numbers_and_tags() {
        assert_eq!(Words::new(b"4294967295").number(), Some(u32::MAX));
        assert_eq!(Words::new(b"4294967296").number(), None);
        assert_eq!(Words::new(b"A1.x+").tag(), Some("A1.x"));
        assert_eq!(Words::new(b"+ x").tag(), None);
        assert_eq!(Words::new(&[b'a'; MAX_TAG + 1]).tag(), None);
    }
}
