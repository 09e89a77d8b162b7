//! The worker's buffers for TLS records: one set for each thread, used by the stream that is being polled.
//!
//! A stream keeps only what a poll leaves over, so that a waiting session holds no buffer. Nothing that was decrypted or
//! gathered may stay in a buffer, since it may be a password: each user wipes what it has used.

use std::cell::Cell;

/// The longest record on the wire: RFC 5246 section 6.2.3 allows 2^14 + 2048 bytes after the header of 5 bytes.
pub(crate) const MAX_RECORD: usize = 5 + 16 * 1024 + 2048;

/// The most plaintext that is encrypted at once: two full records, so that one system call sends both.
pub(crate) const MAX_PLAINTEXT: usize = 32 * 1024;

/// The most that is read from a socket at once. Each record may be 32 bytes longer than its plaintext: 22 bytes in TLS
/// 1.3 and 29 in TLS 1.2 with AES-GCM, so that two full records are read whole.
pub(crate) const MAX_READ: usize = MAX_PLAINTEXT + 2 * 32;

/// The most that a stream keeps of a handshake message that arrives in parts, as rustls' own buffer does.
pub(crate) const MAX_KEPT: usize = 64 * 1024 - 1;

/// The most plaintext that is gathered from several slices: a full record.
pub(crate) const MAX_GATHERED: usize = 16 * 1024;

/// The most ciphertext that may wait to be sent when [`MAX_PLAINTEXT`] is encrypted after it.
pub(crate) const MAX_UNSENT: usize = 4 * 1024;

/// The longest ciphertext of [`MAX_PLAINTEXT`], and a key update before it.
const MAX_CIPHERTEXT: usize = MAX_PLAINTEXT + 1024;

thread_local! {
    static RECEIVED: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static TO_SEND: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static GATHERED: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Calls `work` with a buffer of at least [`MAX_KEPT`] + [`MAX_READ`] bytes for records that were received.
pub(crate) fn received<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    with(&RECEIVED, MAX_KEPT + MAX_READ, work)
}

/// Calls `work` with a buffer of [`MAX_UNSENT`] bytes and the ciphertext of [`MAX_PLAINTEXT`].
pub(crate) fn to_send<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    with(&TO_SEND, MAX_UNSENT + MAX_CIPHERTEXT, work)
}

/// Calls `work` with a buffer of [`MAX_GATHERED`] bytes, for what is gathered into one record.
pub(crate) fn gathered<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    with(&GATHERED, MAX_GATHERED, work)
}

/// Calls `work` with the thread's buffer. A nested call gets a second one instead of a failed borrow.
fn with<T>(
    local: &'static std::thread::LocalKey<Cell<Option<Box<[u8]>>>>,
    length: usize,
    work: impl FnOnce(&mut [u8]) -> T,
) -> T {
    let mut buffer = local.take().unwrap_or_else(|| vec![0; length].into_boxed_slice());
    let result = work(&mut buffer);
    local.set(Some(buffer));
    result
}
