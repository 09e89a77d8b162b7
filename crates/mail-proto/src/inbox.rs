//! The bounded buffer between a stream and a machine.
//!
//! It may hold credentials, so consumed bytes are wiped, and so is the old buffer when it grows. It never holds more than
//! its limit: nothing more is read from a peer until the machine consumes something, and a machine that cannot continue
//! with a full inbox must reject the input.

use std::fmt;

use zeroize::Zeroize;

/// Bytes read from a peer and not yet consumed. See the module's comment.
pub struct Inbox {
    /// Invariant: `start <= end <= buf.len() <= limit`.
    buf: Vec<u8>,
    start: usize,
    end: usize,
    limit: usize,
}

/// Size of the first buffer, in bytes; most dialogues need no larger one.
const FIRST: usize = 1024;

/// An empty inbox with a larger buffer frees it, so that the 64 KiB of a token are not held while its backend is
/// contacted.
const KEPT: usize = 4 * 1024;

// === impl Inbox ===

impl Inbox {
    /// Creates an empty inbox for at most `limit` bytes, without allocating.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buf: Vec::new(), start: 0, end: 0, limit }
    }

    /// Returns the bytes that were received and not consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Returns whether nothing more can be received before something is consumed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end - self.start >= self.limit
    }

    /// Removes the first `n` unread bytes, and wipes them.
    ///
    /// # Panics
    /// When `n` exceeds the unread bytes: an error in a machine, never in a peer's input.
    pub fn consume(&mut self, n: usize) {
        assert!(n <= self.end - self.start, "consumed more than was received");
        self.buf[self.start..self.start + n].zeroize();
        self.start += n;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.buf.len() > KEPT {
                self.clear();
            }
        }
    }

    /// Returns the space for received bytes; report their number with [`Inbox::filled`]. Empty when the inbox is full.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.end == self.buf.len() {
            self.make_room();
        }
        &mut self.buf[self.end..]
    }

    /// Adds the first `n` bytes of [`Inbox::spare`] to the unread ones.
    ///
    /// # Panics
    /// When `n` exceeds the spare space.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.buf.len() - self.end, "filled more than the spare room");
        self.end += n;
    }

    /// Copies as much of `bytes` as the limit allows, and returns that number.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            let spare = self.spare();
            let n = spare.len().min(bytes.len() - taken);
            if n == 0 {
                break;
            }
            spare[..n].copy_from_slice(&bytes[taken..taken + n]);
            self.filled(n);
            taken += n;
        }
        taken
    }

    /// Discards the unread bytes (cleartext after STARTTLS, for example) and frees the buffer.
    pub fn clear(&mut self) {
        self.buf.zeroize();
        self.buf = Vec::new();
        self.start = 0;
        self.end = 0;
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            let kept = self.end - self.start;
            self.buf[kept..self.end].zeroize();
            self.start = 0;
            self.end = kept;
        }
        if self.end == self.buf.len() && self.buf.len() < self.limit {
            let size = (2 * self.buf.len()).max(FIRST).min(self.limit);
            let mut larger = vec![0; size];
            larger[..self.end].copy_from_slice(&self.buf[..self.end]);
            self.buf.zeroize();
            self.buf = larger;
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.buf.zeroize();
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} of at most {} bytes)", self.end - self.start, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_no_more_than_its_limit() {
        let mut inbox = Inbox::new(3000);
        assert_eq!(inbox.receive(&[b'x'; 5000]), 3000);
        assert!(inbox.is_full());
        assert!(inbox.spare().is_empty());
        inbox.consume(1000);
        assert_eq!(inbox.receive(&[b'y'; 5000]), 1000);
        assert_eq!(inbox.unread().len(), 3000);
        assert_eq!(inbox.unread()[1999..2001], *b"xy");
    }

    #[test]
    fn wipes_what_is_consumed() {
        let mut inbox = Inbox::new(100);
        inbox.receive(b"LOGIN alice secret");
        inbox.consume(12);
        assert!(inbox.buf[..12].iter().all(|&byte| byte == 0));
        assert_eq!(inbox.unread(), b"secret");
        assert_eq!(format!("{inbox:?}"), "Inbox(6 of at most 100 bytes)");
    }
}
