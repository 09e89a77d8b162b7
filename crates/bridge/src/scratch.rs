//! The worker's buffer: one for each thread, used by the session that is being polled.
//!
//! A session uses it only while it is polled, so a thousand waiting sessions share one. Bytes of an earlier session are
//! never read: only the part that a read has just filled is used.

use std::cell::Cell;

/// Length of the buffer in bytes, and so the most that a direction keeps: two full TLS records (RFC 8446 section 5.1:
/// 2^14 bytes). A longer buffer saves few system calls and does not fit into the first-level cache.
pub(crate) const LENGTH: usize = 32 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls `work` with the buffer. A nested call gets a second buffer instead of a failed borrow.
pub(crate) fn with<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = SCRATCH.take().unwrap_or_else(|| vec![0; LENGTH].into_boxed_slice());
    let result = work(&mut buffer);
    SCRATCH.set(Some(buffer));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_buffer_and_can_be_nested() {
        let first = with(|buffer| buffer.as_ptr());
        let (again, inner) = with(|buffer| (buffer.as_ptr(), with(|inner| inner.as_ptr())));
        assert_eq!(first, again);
        assert_ne!(again, inner);
        assert_eq!(with(|buffer| buffer.len()), LENGTH);
    }
}
