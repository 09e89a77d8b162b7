//! Finds the end of a command or response: lines, and the literals at their ends (RFC 9051 section 4.3, RFC 5804 section
//! 1.2). IMAP and ManageSieve share it.
//!
//! Framing precedes parsing, so that an invalid command is skipped with its literals, and the octets of a literal are never
//! read as commands.

use crate::line::{LineFinder, LineSearch};

/// Finds the end of the command or response at the start of an inbox.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    lines: LineFinder,
    /// The start of the current line: the end of the last literal.
    line_start: usize,
    /// The end of the current literal.
    literal_end: usize,
}

/// The limits of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Longest line without literals, in bytes.
    pub line: usize,
    /// Longest frame, in bytes.
    pub whole: usize,
    /// Longest non-synchronizing literal (RFC 7888's LITERAL-: 4096).
    pub non_synchronizing: usize,
}

/// The result of [`Framer::next`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextFrame {
    /// The frame is incomplete.
    NeedMore,
    /// A line that ends with the header of a synchronizing literal.
    SynchronizingLiteral {
        /// Length up to the end of that line, in bytes.
        line_end: usize,
    },
    /// A complete frame of this many bytes, with its line end.
    Whole(usize),
    /// The frame exceeds the limits.
    TooLong,
}

/// The header of a literal at the end of a line: literal = "{" number ["+"] "}" CRLF
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LiteralHeader {
    /// Octets to come.
    pub octets: usize,
    /// Whether the sender waits for a continuation request.
    pub synchronizing: bool,
    /// Length of `{n}` itself.
    pub length: usize,
}

// === impl Framer ===

impl Framer {
    /// Continues the search; `unread` must start where it started in the last call. Each synchronizing literal is
    /// reported once.
    pub(crate) fn next(&mut self, unread: &[u8], bounds: Bounds) -> NextFrame {
        loop {
            if unread.len() < self.literal_end {
                return NextFrame::NeedMore;
            }
            let line = match self.lines.find(&unread[self.line_start..], bounds.line) {
                LineSearch::NeedMore if unread.len() >= bounds.whole => {
                    return self.finish(NextFrame::TooLong);
                }
                LineSearch::NeedMore => return NextFrame::NeedMore,
                LineSearch::TooLong => return self.finish(NextFrame::TooLong),
                LineSearch::Found(line) => line,
            };
            let line_end = self.line_start + line.whole;
            let text = &unread[self.line_start..self.line_start + line.text];
            let Some(literal) = literal_header(text) else {
                return self.finish(NextFrame::Whole(line_end));
            };
            let end = line_end.saturating_add(literal.octets);
            if end >= bounds.whole || (!literal.synchronizing && literal.octets > bounds.non_synchronizing) {
                return self.finish(NextFrame::TooLong);
            }
            self.line_start = end;
            self.literal_end = end;
            if literal.synchronizing {
                return NextFrame::SynchronizingLiteral { line_end };
            }
        }
    }

    fn finish(&mut self, framed: NextFrame) -> NextFrame {
        *self = Self::default();
        framed
    }
}

/// Returns the header of the literal at the end of `line` (without its line end). A number too large for `usize` counts as
/// the largest one, which exceeds every limit.
pub(crate) fn literal_header(line: &[u8]) -> Option<LiteralHeader> {
    let inner = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inner)?;
    let number = &inner[open + 1..];
    let (digits, synchronizing) = number.strip_suffix(b"+").map_or((number, true), |digits| (digits, false));
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let octets = digits
        .iter()
        .fold(0_usize, |n, digit| n.saturating_mul(10).saturating_add(usize::from(digit - b'0')));
    Some(LiteralHeader { octets, synchronizing, length: line.len() - open })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { line: 64, whole: 128, non_synchronizing: 40 };

    #[test]
    fn literal_headers() {
        let found = |octets, synchronizing, length| Some(LiteralHeader { octets, synchronizing, length });
        for (line, expected) in [
            (&b"a LOGIN {5}"[..], found(5, true, 3)),
            (b"a LOGIN {5+}", found(5, false, 4)),
            (b"{0}", found(0, true, 3)),
            (b"{007}", found(7, true, 5)),
            (b"{99999999999999999999999}", found(usize::MAX, true, 25)),
            (b"{}", None),
            (b"{+}", None),
            (b"{5 }", None),
            (b"{-5}", None),
            (b"{5} ", None),
            (b"5}", None),
            (b"}", None),
            (b"", None),
        ] {
            assert_eq!(literal_header(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn commands_are_framed_with_their_literals() {
        for (unread, expected) in [
            (&b"a NOOP"[..], vec![NextFrame::NeedMore]),
            (b"a NOOP\r\nb", vec![NextFrame::Whole(8)]),
            (b"a X {3+}\r\n\r\n\r b\r\nc", vec![NextFrame::Whole(17)]),
            (
                b"a X {3}\r\n\r\n\r b\r\nc",
                vec![NextFrame::SynchronizingLiteral { line_end: 9 }, NextFrame::Whole(16)],
            ),
            (b"a X {3}\r\n\r\n", vec![NextFrame::SynchronizingLiteral { line_end: 9 }, NextFrame::NeedMore]),
            (b"a X {41+}\r\n", vec![NextFrame::TooLong]),
            (b"a X {200}\r\n", vec![NextFrame::TooLong]),
            (&[b'x'; 65], vec![NextFrame::TooLong]),
        ] {
            let mut framer = Framer::default();
            for framed in expected {
                assert_eq!(framer.next(unread, BOUNDS), framed, "{}", unread.escape_ascii());
            }
        }
    }

    #[test]
    fn frames_that_arrive_byte_by_byte() {
        let whole = b"a LOGIN {5+}\r\na\r\nb\n {4}\r\n{9}\r\r\n";
        let mut framer = Framer::default();
        let mut announced = 0;
        for end in 0..whole.len() {
            match framer.next(&whole[..end], BOUNDS) {
                NextFrame::NeedMore => {}
                NextFrame::SynchronizingLiteral { line_end } => {
                    announced += 1;
                    assert_eq!(line_end, 25);
                }
                framed => panic!("{framed:?} after {end} bytes"),
            }
        }
        assert_eq!(announced, 1);
        assert_eq!(framer.next(whole, BOUNDS), NextFrame::Whole(whole.len()));
    }
}
