//! The logins that wait for a hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many logins wait for a hold, and for how long.
#[derive(Debug, Default)]
pub struct HoldStats {
    waiting: AtomicUsize,
    logins: AtomicUsize,
    longest_ms: AtomicU64,
    /// Notified when the last login has stopped waiting.
    none_waits: Notify,
}

/// A login that waits for the end of a hold.
#[derive(Debug)]
pub(crate) struct HoldWait {
    stats: Arc<HoldStats>,
    began: Instant,
}

// === impl HoldStats ===

impl HoldStats {
    /// Returns how many logins wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Returns how many logins waited and then went on.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.logins.load(Ordering::Relaxed)
    }

    /// Returns the longest wait of one of them, in whole milliseconds.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms.load(Ordering::Relaxed))
    }

    /// Resolves when no login waits. After the release of the hold, the figures are final then.
    pub async fn none_waits(&self) {
        loop {
            // Created before the look, so that no notification falls between look and wait.
            let notified = self.none_waits.notified();
            if self.waiting() == 0 {
                return;
            }
            notified.await;
        }
    }
}

// === impl HoldWait ===

impl HoldWait {
    pub(crate) fn begin(stats: Arc<HoldStats>) -> Self {
        stats.waiting.fetch_add(1, Ordering::AcqRel);
        Self { stats, began: Instant::now() }
    }

    /// The hold is over, and the login goes on.
    pub(crate) fn released(&self) {
        self.stats.logins.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.stats.longest_ms.fetch_max(millis, Ordering::Relaxed);
    }
}

impl Drop for HoldWait {
    fn drop(&mut self) {
        if self.stats.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.stats.none_waits.notify_waiters();
        }
    }
}
