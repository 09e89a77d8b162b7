//! Finding line ends in an inbox without looking at any byte twice.
//!
//! A peer may send a 64 KiB line one byte at a time. A reader that starts from the front at every byte would
//! do two thousand million steps for it; this one remembers how far it has looked.

/// Looks for the next line. One per reader; see [`Lines::find`].
#[derive(Debug, Default)]
pub struct Lines {
    /// Invariant: no line end in the first `scanned` unread bytes.
    scanned: usize,
}

/// What [`Lines::find`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// No line end yet.
    NeedMore,
    /// A whole line.
    Line(Line),
    /// No line end within the limit.
    TooLong,
}

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bytes of text.
    pub text: usize,
    /// Bytes with the line end: what to consume.
    pub whole: usize,
}

// === impl Lines ===

impl Lines {
    /// A reader at the start of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self { scanned: 0 }
    }

    /// Looks for a line end in `unread`, the inbox from the same start as last time. After a
    /// [`Found::Line`] the caller consumes it, and the reader is at the start of the next one.
    pub fn find(&mut self, unread: &[u8], limit: usize) -> Found {
        let Some(at) = memchr::memchr(b'\n', &unread[self.scanned..]).map(|at| at + self.scanned) else {
            self.scanned = unread.len();
            return if unread.len() > limit { Found::TooLong } else { Found::NeedMore };
        };
        self.scanned = 0;
        if at > limit {
            return Found::TooLong;
        }
        Found::Line(Line { text: at - usize::from(unread[..at].ends_with(b"\r")), whole: at + 1 })
    }
}

// === impl Line ===

impl Line {
    /// Whether the line ends in a bare LF.
    #[must_use]
    pub const fn is_bare(self) -> bool {
        self.whole - self.text == 1
    }
}

/// Whether a line is an HTTP request: a browser's, made to carry commands to a mail server (cross-protocol
/// scripting). Its body must not be read as commands, so the connection ends at once.
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
            (&b""[..], Found::NeedMore),
            (b"NOOP", Found::NeedMore),
            (b"NOOP\r", Found::NeedMore),
            (b"NOOP\r\n", Found::Line(Line { text: 4, whole: 6 })),
            (b"NOOP\nQUIT\r\n", Found::Line(Line { text: 4, whole: 5 })),
            (b"\n", Found::Line(Line { text: 0, whole: 1 })),
            (b"12345678\r\n", Found::TooLong),
            (b"123456789", Found::TooLong),
        ] {
            assert_eq!(Lines::new().find(unread, 8), expected, "{:?}", unread.escape_ascii().to_string());
        }
    }

    #[test]
    fn browsers_are_known_by_their_request_line() {
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
    fn a_dripped_line_is_found_at_its_last_byte() {
        let whole = b"a NOOP\r\n";
        let mut lines = Lines::new();
        for end in 0..whole.len() {
            assert_eq!(lines.find(&whole[..end], 100), Found::NeedMore);
        }
        assert_eq!(lines.find(whole, 100), Found::Line(Line { text: 6, whole: 8 }));
        assert!(Line { text: 4, whole: 5 }.is_bare());
    }
}
