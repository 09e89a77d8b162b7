//! Limits the log lines that clients can cause without a login.
//!
//! A flood of connections must not fill the disk or hide other lines. The metrics count every event.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The limit for lines of one kind: ten in ten seconds.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    logged: u32,
    suppressed: u64,
}

/// Maximum number of lines in a window.
const LINES: u32 = 10;
/// Length of a window.
const WINDOW: Duration = Duration::from_secs(10);

// === impl LogThrottle ===

impl LogThrottle {
    /// Returns `None` if a line must be suppressed now; otherwise the number of lines that were suppressed since the last
    /// one, to be logged with it.
    #[must_use]
    pub fn allow(&self) -> Option<u64> {
        self.allow_at(Instant::now())
    }

    fn allow_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = window.get_or_insert(Window { began: now, logged: 0, suppressed: 0 });
        if now.duration_since(window.began) >= WINDOW {
            (window.began, window.logged) = (now, 0);
        }
        if window.logged >= LINES {
            window.suppressed += 1;
            return None;
        }
        window.logged += 1;
        Some(std::mem::take(&mut window.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_a_count() {
        let log_throttle = LogThrottle::default();
        let began = Instant::now();
        let flood = |seconds| {
            (0..1000)
                .filter_map(|_| log_throttle.allow_at(began + Duration::from_secs(seconds)))
                .collect::<Vec<_>>()
        };
        assert_eq!(flood(0), [0; 10]);
        assert_eq!(flood(9).len(), 0);
        let next = flood(10);
        assert_eq!(
            (next.len(), next[0], &next[1..]),
            (10, 1990, &[0; 9][..]),
            "the suppressed lines are reported"
        );
    }
}
