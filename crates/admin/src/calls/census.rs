//! How many sessions there are, by what.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use sessions::Registry;

/// Sessions counted. Each shard is counted by itself, so the sum may be of no one instant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pub(super) sessions: usize,
    pub(super) by_protocol: BTreeMap<String, usize>,
    pub(super) by_destination: BTreeMap<String, usize>,
}

// === impl Census ===

impl Census {
    pub(super) fn take(registry: &Registry) -> Self {
        let protocols = RefCell::new(BTreeMap::<&'static str, usize>::new());
        let destinations = RefCell::new(BTreeMap::<Arc<str>, usize>::new());
        // Looked at in their place: a hundred thousand sessions are not copied to be counted.
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
