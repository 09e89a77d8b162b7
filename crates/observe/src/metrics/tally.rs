//! Counters by labels that are part of the program's text.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counters by `K`, which is made of `&'static str`: so many as the program has words for, and no more. Locked
/// for one addition, once a login or a connection, never for bytes.
#[derive(Debug)]
pub(super) struct Tally<K>(Mutex<BTreeMap<K, u64>>);

// === impl Tally ===

impl<K: Ord + Clone> Tally<K> {
    pub(super) fn add(&self, key: K) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(key).or_default();
        *count = count.saturating_add(1);
    }

    /// All at this moment, in order.
    pub(super) fn read(&self) -> Vec<(K, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(key, count)| (key.clone(), *count)).collect()
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}
