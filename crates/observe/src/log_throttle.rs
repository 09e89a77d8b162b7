//! Lines of the log that a stranger can cause without end, said a few times and then counted.
//!
//! A flood of connections must not fill the disk too, or hide what matters. The metrics count every one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines of one kind. See the module's comment.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    said: u32,
    suppressed: u64,
}

/// Lines in a window.
const LINES: u32 = 10;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

// === impl LogThrottle ===

impl LogThrottle {
    /// Whether a line may be said now; then how many went unsaid since the last one, which belongs into it.
    #[must_use]
    pub fn allow(&self) -> Option<u64> {
        self.may_say_at(Instant::now())
    }

    fn may_say_at(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = window.get_or_insert(Window { began: now, said: 0, suppressed: 0 });
        if now.duration_since(window.began) >= WINDOW {
            (window.began, window.said) = (now, 0);
        }
        if window.said >= LINES {
            window.suppressed += 1;
            return None;
        }
        window.said += 1;
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
                .filter_map(|_| log_throttle.may_say_at(began + Duration::from_secs(seconds)))
                .collect::<Vec<_>>()
        };
        assert_eq!(flood(0), [0; 10]);
        assert_eq!(flood(9).len(), 0);
        let next = flood(10);
        assert_eq!((next.len(), next[0], &next[1..]), (10, 1990, &[0; 9][..]), "what went unsaid is told");
    }
}
