//! Holds in force: this proxy's own, and those of other proxies.
//!
//! What must never happen here: a hold of this proxy that ends before its owner releases it, which would let a login pass
//! while the owner still copies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sessions::{Hold, HoldError, RegistryControl};
use tokio::time::Instant;

use crate::order::HoldNumber;

/// The proxy that a hold comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    ThisProxy,
    /// Another proxy, known by its run.
    OtherProxy(u64),
}

/// Every hold in force.
#[derive(Debug, Default)]
pub(crate) struct HoldTable {
    by_number: Mutex<HashMap<HoldId, Vec<HeldGroup>>>,
}

/// Identifies a hold among those of all proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HoldId {
    pub(crate) origin: Origin,
    pub(crate) number: HoldNumber,
}

/// A part of a hold: a large hold of another proxy arrives in several messages.
#[derive(Debug)]
struct HeldGroup {
    accounts: Vec<Arc<str>>,
    hold: Arc<Hold>,
    until: Instant,
}

/// Holds at once: more than all proxies together ever need.
const MAX_HOLDS: usize = 4_096;

// === impl HoldTable ===

impl HoldTable {
    /// Holds accounts. A hold that arrives again starts its time anew.
    pub(crate) fn hold(
        &self,
        id: HoldId,
        accounts: &[Arc<str>],
        lasts: Duration,
        registry: &RegistryControl,
    ) -> Result<(), HoldError> {
        let mut holds = self.lock();
        drop_expired(&mut holds);
        if holds.len() >= MAX_HOLDS && id.origin != Origin::ThisProxy {
            return Err(HoldError::TooManyHolds(MAX_HOLDS));
        }
        if let Some(groups) = holds.get_mut(&id) {
            groups.retain(|group| group.accounts != accounts);
        }
        let until = Instant::now() + lasts;
        let names: Vec<&str> = accounts.iter().map(|account| &**account).collect();
        let hold = Arc::new(registry.hold(&names, until)?);
        holds.entry(id).or_default().push(HeldGroup { accounts: accounts.to_vec(), hold, until });
        Ok(())
    }

    pub(crate) fn release(&self, id: HoldId) {
        drop(self.lock().remove(&id));
    }

    /// Drops the holds of other proxies whose time is over.
    pub(crate) fn drop_expired(&self) {
        drop_expired(&mut self.lock());
    }

    /// Returns the parts of a hold; none when it is released, or not known here.
    pub(crate) fn groups(&self, id: HoldId) -> Vec<Arc<Hold>> {
        match self.lock().get(&id) {
            Some(groups) => groups.iter().map(|group| Arc::clone(&group.hold)).collect(),
            None => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, Vec<HeldGroup>>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the holds of other proxies whose time is over, should their release never come. This proxy's own end with their
/// owner only.
fn drop_expired(holds: &mut HashMap<HoldId, Vec<HeldGroup>>) {
    let now = Instant::now();
    holds.retain(|id, groups| {
        if id.origin != Origin::ThisProxy {
            groups.retain(|group| group.until > now);
        }
        !groups.is_empty()
    });
}
