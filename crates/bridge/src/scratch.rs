//! The worker's buffer: one for each thread, lent to whichever session is being polled.
//!
//! A session has it only while it is polled, so a thousand that wait share one. What an earlier session left
//! in it is never read: only the part that a read has just filled is looked at.

use std::cell::Cell;

/// Length of the buffer, and so the most that a direction ever keeps: two full TLS records (RFC 8446,
/// section 5.1: 2^14 bytes). A longer one saves few system calls and fits no first-level cache.
pub(crate) const LENGTH: usize = 32 * 1024;

thread_local! {
    static SCRATCH: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the buffer to `work`. A stream that polls another session from inside its own read would get a
/// second buffer, not a borrow that fails.
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
