//! Where a command ends: its line, and the literals at line ends (RFC 3501 section 7.5, RFC 7888).
//!
//! Framing comes before parsing, so that the bytes of a literal are never taken for a command.

use mail_proto::line::{Found, Lines};

/// Finds the end of the command at the front of an inbox.
#[derive(Debug, Default)]
pub(super) struct Framer {
    lines: Lines,
    /// Where the current line begins: behind the last literal.
    line_start: usize,
}

/// What [`Framer::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framed {
    /// Not whole yet.
    NeedMore,
    /// The client waits for leave to send a literal.
    Announced,
    /// A whole command of this many bytes.
    Whole(usize),
    /// A literal that would be too long was announced by the command of this many bytes; it is not on its
    /// way.
    Refused(usize),
    /// Too long, and on its way.
    TooLong,
}

/// Longest line in bytes, literals not counted: room for long sets of message numbers.
const MAX_LINE: usize = 16 * 1024;

// === impl Framer ===

impl Framer {
    /// Goes on from where it was; `unread` must begin where it began last time. [`Framed::Announced`] is told
    /// once for each literal. No command is longer than `most` bytes.
    pub(super) fn next(&mut self, unread: &[u8], most: usize) -> Framed {
        loop {
            if unread.len() < self.line_start {
                return Framed::NeedMore;
            }
            let line = match self.lines.find(&unread[self.line_start..], MAX_LINE) {
                Found::NeedMore if unread.len() >= most => return Framed::TooLong,
                Found::NeedMore => return Framed::NeedMore,
                Found::TooLong => return Framed::TooLong,
                Found::Line(line) => line,
            };
            let line_end = self.line_start + line.whole;
            let literal = announced(&unread[self.line_start..self.line_start + line.text]);
            let Some(literal) = literal else {
                *self = Self::default();
                return if line_end > most { Framed::TooLong } else { Framed::Whole(line_end) };
            };
            let end = line_end.saturating_add(literal.octets);
            if end >= most {
                *self = Self::default();
                return if literal.is_asked_for { Framed::Refused(line_end) } else { Framed::TooLong };
            }
            self.line_start = end;
            if literal.is_asked_for {
                return Framed::Announced;
            }
        }
    }
}

/// literal = "{" number ["+"] "}" CRLF *CHAR8
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) octets: usize,
    /// Whether the client waits for leave.
    is_asked_for: bool,
}

/// The literal that a line (without its end) announces.
pub(super) fn announced(line: &[u8]) -> Option<Literal> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|&byte| byte == b'{')?;
    let number = &inner[open + 1..];
    let (digits, is_asked_for) = number.strip_suffix(b"+").map_or((number, true), |digits| (digits, false));
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let octets = digits.iter().fold(0_usize, |octets, digit| {
        octets.saturating_mul(10).saturating_add(usize::from(digit.wrapping_sub(b'0')))
    });
    is_number.then_some(Literal { octets, is_asked_for })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_with_their_literals() {
        for (unread, expected) in [
            (&b"a NOOP"[..], vec![Framed::NeedMore]),
            (b"a NOOP\r\nb", vec![Framed::Whole(8)]),
            (b"a NOOP\nb", vec![Framed::Whole(7)]),
            (b"a X {3+}\r\n\r\n\r b\r\nc", vec![Framed::Whole(17)]),
            (b"a X {3}\r\n\r\n\r b\r\nc", vec![Framed::Announced, Framed::Whole(16)]),
            (b"a X {3}\r\n\r", vec![Framed::Announced, Framed::NeedMore]),
            (b"a X {100}\r\nb", vec![Framed::Refused(11)]),
            (b"a X {100+}\r\n", vec![Framed::TooLong]),
            (b"a X {99999999999999999999999}\r\n", vec![Framed::Refused(31)]),
            (b"a X {}\r\n", vec![Framed::Whole(8)]),
            (&[b'x'; 100], vec![Framed::TooLong]),
        ] {
            let mut framer = Framer::default();
            for framed in expected {
                assert_eq!(framer.next(unread, 64), framed, "{}", unread.escape_ascii());
            }
        }
    }

    #[test]
    fn a_line_has_a_bound_of_its_own() {
        let mut long = vec![b'x'; MAX_LINE + 1];
        assert_eq!(Framer::default().next(&long, usize::MAX), Framed::TooLong);
        long.truncate(MAX_LINE);
        long.extend(b"\r\n");
        assert_eq!(Framer::default().next(&long, usize::MAX), Framed::TooLong);
    }
}
