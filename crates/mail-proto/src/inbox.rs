//! The bounded buffer between a stream and a machine.
//!
//! It may hold credentials, so what is consumed is wiped, and so is the old place when it grows. It never
//! holds more than its limit: a peer that sends more is not read from until the machine has consumed
//! something, and a machine that cannot go on with a full inbox must refuse the input.

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

/// What a first read asks for; most dialogues never need more.
const FIRST: usize = 1024;

/// An empty inbox larger than this gives its memory back: a token's 64 KiB are not kept while its backend is
/// asked.
const KEPT: usize = 4 * 1024;

// === impl Inbox ===

impl Inbox {
    /// An empty inbox that will hold at most `limit` bytes. Allocates nothing yet.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { buf: Vec::new(), start: 0, end: 0, limit }
    }

    /// Everything that was received and not consumed.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Whether nothing more can be received before something is consumed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end - self.start >= self.limit
    }

    /// Marks the first `n` unread bytes as done with, and wipes them.
    ///
    /// # Panics
    /// When `n` is more than there is: a machine's mistake, not a peer's.
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

    /// Room to receive into; report what was received with [`Inbox::filled`]. Empty when the inbox is full.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.end == self.buf.len() {
            self.make_room();
        }
        &mut self.buf[self.end..]
    }

    /// Tells that `n` bytes were written to the front of [`Inbox::spare`].
    ///
    /// # Panics
    /// When `n` is more than the spare room.
    pub fn filled(&mut self, n: usize) {
        assert!(n <= self.buf.len() - self.end, "filled more than the spare room");
        self.end += n;
    }

    /// Copies in as much of `bytes` as the limit allows, and returns how much that was.
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

    /// Throws away everything unread (bytes behind STARTTLS, say) and gives the memory back.
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
