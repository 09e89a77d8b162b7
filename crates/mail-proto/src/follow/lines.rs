//! Lines as they pass, and lines that contain literals.
//!
//! The cost is one `memchr` for each line. Of a line, its first bytes are kept, which name the command or the response,
//! and its last ones, which announce a literal.

/// The first bytes of a line: a tag and the words after it, or a number of BDAT.
const HEAD: usize = 48;
/// Longest header of a literal: `{`, the twenty digits of the largest number, `+`, `}` and CR.
const TAIL: usize = 24;

/// Follows lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    head: Kept<HEAD>,
    is_inside: bool,
}

/// Follows lines whose literals belong to them (RFC 9051 section 4.3, RFC 5804 section 4).
#[derive(Debug, Default)]
pub(crate) struct LiteralLines {
    lines: Lines,
    tail: Tail,
    /// The remaining octets of a literal.
    literal: u64,
    /// The line goes on after a literal.
    is_continued: bool,
    /// The peer must agree before the literal is sent, and none of it was sent.
    is_announced: bool,
}

/// Returns whether `word` is `name`, in any case.
pub(crate) fn is_word(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// The last bytes of an unfinished line: as many as the header of a literal can have.
#[derive(Debug, Default)]
pub(crate) struct Tail(Kept<TAIL>);

/// A few bytes of a line.
#[derive(Debug)]
struct Kept<const LENGTH: usize> {
    bytes: [u8; LENGTH],
    length: u8,
}

/// A literal that a line announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Literal {
    pub(crate) octets: u64,
    /// `{n}`, which waits for the peer, unlike `{n+}`.
    pub(crate) is_synchronizing: bool,
}

// === impl Lines ===

impl Lines {
    /// Processes bytes up to the end of a line, and returns what follows it; `None` if the line does not end.
    pub(crate) fn next<'b>(&mut self, bytes: &'b [u8]) -> Option<&'b [u8]> {
        if bytes.is_empty() {
            return None;
        }
        if !self.is_inside {
            self.head.length = 0;
        }
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            self.is_inside = true;
            self.head.push_first(bytes);
            return None;
        };
        self.head.push_first(&bytes[..end]);
        self.is_inside = false;
        Some(&bytes[end + 1..])
    }

    /// Continues after bytes that were not seen, somewhere in a line.
    pub(crate) fn lose_place(&mut self) {
        self.is_inside = true;
        // So that the line looks like no other.
        self.head.push_first(&[0; HEAD]);
    }

    /// Returns whether the next byte starts a line.
    pub(crate) const fn at_start(&self) -> bool {
        !self.is_inside
    }

    /// Returns the first bytes of the line, without CR LF.
    pub(crate) fn head(&self) -> &[u8] {
        self.head.text()
    }

    /// Returns the words of the first bytes.
    pub(crate) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.head().split(|&byte| byte == b' ').filter(|word| !word.is_empty())
    }
}

// === impl LiteralLines ===

impl LiteralLines {
    /// Processes bytes up to the end of a line and its literals, and returns what follows it; `None` if the line does
    /// not end.
    pub(crate) fn next<'b>(&mut self, mut bytes: &'b [u8]) -> Option<&'b [u8]> {
        loop {
            if bytes.is_empty() {
                return None;
            }
            if self.literal > 0 {
                let passed = bytes.len().min(usize::try_from(self.literal).unwrap_or(usize::MAX));
                self.skip(passed as u64);
                bytes = &bytes[passed..];
                continue;
            }
            self.is_announced = false;
            let end = memchr::memchr(b'\n', bytes);
            self.tail.push(&bytes[..end.unwrap_or(bytes.len())]);
            if self.is_continued {
                // The head stays that of the first part.
                bytes = &bytes[end? + 1..];
            } else {
                bytes = self.lines.next(bytes)?;
            }
            let literal = self.tail.literal();
            self.tail.clear();
            let Some(Literal { octets, is_synchronizing }) = literal else {
                self.is_continued = false;
                return Some(bytes);
            };
            self.is_continued = true;
            self.literal = octets;
            self.is_announced = is_synchronizing;
        }
    }

    /// Returns whether the next byte starts a line.
    pub(crate) const fn at_start(&self) -> bool {
        self.lines.at_start() && !self.is_continued
    }

    /// Returns the first bytes of the line, without CR LF.
    pub(crate) fn head(&self) -> &[u8] {
        self.lines.head()
    }

    /// Returns the words of the first bytes.
    pub(crate) fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.words()
    }

    /// Returns the remaining octets of a literal, which need not be processed.
    pub(crate) const fn literal(&self) -> u64 {
        self.literal
    }

    /// Skips `count` octets of a literal.
    pub(crate) const fn skip(&mut self, count: u64) {
        self.literal = self.literal.saturating_sub(count);
        self.is_announced = false;
    }

    /// Gives up a line whose literal the peer has refused instead of agreeing to it. Returns whether there was one.
    pub(crate) fn refuse_literal(&mut self) -> bool {
        let is_refused = std::mem::take(&mut self.is_announced);
        if is_refused {
            self.literal = 0;
            self.is_continued = false;
        }
        is_refused
    }
}

