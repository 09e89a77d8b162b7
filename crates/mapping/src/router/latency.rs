//! A histogram of store lookup times, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in microseconds: from a table in memory to a store that is about to time out.
const BOUNDS: [u64; 12] =
    [10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000];

/// A snapshot of the lookup times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    counts: [u64; BOUNDS.len() + 1],
    total: Duration,
}

/// The live counters behind [`Latency`].
#[derive(Debug, Default)]
pub(super) struct LatencyRecorder {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

// === impl Latency ===

impl Latency {
    /// Returns the ascending upper bounds in seconds, each with the lookups of its own bucket. The last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS.map(|bound| Duration::from_micros(bound).as_secs_f64());
        bounds.into_iter().chain([f64::INFINITY]).zip(self.counts)
    }

    /// Returns the sum of all lookup times.
    #[must_use]
    pub const fn total(&self) -> Duration {
        self.total
    }
}

// === impl LatencyRecorder ===

impl LatencyRecorder {
    pub(super) fn record(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Latency {
        let mut counts = [0; BOUNDS.len() + 1];
        for (count, counter) in counts.iter_mut().zip(&self.counts) {
            *count = counter.load(Ordering::Relaxed);
        }
        Latency { counts, total: Duration::from_micros(self.micros.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_its_bucket() {
        let recorder = LatencyRecorder::default();
        for micros in [0, 10, 11, 5_000_000, 5_000_001, 90_000_000] {
            recorder.record(Duration::from_micros(micros));
        }
        let latency = recorder.snapshot();
        let counted: Vec<_> = latency.buckets().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(0.000_01, 2), (0.000_05, 1), (5.0, 1), (f64::INFINITY, 2)]);
        assert_eq!(latency.total(), Duration::from_micros(100_000_022));
    }
}
