//! A hold: while it lasts, no login of a group of accounts completes.
//!
//! A move uses it: it holds the accounts, ends their sessions, copies the rest of the mail, changes the mapping and
//! releases. What must never happen: a hold that outlives its owner (dropping it releases), or a login that goes on
//! because the hold's time is over while the owner still copies (such a login fails temporarily).

use std::sync::Arc;

use thiserror::Error;
use tokio::time::Instant;

use crate::account::Held;
use crate::hold_stats::HoldStats;
use crate::registry::Registry;
use crate::session::EndReason;

/// A group of accounts whose logins wait. Dropping it releases them.
#[derive(Debug)]
#[must_use = "dropping the hold releases its accounts"]
pub struct Hold {
    registry: Registry,
    accounts: Vec<Arc<str>>,
    stats: Arc<HoldStats>,
}

/// Why a group cannot be held.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HoldError {
    /// An account of the group is held already.
    #[error("{0} is already held by another move: wait for that one, or cancel it")]
    AlreadyHeld(Arc<str>),
    /// No account was named.
    #[error("no account to hold")]
    NoAccount,
    /// As many holds of other proxies as may be are in force.
    #[error("{0} holds are in force, which is the most that a proxy keeps")]
    TooManyHolds(usize),
    /// More than [`Hold::MAX_GROUP`].
    #[error("{0} accounts in one hold; at most {max} can be held at once", max = Hold::MAX_GROUP)]
    TooMany(usize),
}

// === impl Hold ===

impl Hold {
    /// The most accounts in one hold. A hold is for the names of one account, not for a batch.
    pub const MAX_GROUP: usize = 1_000;

    /// See `RegistryControl::hold`.
    pub(crate) fn begin(
        registry: &Registry,
        identifiers: &[&str],
        until: Instant,
    ) -> Result<Self, HoldError> {
        if identifiers.is_empty() {
            return Err(HoldError::NoAccount);
        }
        if identifiers.len() > Self::MAX_GROUP {
            return Err(HoldError::TooMany(identifiers.len()));
        }
        let id = registry.next_hold();
        let mut hold = Self { registry: registry.clone(), accounts: Vec::new(), stats: Arc::default() };
        for identifier in identifiers {
            let name: Arc<str> = Arc::from(*identifier);
            let mut shard = registry.shard_of(&name);
            let account = registry.entry(&mut shard, &name);
            match &account.held {
                Some(held) if held.id == id => continue,
                // What is held so far is released by dropping it.
                Some(_) => return Err(HoldError::AlreadyHeld(name)),
                None => {}
            }
            account.held = Some(Held { id, until, stats: Arc::clone(&hold.stats) });
            account.generation = registry.next_generation();
            // Logins that wait for a delay now wait for the hold.
            account.wake();
            drop(shard);
            hold.accounts.push(name);
        }
        Ok(hold)
    }

    /// Returns the held accounts.
    #[must_use]
    pub fn accounts(&self) -> &[Arc<str>] {
        &self.accounts
    }

    /// Asks every session of the group to end; returns how many had not been asked yet.
    pub fn end_sessions(&self) -> usize {
        let mut asked = 0;
        for name in &self.accounts {
            if let Some(account) = self.registry.shard_of(name).accounts.get(name) {
                asked += account.end_sessions(EndReason::Move);
            }
        }
        asked
    }

    /// Returns how many sessions the group has left. While the hold lasts, this only falls.
    #[must_use]
    pub fn sessions(&self) -> usize {
        let mut left = 0;
        for name in &self.accounts {
            if let Some(account) = self.registry.shard_of(name).accounts.get(name) {
                left += account.sessions.len();
            }
        }
        left
    }

    /// Resolves when the group has no session left. The caller bounds the wait.
    pub async fn emptied(&self) {
        for name in &self.accounts {
            self.account_emptied(name).await;
        }
    }

    /// Returns the logins that have waited so far. The counters stay readable after the release.
    #[must_use]
    pub fn stats(&self) -> Arc<HoldStats> {
        Arc::clone(&self.stats)
    }

    /// Lets the group's logins go on, to the destination that the mapping names now.
    pub fn release(self) {
        drop(self);
    }

    async fn account_emptied(&self, name: &Arc<str>) {
        loop {
            let changed = self.registry.entry(&mut self.registry.shard_of(name), name).changed();
            // Created before the check, so that a session that ends between check and wait is not missed.
            let woken = changed.notified();
            if self.registry.entry(&mut self.registry.shard_of(name), name).sessions.is_empty() {
                return;
            }
            woken.await;
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        for name in &self.accounts {
            let mut shard = self.registry.shard_of(name);
            let account = self.registry.entry(&mut shard, name);
            account.held = None;
            // Changed once more: a login that began during the hold may have read the mapping before it changed.
            account.generation = self.registry.next_generation();
            account.wake();
            self.registry.remove_if_idle(&mut shard, name);
        }
    }
}
