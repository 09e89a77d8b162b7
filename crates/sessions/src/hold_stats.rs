//! The logins that waited for a hold.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// How many logins waited for a hold, and for how long.
#[derive(Debug, Default)]
pub struct HoldStats {
    logins: AtomicUsize,
    longest_ms: AtomicU64,
}

// === impl HoldStats ===

impl HoldStats {
    /// Returns how many logins waited and then went on.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// Returns the longest wait of one login, in whole milliseconds.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn record(&self, waited: Duration) {
        self.logins.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        self.longest_ms.fetch_max(millis, Ordering::Relaxed);
    }
}
