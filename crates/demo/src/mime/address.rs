//! Addresses of From, To and their kin (RFC 5322 section 3.4), as an envelope wants them.

use super::header::unquote;

/// What stands between two commas.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// One person.
    Mailbox {
        /// Display name, unquoted.
        name: Option<Vec<u8>>,
        /// Left of the `@`.
        local: Vec<u8>,
        /// Right of the `@`; empty when there is none.
        domain: Vec<u8>,
    },
    /// `Friends:` begins a group.
    Group(Vec<u8>),
    /// `;` ends it.
    EndOfGroup,
}

/// Addresses of one field; an envelope shows no more of them.
const MAX_ADDRESSES: usize = 100;

/// Takes an unfolded field apart. Never fails: what makes no sense becomes a local part.
pub(crate) fn parse(value: &[u8]) -> Vec<Address> {
    let mut addresses = Vec::new();
    let mut is_in_group = false;
    let mut piece = Piece::default();
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if addresses.len() >= MAX_ADDRESSES {
            break;
        }
        match byte {
            _ if piece.takes(byte, &mut bytes) => {}
            b',' => addresses.extend(std::mem::take(&mut piece).address()),
            b':' if !is_in_group => {
                is_in_group = true;
                addresses.push(Address::Group(unquoted_words(&std::mem::take(&mut piece).text)));
            }
            b';' if is_in_group => {
                is_in_group = false;
                addresses.extend(std::mem::take(&mut piece).address());
                addresses.push(Address::EndOfGroup);
            }
            _ => piece.text.push(byte),
        }
    }
    addresses.extend(piece.address());
    if is_in_group {
        addresses.push(Address::EndOfGroup);
    }
    addresses
}

/// One address while it is collected.
#[derive(Debug, Default)]
struct Piece {
    /// Outside of angle brackets and comments; quotes are kept.
    text: Vec<u8>,
    /// Inside of angle brackets.
    angle: Option<Vec<u8>>,
    /// The last comment.
    comment: Option<Vec<u8>>,
}

// === impl Piece ===

impl Piece {
    /// Takes a quoted string, a comment or a bracketed address whole, so that nothing in it counts.
    fn takes(&mut self, first: u8, bytes: &mut impl Iterator<Item = u8>) -> bool {
        match first {
            b'"' => {
                self.text.push(b'"');
                self.text.extend(until(bytes, b'"', true));
                self.text.push(b'"');
            }
            b'(' => self.comment = Some(comment(bytes)),
            b'<' => self.angle = Some(until(bytes, b'>', false)),
            _ => return false,
        }
        true
    }

    fn address(self) -> Option<Address> {
        let (name, address) = match self.angle {
            Some(angle) => (Some(unquoted_words(&self.text)), angle),
            None => (self.comment, self.text),
        };
        // A source route is obsolete: "@a,@b:" before the address (RFC 5322 section 4.4).
        let address = address.strip_prefix(b"@").map_or(&address[..], |route| {
            route.iter().position(|&byte| byte == b':').map_or(route, |colon| &route[colon + 1..])
        });
        let address = address.trim_ascii();
        let name = name.filter(|name| !name.is_empty());
        if address.is_empty() && name.is_none() {
            return None;
        }
        let at = address.iter().rposition(|&byte| byte == b'@');
        let (local, domain) =
            at.map_or((address, &b""[..]), |at| (&address[..at], address[at + 1..].trim_ascii()));
        Some(Address::Mailbox { name, local: unquote(local.trim_ascii()), domain: domain.to_vec() })
    }
}

/// Bytes up to `end`, which is taken too. With `escapes`, a backslash keeps its byte from ending it.
fn until(bytes: &mut impl Iterator<Item = u8>, end: u8, escapes: bool) -> Vec<u8> {
    let mut inner = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == end {
            break;
        }
        inner.push(byte);
        if escapes && byte == b'\\' {
            inner.extend(bytes.next());
        }
    }
    inner
}

/// A comment without its parentheses; those inside of it are kept.
fn comment(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut inner = Vec::new();
    let mut depth = 1_usize;
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => {
                inner.extend(bytes.next());
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        inner.push(byte);
    }
    inner.trim_ascii().to_vec()
}

/// phrase = 1*(atom / quoted-string), without quotes.
fn unquoted_words(text: &[u8]) -> Vec<u8> {
    let mut words = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {}
            b'\\' => words.extend(bytes.next()),
            _ => words.push(byte),
        }
    }
    words.trim_ascii().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mailbox(name: Option<&str>, local: &str, domain: &str) -> Address {
        let name = name.map(|name| name.as_bytes().to_vec());
        Address::Mailbox { name, local: local.into(), domain: domain.into() }
    }

    #[test]
    fn addresses() {
        for (value, expected) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("a@b", vec![mailbox(None, "a", "b")]),
            ("<a@b>", vec![mailbox(None, "a", "b")]),
            ("Ann B. <a@b>, c@d", vec![mailbox(Some("Ann B."), "a", "b"), mailbox(None, "c", "d")]),
            ("\"B, \\\"Ann\\\"\" <a@b>", vec![mailbox(Some("B, \"Ann\""), "a", "b")]),
            ("a@b (Ann (the) B)", vec![mailbox(Some("Ann (the) B"), "a", "b")]),
            ("<@x,@y:a@b>", vec![mailbox(None, "a", "b")]),
            ("\"a@x\"@b", vec![mailbox(None, "a@x", "b")]),
            ("postmaster", vec![mailbox(None, "postmaster", "")]),
            ("Nobody <>", vec![mailbox(Some("Nobody"), "", "")]),
            (
                "Us: a@b, c@d;, e@f",
                vec![
                    Address::Group(b"Us".to_vec()),
                    mailbox(None, "a", "b"),
                    mailbox(None, "c", "d"),
                    Address::EndOfGroup,
                    mailbox(None, "e", "f"),
                ],
            ),
            ("undisclosed:;", vec![Address::Group(b"undisclosed".to_vec()), Address::EndOfGroup]),
            (
                "open: a@b",
                vec![Address::Group(b"open".to_vec()), mailbox(None, "a", "b"), Address::EndOfGroup],
            ),
            ("\"open", vec![mailbox(None, "open", "")]),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn no_more_than_an_envelope_shows() {
        assert!(parse("a@b,".repeat(10_000).as_bytes()).len() <= MAX_ADDRESSES + 2);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[ab@<>():;,\"\\\\ ]{0,40}") {
            let groups = parse(value.as_bytes());
            let opened = groups.iter().filter(|address| matches!(address, Address::Group(_))).count();
            let closed = groups.iter().filter(|address| **address == Address::EndOfGroup).count();
            prop_assert_eq!(opened, closed);
        }
    }
}
