//! The start of the program and its reloads, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use observe::metrics::facts;

/// When the program started, and its reloads since.
#[derive(Debug)]
pub(crate) struct ReloadHistory {
    started: SystemTime,
    reloads_done: AtomicU64,
    reloads_refused: AtomicU64,
    /// Milliseconds from the start to the last reload that was carried out.
    last_reload: AtomicU64,
}

// === impl ReloadHistory ===

impl ReloadHistory {
    /// Begins with the start of the program.
    pub(crate) fn begin() -> Self {
        Self {
            started: SystemTime::now(),
            reloads_done: AtomicU64::new(0),
            reloads_refused: AtomicU64::new(0),
            last_reload: AtomicU64::new(0),
        }
    }

    /// Records a reload.
    pub(crate) fn record(&self, done: bool) {
        if !done {
            self.reloads_refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.reloads_done.fetch_add(1, Ordering::Relaxed);
        let since = self.started.elapsed().unwrap_or_default();
        self.last_reload.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns when the program started, in seconds since 1970.
    pub(crate) fn started(&self) -> f64 {
        unix(self.started)
    }

    /// Returns the reloads so far.
    pub(crate) fn facts(&self) -> facts::Reloads {
        let last = self.started + Duration::from_millis(self.last_reload.load(Ordering::Relaxed));
        facts::Reloads {
            done: self.reloads_done.load(Ordering::Relaxed),
            refused: self.reloads_refused.load(Ordering::Relaxed),
            last_success: unix(last),
        }
    }
}

fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
