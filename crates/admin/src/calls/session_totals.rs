//! The number of sessions, by protocol and by destination.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sessions::Registry;

/// The number of sessions. Each shard is counted by itself, so the sums need not have been right at any one instant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SessionTotals {
    pub(super) sessions: usize,
    pub(super) by_protocol: BTreeMap<String, usize>,
    pub(super) by_destination: BTreeMap<String, usize>,
}

// === impl SessionTotals ===

impl SessionTotals {
    /// Counts the sessions.
    pub(super) fn count(registry: &Registry) -> Self {
        let protocols = RefCell::new(BTreeMap::<&'static str, usize>::new());
        let destinations = RefCell::new(BTreeMap::<Arc<str>, usize>::new());
        // Counted in place, so that a hundred thousand sessions are not copied.
        let _ = registry.sessions_where(usize::MAX, |info| {
            *protocols.borrow_mut().entry(info.protocol.name()).or_default() += 1;
            let mut destinations = destinations.borrow_mut();
            match destinations.get_mut(&info.destination) {
                Some(count) => *count += 1,
                None => drop(destinations.insert(Arc::clone(&info.destination), 1)),
            }
            false
        });
        let by_protocol: BTreeMap<_, _> =
            protocols.into_inner().into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        let by_destination =
            destinations.into_inner().into_iter().map(|(name, count)| (name.to_string(), count)).collect();
        Self { sessions: by_protocol.values().sum(), by_protocol, by_destination }
    }
}
