//! Sixteen letters that name a session: in the log, in forwarding, in the session list.
//!
//! An id is random, so that nobody can guess another's session to kick it, and it says nothing about its
//! session: no time, no counter, no account.

use std::fmt;

/// Letters of an id.
const LETTERS: usize = 16;
/// Random bytes of an id: 80 bits are 16 letters of 5 bits, without padding.
const BYTES: usize = 10;
/// base32 (RFC 4648, section 6), in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A session's name: 16 characters of base32 in lower case, 80 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; LETTERS]);

// === impl SessionId ===

impl SessionId {
    /// A fresh one.
    ///
    /// # Panics
    /// When the system's random source fails: then no TLS handshake could work either.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs every time would surprise")]
    pub fn new() -> Self {
        let mut random = [0; BYTES];
        // AWS-LC seeds itself from the kernel once and then cannot run out; no input reaches this.
        aws_lc_rs::rand::fill(&mut random).expect("the system's random source works");
        Self(letters(random))
    }

    /// Reads an id as another process or an operator wrote it. `None` unless it is 16 letters of the alphabet.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let letters: [u8; LETTERS] = text.as_bytes().try_into().ok()?;
        letters.iter().all(|letter| ALPHABET.contains(letter)).then_some(Self(letters))
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Invariant: every constructor takes letters from the alphabet, which is ASCII.
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
    let mut place = 5 * LETTERS;
    [(); LETTERS].map(|()| {
        place -= 5;
        let [.., low] = (bits >> place).to_be_bytes();
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
    fn strangers_are_not_ids() {
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
