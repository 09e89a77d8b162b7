//! Finds line ends in an inbox without looking at any byte twice.
//!
//! A peer may send a line of 64 KiB one byte at a time. A search from the start of the line at every byte would take
//! two thousand million steps; the [`LineFinder`] remembers how far it has searched.

/// Finds the next line. One per reader; see [`LineFinder::find`].
#[derive(Debug, Default)]
pub struct LineFinder {
    /// Invariant: no line end in the first `scanned` unread bytes.
    scanned: usize,
}

/// The result of [`LineFinder::find`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSearch {
    /// There is no line end yet.
    NeedMore,
    /// A complete line.
    Found(LineSpan),
    /// There is no line end within the limit.
    TooLong,
}

/// The extent of a line at the start of an inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineSpan {
    /// Length without the line end, in bytes.
    pub text: usize,
    /// Length with the line end, in bytes: what the caller consumes.
    pub whole: usize,
}

// === impl LineFinder ===

impl LineFinder {
    /// Creates a finder at the start of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self { scanned: 0 }
    }

    /// Searches `unread`, the inbox from the same start as in the last call. After [`LineSearch::Found`] the caller
    /// consumes the line, and the finder is at the start of the next one.
    pub fn find(&mut self, unread: &[u8], limit: usize) -> LineSearch {
        let Some(at) = memchr::memchr(b'\n', &unread[self.scanned..]).map(|at| at + self.scanned) else {
            self.scanned = unread.len();
            return if unread.len() > limit { LineSearch::TooLong } else { LineSearch::NeedMore };
        };
        self.scanned = 0;
        if at > limit {
            return LineSearch::TooLong;
        }
        LineSearch::Found(LineSpan { text: at - usize::from(unread[..at].ends_with(b"\r")), whole: at + 1 })
    }
}

// === impl LineSpan ===

impl LineSpan {
    /// Returns whether the line ends in a bare LF.
    #[must_use]
    pub const fn is_bare(self) -> bool {
        self.whole - self.text == 1
    }
}

/// Returns whether a line that is no command of the protocol is an HTTP request line: a web page made a browser connect
/// to a mail port (cross-protocol scripting). The request's body must not be read as commands, so the connection is
/// closed at once.
#[must_use]
pub fn is_http_request(line: &[u8]) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let method = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) && version.starts_with(b"HTTP/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_lines() {
        for (unread, expected) in [
            (&b""[..], LineSearch::NeedMore),
            (b"NOOP", LineSearch::NeedMore),
            (b"NOOP\r", LineSearch::NeedMore),
            (b"NOOP\r\n", LineSearch::Found(LineSpan { text: 4, whole: 6 })),
            (b"NOOP\nQUIT\r\n", LineSearch::Found(LineSpan { text: 4, whole: 5 })),
            (b"\n", LineSearch::Found(LineSpan { text: 0, whole: 1 })),
            (b"12345678\r\n", LineSearch::TooLong),
            (b"123456789", LineSearch::TooLong),
        ] {
            assert_eq!(
                LineFinder::new().find(unread, 8),
                expected,
                "{:?}",
                unread.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn recognises_http_request_lines() {
        for (line, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], true),
            (b"POST /x y HTTP/1.0\n", true),
            (b"PRI * HTTP/2.0", true),
            (b"a LOGIN HTTP/1.1 x", false),
            (b"a NOOP\r\n", false),
            (b" HTTP/1.1", false),
            (b"", false),
        ] {
            assert_eq!(is_http_request(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_line_that_arrives_byte_by_byte_is_found_at_its_last_byte() {
        let whole = b"a NOOP\r\n";
        let mut finder = LineFinder::new();
        for end in 0..whole.len() {
            assert_eq!(finder.find(&whole[..end], 100), LineSearch::NeedMore);
        }
        assert_eq!(finder.find(whole, 100), LineSearch::Found(LineSpan { text: 6, whole: 8 }));
        assert!(LineSpan { text: 4, whole: 5 }.is_bare());
    }
}
