//! Finds out whether the server side of an IMAP session is between two responses.
//!
//! Only there may a `BYE` be inserted: within a line or within the octets of a literal, the client would read it as part of
//! a message. The cost is one `memchr` per line; the octets of a literal are skipped by count.

/// Follows the bytes from server to client, from a boundary on.
#[derive(Debug, Clone, Default)]
pub struct Boundary {
    /// The remaining octets of a literal.
    literal: u64,
    /// The last bytes of the current line: as many as the header of a literal can have.
    tail: Tail,
    within_line: bool,
}

/// The last bytes of an unfinished line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    bytes: [u8; MAX_HEADER],
    length: usize,
}

/// The header of a literal at the end of a line: `{n}`, `{n+}` or `~{n}` (RFC 9051 section 9: literal, literal8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LiteralHeader {
    pub(crate) octets: u64,
    /// Without a `+`: the octets follow after a continuation request.
    pub(crate) is_synchronizing: bool,
}

/// Longest header of a literal: `{`, the twenty digits of the largest number, `+`, `}` and CR.
const MAX_HEADER: usize = 24;

// === impl Boundary ===

impl Boundary {
    /// Processes the next bytes for the client, and passes the first byte of each response to `begins`.
    pub fn feed(&mut self, mut bytes: &[u8], mut begins: impl FnMut(u8)) {
        while let Some(&first) = bytes.first() {
            if self.at_boundary() {
                begins(first);
            }
            if self.literal > 0 {
                let passed = usize::try_from(self.literal).unwrap_or(usize::MAX).min(bytes.len());
                self.literal -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                self.tail.push(bytes);
                self.within_line = true;
                return;
            };
            self.tail.push(&bytes[..end]);
            let header = self.tail.header();
            self.literal = header.map_or(0, |header| header.octets);
            // The line continues after a literal, even an empty one.
            self.within_line = header.is_some();
            self.tail.clear();
            bytes = &bytes[end + 1..];
        }
    }

    /// Returns whether the next byte starts a response.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        self.literal == 0 && !self.within_line
    }

    /// Returns the remaining octets of a literal, which need not be fed.
    #[must_use]
    pub const fn unseen(&self) -> u64 {
        self.literal
    }

    /// Skips `count` octets of a literal.
    pub const fn skip(&mut self, count: u64) {
        self.literal = self.literal.saturating_sub(count);
    }
}

// === impl Tail ===

impl Tail {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(MAX_HEADER)..];
        let old = self.length.min(MAX_HEADER - kept.len());
        self.bytes.copy_within(self.length - old..self.length, 0);
        self.bytes[old..old + kept.len()].copy_from_slice(kept);
        self.length = old + kept.len();
    }

    pub(crate) const fn clear(&mut self) {
        self.length = 0;
    }

    /// Returns the header at the end of the line.
    pub(crate) fn header(&self) -> Option<LiteralHeader> {
        let line = &self.bytes[..self.length];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let inner = line.strip_suffix(b"}")?;
        let is_synchronizing = !inner.ends_with(b"+");
        let inner = inner.strip_suffix(b"+").unwrap_or(inner);
        let open = memchr::memrchr(b'{', inner)?;
        let digits = &inner[open + 1..];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let octets = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(LiteralHeader { octets, is_synchronizing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn after(bytes: &[u8]) -> (bool, u64) {
        let mut boundary = Boundary::default();
        boundary.feed(bytes, |_| {});
        (boundary.at_boundary(), boundary.unseen())
    }

    #[test]
    fn boundaries() {
        for (bytes, expected) in [
            (&b""[..], (true, 0)),
            (b"* OK\r\n", (true, 0)),
            (b"* OK\r", (false, 0)),
            (b"* 1 FETCH (BODY[] {5}\r\n", (false, 5)),
            (b"* 1 FETCH (BODY[] {5}\r\na\r\nb", (false, 1)),
            (b"* 1 FETCH (BODY[] {5}\r\na\r\nbc", (false, 0)),
            (b"* 1 FETCH (BODY[] {5}\r\na\r\nbc)\r\n", (true, 0)),
            (b"* 1 FETCH (BINARY[] ~{2}\r\n\n\n FLAGS ())\r\n", (true, 0)),
            (b"* 1 FETCH (BODY[] {0}\r\n", (false, 0)),
            (b"* 1 FETCH (BODY[] {0}\r\n)\r\n", (true, 0)),
            (b"a OK {5} is no literal\r\n", (true, 0)),
            (b"a OK {x}\r\n", (true, 0)),
            (b"{99999999999999999999999999}\r\n", (true, 0)),
            (b"x {3+}\nabc\n", (true, 0)),
            (b"+ idling\r\n", (true, 0)),
            (b"* X {10}\r\n{1} {2}\r\n{", (false, 0)),
            (b"* X {1}\r\na {2}\r\nbc {3}\r\nde", (false, 1)),
            (b"* X {18446744073709551615}\r\n", (false, u64::MAX)),
            (b"* X {5} \r\n", (true, 0)),
            (b"* X {5}}\r\n", (true, 0)),
            (b"* X {-1}\r\n", (true, 0)),
            (b"* X {+}\r\n", (true, 0)),
            (b"{5}\r\n", (false, 5)),
            (b"* a line longer than an announcement {4}\r\nabcd, and again longer {1}\r\n", (false, 1)),
        ] {
            assert_eq!(after(bytes), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn literals_can_be_skipped() {
        let mut boundary = Boundary::default();
        boundary.feed(b"* 1 FETCH (BODY[] {1000000000000}\r\nabc", |_| {});
        boundary.skip(999_999_999_990);
        assert_eq!((boundary.at_boundary(), boundary.unseen()), (false, 7));
        boundary.feed(b"1234567)", |_| {});
        assert_eq!((boundary.at_boundary(), boundary.unseen()), (false, 0));
        boundary.feed(b"\r\n", |_| {});
        assert!(boundary.at_boundary());
    }

    #[test]
    fn the_first_byte_of_each_response_is_reported() {
        let mut boundary = Boundary::default();
        let mut firsts = Vec::new();
        for bytes in [&b"* 1 FETCH (BODY[] {3}\r"[..], b"\na\n+", b"x)\r\n+ go on\r\na", b" OK\r\n"] {
            boundary.feed(bytes, |first| firsts.push(first));
        }
        assert_eq!(firsts, b"*+a");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            text in "([a-z]{0,30}|\\{[0-9]{1,2}\\+?\\}|\r|\n|\r\n){0,40}",
            size in 1_usize..8,
        ) {
            let mut pieces = Boundary::default();
            for piece in text.as_bytes().chunks(size) {
                pieces.feed(piece, |_| {});
            }
            prop_assert_eq!((pieces.at_boundary(), pieces.unseen()), after(text.as_bytes()));
        }
    }
}
