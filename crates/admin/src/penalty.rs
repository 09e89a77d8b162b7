//! Marks a connection that was used for a guess: its slot stays taken for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the connection's slot stays taken after it ends. Clones mark the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Penalty(Arc<AtomicBool>);

// === impl Penalty ===

impl Penalty {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
