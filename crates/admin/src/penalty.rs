//! The mark of a connection that was used for a guess: its place stays taken for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the connection's place stays taken after it ends. A clone marks the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Penalty(Arc<AtomicBool>);

// === impl Penalty ===

impl Penalty {
    pub(crate) fn deserve(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_deserved(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
