//! The router's counters.

use std::sync::atomic::{AtomicU64, Ordering};

use super::latency::{Latency, LatencyRecorder};

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Lookups answered from memory.
    pub hits: u64,
    /// Lookups that had to wait for the store.
    pub misses: u64,
    /// Store lookups that failed.
    pub store_errors: u64,
    /// How long store lookups took, failed ones included.
    pub store_latency: Latency,
    /// Resolutions while the store was down: [`crate::ResolutionReason::StoreDown`].
    pub store_down: u64,
    /// Resolutions for which the store named an undeclared destination.
    pub undeclared: u64,
    /// Entries in the cache now.
    pub cache_entries: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) store_errors: AtomicU64,
    pub(super) store_latency: LatencyRecorder,
    pub(super) store_down: AtomicU64,
    pub(super) undeclared: AtomicU64,
}

// === impl Counters ===

impl Counters {
    /// Reads each counter on its own, so the numbers may be from slightly different instants.
    pub(super) fn snapshot(&self, cache_entries: usize) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            store_errors: read(&self.store_errors),
            store_latency: self.store_latency.snapshot(),
            store_down: read(&self.store_down),
            undeclared: read(&self.undeclared),
            cache_entries,
        }
    }
}
