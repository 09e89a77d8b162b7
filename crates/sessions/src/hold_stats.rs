//! What a hold costs the logins that wait for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The cost of a hold for the logins that waited for it.
#[derive(Debug, Default)]
pub struct HoldStats {
    logins: AtomicUsize,
    longest_ms: AtomicU64,
}

// === impl HoldStats ===

impl HoldStats {
    /// Logins that waited and then went on.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// The longest wait of one of them, in whole milliseconds.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn note(&self, waited: Duration) {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.longest_ms.fetch_max(millis, Ordering::Relaxed);
    }
}
