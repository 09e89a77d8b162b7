//! When another program last wrote to the mapping file, while it has the file open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A hand that has written and has the file still open is believed to go on for this long. It may also have
/// been a closing that we were never told of.
pub(super) const MAX_OPEN: Duration = Duration::from_secs(60);

/// When a hand has written last, while it has the file open.
#[derive(Clone, Debug, Default)]
pub(super) struct WriterActivity {
    written: Arc<Mutex<Option<Instant>>>,
}

// === impl WriterActivity ===

impl WriterActivity {
    pub(super) fn note_write(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Closed, or another file is in its place.
    pub(super) fn note_close(&self) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn is_writing(&self) -> bool {
        let written = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.is_some_and(|written| written.elapsed() < MAX_OPEN)
    }
}
