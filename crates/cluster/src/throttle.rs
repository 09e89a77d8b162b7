//! Log lines that come once a minute.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Allows something once a minute.
#[derive(Debug, Default)]
pub(crate) struct OncePerMinute(Mutex<Option<Instant>>);

// === impl OncePerMinute ===

impl OncePerMinute {
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