// === impl Tail ===

impl Tail {
    /// Appends bytes of the line, and drops the oldest that find no room.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let added = &bytes[bytes.len().saturating_sub(TAIL)..];
        let length = self.0.len();
        let kept = length.min(TAIL - added.len());
        self.0.bytes.copy_within(length - kept..length, 0);
        self.0.bytes[kept..kept + added.len()].copy_from_slice(added);
        self.0.set_len(kept + added.len());
    }

    /// Forgets the line.
    pub(crate) const fn clear(&mut self) {
        self.0.length = 0;
    }

    /// Returns the literal that `{n}`, `{n+}` or `~{n}` at the end announces (RFC 9051 section 9: literal, literal8).
    pub(crate) fn literal(&self) -> Option<Literal> {
        let inner = self.0.text().strip_suffix(b"}")?;
        let is_synchronizing = !inner.ends_with(b"+");
        let inner = inner.strip_suffix(b"+").unwrap_or(inner);
        let open = memchr::memrchr(b'{', inner)?;
        let digits = &inner[open + 1..];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let octets = std::str::from_utf8(digits).ok()?.parse().ok()?;
        Some(Literal { octets, is_synchronizing })
    }
}

// === impl Kept ===

impl<const LENGTH: usize> Default for Kept<LENGTH> {
    fn default() -> Self {
        Self { bytes: [0; LENGTH], length: 0 }
    }
}

impl<const LENGTH: usize> Kept<LENGTH> {
    fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Appends bytes as long as there is room.
    fn push_first(&mut self, bytes: &[u8]) {
        let length = self.len();
        let added = bytes.len().min(LENGTH - length);
        self.bytes[length..length + added].copy_from_slice(&bytes[..added]);
        self.set_len(length + added);
    }

    /// `LENGTH` fits in a byte.
    fn set_len(&mut self, length: usize) {
        self.length = u8::try_from(length).unwrap_or(u8::MAX);
    }

    fn text(&self) -> &[u8] {
        let text = &self.bytes[..self.len()];
        text.strip_suffix(b"\r").unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns whether a line may start after `bytes`, and the octets of a literal that are left.
    fn after(pieces: &[&[u8]]) -> (bool, u64) {
        let mut lines = LiteralLines::default();
        for piece in pieces {
            let mut rest = *piece;
            while let Some(after) = lines.next(rest) {
                rest = after;
            }
        }
        (lines.at_start(), lines.literal())
    }

    #[test]
    fn literals_belong_to_their_line() {
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
            assert_eq!(after(&[bytes]), expected, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn literals_can_be_skipped() {
        let mut lines = LiteralLines::default();
        assert!(lines.next(b"* 1 FETCH (BODY[] {1000000000000}\r\nabc").is_none());
        lines.skip(999_999_999_990);
        assert_eq!(lines.literal(), 7);
        assert!(lines.next(b"1234567)").is_none());
        assert!(!lines.at_start());
        assert_eq!(lines.next(b"\r\n* 2"), Some(&b"* 2"[..]));
        assert_eq!(lines.words().nth(2), Some(&b"FETCH"[..]), "the head is that of the first part");
    }

    #[test]
    fn only_an_announced_literal_can_be_refused() {
        let mut lines = LiteralLines::default();
        assert!(lines.next(b"a APPEND x {10}\r\n").is_none());
        assert!(lines.refuse_literal() && lines.at_start() && lines.literal() == 0);
        assert!(lines.next(b"a APPEND x {10}\r\n1").is_none());
        assert!(!lines.refuse_literal() && lines.literal() == 9);
        let mut lines = LiteralLines::default();
        assert!(lines.next(b"a APPEND x {10+}\r\n").is_none());
        assert!(!lines.refuse_literal(), "sent without asking");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            text in "([a-z]{0,30}|\\{[0-9]{1,2}\\+?\\}|\r|\n|\r\n){0,40}",
            size in 1_usize..8,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(after(&pieces), after(&[text.as_bytes()]));
        }
    }
}
