//! Bytes of which a part was passed on already: they were read, or encrypted, before they could be used.
//!
//! They may contain a password, so they are wiped when they are dropped, and never printed.

use std::fmt;

use tokio::io::ReadBuf;
use zeroize::Zeroize;

/// Bytes that are passed on once and in order. `0 <= taken <= bytes.len()`.
#[derive(Default)]
pub(crate) struct Leftover {
    bytes: Vec<u8>,
    taken: usize,
}

// === impl Leftover ===

impl Leftover {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, taken: 0 }
    }

    /// Returns what was not passed on yet.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Records that `count` more bytes were passed on.
    pub(crate) fn advance(&mut self, count: usize) {
        self.taken += count;
    }

    /// Passes on as much as `buf` has room for.
    pub(crate) fn read_into(&mut self, buf: &mut ReadBuf<'_>) {
        let count = buf.remaining().min(self.rest().len());
        buf.put_slice(&self.rest()[..count]);
        self.advance(count);
    }

    /// Adds `bytes` at the end.
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Returns what was not passed on yet, and leaves nothing.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.rest().to_vec();
        *self = Self::default();
        rest
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leftover({} bytes)", self.rest().len())
    }
}
