//! What one side said and the other has not taken yet.
//!
//! It exists only while the other side is slow. It is made with the memory it needs and no more, and must hold
//! none once it has been written.

/// Bytes that have been read and not written. Empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Invariant: longer than `written`, or without memory.
    bytes: Vec<u8>,
    written: usize,
}

// === impl Pending ===

impl Pending {
    /// All of `bytes`.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        if bytes.is_empty() { Self::default() } else { Self { bytes, written: 0 } }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is to be written.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// `count` of [`Pending::bytes`] have been written.
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
    fn is_written_from_the_front_and_holds_nothing_behind() {
        let mut rest = Pending::new(b"abcde".to_vec());
        rest.advance(2);
        assert_eq!((rest.bytes(), rest.is_empty()), (&b"cde"[..], false));
        rest.advance(3);
        assert_eq!((rest.bytes(), rest.is_empty(), rest.capacity()), (&b""[..], true, 0));
        assert_eq!(Pending::new(Vec::with_capacity(9)).capacity(), 0);
    }
}
