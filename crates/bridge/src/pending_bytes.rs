//! Bytes that one side sent and the other has not accepted yet.
//!
//! They exist only while the other side is slow. They use no more memory than they need, and must hold none once they
//! have been written.

/// Bytes that have been read and not written. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct PendingBytes {
    /// Invariant: longer than `written`, or without memory.
    bytes: Vec<u8>,
    written: usize,
}

// === impl PendingBytes ===

impl PendingBytes {
    /// Returns `bytes`, all of them still to be written.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::default() } else { Self { bytes, written: 0 } }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the bytes that are still to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Records that `count` of [`PendingBytes::bytes`] have been written.
    pub(crate) fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.bytes.len() {
            *self = Self::default();
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_order_and_free_their_memory() {
        let mut pending = PendingBytes::new(b"abcde".to_vec());
        pending.advance(2);
        assert_eq!((pending.bytes(), pending.is_empty()), (&b"cde"[..], false));
        pending.advance(3);
        assert_eq!((pending.bytes(), pending.is_empty(), pending.capacity()), (&b""[..], true, 0));
        assert_eq!(PendingBytes::new(Vec::with_capacity(9)).capacity(), 0);
    }
}
