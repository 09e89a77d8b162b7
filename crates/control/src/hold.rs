//! Holds in force: this proxy's own, and those of other proxies.
//!
//! This is what moving a group of accounts builds on: `execute(Order::Hold)`, wait until [`HeldAccounts::emptied`], flip the
//! group with one `execute(Order::Change)`, release. What must never happen here: a hold of this proxy that ends before its
//! owner releases it, which would let a login pass while the owner still copies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sessions::Hold;
use tokio::time::Instant;

use crate::execute::Control;
use crate::order::{Executed, HoldNumber, Order, OrderError};

/// A group of accounts that this proxy holds. Dropping it releases them, here at once and at the other proxies in the
/// background.
#[derive(Debug)]
#[must_use = "dropping the handle releases its accounts"]
pub struct HeldAccounts {
    control: Control,
    number: HoldNumber,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct HoldId {
    origin: Origin,
    number: HoldNumber,
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

// === impl Control ===

impl Control {
    /// Holds accounts for `origin`. A hold that arrives again starts its time anew.
    pub(crate) fn hold(
        &self,
        origin: Origin,
        number: HoldNumber,
        accounts: &[Arc<str>],
        lasts: Duration,
    ) -> Result<Executed, OrderError> {
        let id = HoldId { origin, number };
        let mut holds = self.inner.holds.lock();
        drop_expired(&mut holds);
        if holds.len() >= MAX_HOLDS && origin != Origin::ThisProxy {
            tracing::warn!(
                limit = MAX_HOLDS,
                "a hold of another proxy was ignored: too many holds are in force"
            );
            return Ok(Executed::Done);
        }
        if let Some(groups) = holds.get_mut(&id) {
            groups.retain(|group| group.accounts != accounts);
        }
        let until = Instant::now() + lasts;
        let names: Vec<&str> = accounts.iter().map(|account| &**account).collect();
        let hold = Arc::new(self.inner.registry.hold(&names, until)?);
        holds.entry(id).or_default().push(HeldGroup { accounts: accounts.to_vec(), hold, until });
        drop(holds);
        match origin {
            Origin::ThisProxy => Ok(Executed::Held(HeldAccounts { control: self.clone(), number })),
            Origin::OtherProxy(_) => Ok(Executed::Done),
        }
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

// === impl HoldTable ===

impl HoldTable {
    pub(crate) fn release(&self, origin: Origin, number: HoldNumber) {
        drop(self.lock().remove(&HoldId { origin, number }));
    }

    fn own(&self, number: HoldNumber) -> Vec<Arc<Hold>> {
        let holds = self.lock();
        match holds.get(&HoldId { origin: Origin::ThisProxy, number }) {
            Some(groups) => groups.iter().map(|group| Arc::clone(&group.hold)).collect(),
            None => Vec::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HoldId, Vec<HeldGroup>>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl HeldAccounts ===

impl HeldAccounts {
    /// Returns the held accounts, normalised, each once.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<str>> {
        self.holds().iter().flat_map(|hold| hold.accounts().to_vec()).collect()
    }

    /// Signals every session of the group on this proxy to end; returns how many were signalled.
    pub fn end_sessions(&self) -> usize {
        self.holds().iter().map(|hold| hold.end_sessions()).sum()
    }

    /// Returns how many sessions of the group are left on this proxy. While the hold lasts, this only falls.
    #[must_use]
    pub fn sessions_left(&self) -> usize {
        self.holds().iter().map(|hold| hold.sessions()).sum()
    }

    /// Resolves when the group has no session left on this proxy. The caller bounds the wait.
    pub async fn emptied(&self) {
        for hold in self.holds() {
            hold.emptied().await;
        }
    }

    /// Lets the group's logins go on, to where the mapping says now, and waits until the other proxies do the same.
    ///
    /// # Errors
    /// [`OrderError::Interrupted`]; the accounts are released here all the same.
    pub async fn release(self) -> Result<(), OrderError> {
        self.control.execute(Order::Release { number: self.number }).await.map(drop)
    }

    fn holds(&self) -> Vec<Arc<Hold>> {
        self.control.inner.holds.own(self.number)
    }
}

impl Drop for HeldAccounts {
    fn drop(&mut self) {
        if self.holds().is_empty() {
            return;
        }
        self.control.inner.holds.release(Origin::ThisProxy, self.number);
        // Outside a runtime the other proxies drop the hold when its time is over.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let control = self.control.clone();
            let number = self.number;
            runtime.spawn(async move { control.execute(Order::Release { number }).await.map(drop) });
        }
    }
}
