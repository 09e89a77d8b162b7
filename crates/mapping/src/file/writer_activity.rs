//! Tracks whether another program is in the middle of writing the mapping file.
//!
//! The module exists so that a half-written file is never read as the new mapping.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long after its last write a program that has not closed the file is assumed to continue. There is a limit
/// because the close event may have been lost.
pub(super) const MAX_OPEN: Duration = Duration::from_secs(60);

/// The time of another program's last write, while that program has the file open.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterActivity {
    last_write: Arc<Mutex<Option<Instant>>>,
}

// === impl WriterActivity ===

impl WriterActivity {
    pub(super) fn note_write(&self) {
        *self.last_write.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Records that the file was closed, or replaced by another file.
    pub(super) fn note_close(&self) {
        *self.last_write.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn is_writing(&self) -> bool {
        let last_write = *self.last_write.lock().unwrap_or_else(PoisonError::into_inner);
        last_write.is_some_and(|instant| instant.elapsed() < MAX_OPEN)
    }
}
