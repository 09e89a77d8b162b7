//! The id that names a session in the log, in the headers sent to backends and in the session list.
//!
//! An id is random, so that a client cannot guess the id of another session. It must never reveal anything about its
//! session: no time, no counter, no account.

use std::fmt;

/// Letters of an id.
const LETTERS: usize = 16;
/// Random bytes of an id: 80 bits are 16 letters of 5 bits, without padding.
const BYTES: usize = 10;
/// base32 (RFC 4648, section 6), in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The id of a session: 16 characters of base32 in lower case, 80 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; LETTERS]);

// === impl SessionId ===

impl SessionId {
    /// Returns a new random id.
    ///
    /// # Panics
    /// Panics when the system's random source fails. No TLS handshake works then either.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs every time would surprise")]
    pub fn new() -> Self {
        let mut random = [0; BYTES];
        // AWS-LC seeds itself from the kernel once and cannot run out afterwards; no input can make this fail.
        aws_lc_rs::rand::fill(&mut random).expect("the system's random source works");
        Self(letters(random))
    }

    /// Reads an id that another process or an operator wrote. Returns `None` unless it is 16 letters of the alphabet.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; LETTERS] = text.as_bytes().try_into().ok()?;
        letters.iter().all(|letter| ALPHABET.contains(letter)).then_some(Self(letters))
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Invariant: every constructor uses letters of the alphabet, which is ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn letters(bytes: [u8; BYTES]) -> [u8; LETTERS] {
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let mut shift = 5 * LETTERS;
    [(); LETTERS].map(|()| {
        shift -= 5;
        let [.., low] = (bits >> shift).to_be_bytes();
        ALPHABET[usize::from(low & 31)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_base32() {
        // `printf 'foobarbaz!' | base32`, and the two ends of the range.
        for (bytes, expected) in [
            (*b"foobarbaz!", "mzxw6ytbojrgc6rb"),
            ([0; 10], "aaaaaaaaaaaaaaaa"),
            ([255; 10], "7777777777777777"),
            ([0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "aaaaaaaaaaaaaaab"),
        ] {
            assert_eq!(SessionId(letters(bytes)).as_str(), expected);
        }
    }

    #[test]
    fn ids_differ_and_read_back() {
        let one = SessionId::new();
        let other = SessionId::new();
        assert_ne!(one, other);
        assert_eq!(SessionId::parse(one.as_str()), Some(one));
        assert_eq!((one.to_string().len(), format!("{one:?}")), (16, one.to_string()));
    }

    #[test]
    fn other_text_is_not_an_id() {
        for text in [
            "",
            "aaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaa",
            "AAAAAAAAAAAAAAAA",
            "aaaaaaaaaaaaaaa1",
            "aaaaaaaaaaaaaaa\n",
            "ééééé234567",
        ] {
            assert_eq!(SessionId::parse(text), None, "{text:?}");
        }
    }
}
