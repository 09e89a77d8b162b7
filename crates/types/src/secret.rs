//! Bytes that wipe themselves and never print.
//!
//! Passwords and tokens exist in this program only inside [`Secret`]. There is no `Clone`, no `Display`, no
//! serialisation: copying ([`Secret::copy_of`]) and reading ([`Secret::expose`]) are explicit, so that
//! reviewers can search for them.

use std::fmt;

use zeroize::Zeroize;

/// A password, a token, or bytes that hold one. Wiped when dropped; `Debug` prints `[redacted]`.
#[derive(Default)]
pub struct Secret(Vec<u8>);

// === impl Secret ===

impl Secret {
    /// Takes ownership of `bytes`, which are wiped when the secret is dropped.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Copies `bytes`. The original stays as it was: its owner must wipe it.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Returns an empty secret with room for `capacity` bytes. Within that capacity, growth leaves no copies in memory.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// Appends bytes, and wipes the old buffer if it has to move.
    pub fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let mut larger = Vec::with_capacity((self.0.len() + bytes.len()).max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Shortens to `length` bytes, wiping the rest. Does nothing when there are fewer.
    pub fn truncate(&mut self, length: usize) {
        if length < self.0.len() {
            self.0[length..].zeroize();
            self.0.truncate(length);
        }
    }

    /// Returns the bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Returns the length in bytes, which is not secret.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_prints() {
        let secret = Secret::copy_of(b"alice-secret");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "[redacted] Some(\n    [redacted],\n)");
    }

    #[test]
    fn grows_and_keeps_the_bytes() {
        let mut secret = Secret::with_capacity(2);
        secret.extend(b"ab");
        secret.extend(b"cde");
        assert_eq!((secret.expose(), secret.len(), secret.is_empty()), (&b"abcde"[..], 5, false));
    }
}
