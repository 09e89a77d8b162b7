//! Limits log lines to one a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Allows a log line once a minute.
#[derive(Debug, Default)]
pub(crate) struct OncePerMinute(Mutex<Option<Instant>>);

// === impl OncePerMinute ===

impl OncePerMinute {
    /// Returns whether the line may be logged now.
    pub(crate) fn allow(&self) -> bool {
        const EVERY: Duration = Duration::from_secs(60);
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if is_time {
            *last = Some(now);
        }
        is_time
    }
}
