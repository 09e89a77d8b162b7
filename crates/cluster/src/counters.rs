//! Counters of the channel.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that could not be sent.
    pub unsent: u64,
    /// Messages of other proxies that were accepted, heartbeats included.
    pub received: u64,
    /// Messages without a valid signature.
    pub forged: u64,
    /// Messages that had been received before.
    pub repeated: u64,
    /// Messages whose date was more than a minute from ours.
    pub misdated: u64,
    /// Times that messages may have been missed, so that the cache was flushed; connecting counts.
    pub missed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sent: AtomicU64,
    pub(crate) unsent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) forged: AtomicU64,
    pub(crate) repeated: AtomicU64,
    pub(crate) misdated: AtomicU64,
    pub(crate) missed: AtomicU64,
}

// === impl Counters ===

impl Counters {
    /// Returns the counters at this moment.
    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            sent: read(&self.sent),
            unsent: read(&self.unsent),
            received: read(&self.received),
            forged: read(&self.forged),
            repeated: read(&self.repeated),
            misdated: read(&self.misdated),
            missed: read(&self.missed),
        }
    }
}
