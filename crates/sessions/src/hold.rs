//! A hold: from one instant on, no login of a group of accounts completes.
//!
//! A move stands on this: it holds, ends the sessions, copies what is left, flips the mapping, releases. What
//! must never happen: a hold that outlives its owner (dropping it releases), or a login that passes because
//! the hold's time is over while its owner still copies (such a login fails for now).

use std::sync::Arc;

use thiserror::Error;
use tokio::time::Instant;

use crate::account::Held;
use crate::hold_stats::HoldStats;
use crate::live::EndReason;
use crate::registry::Registry;

/// A group of accounts whose logins wait. Dropping it releases them.
#[derive(Debug)]
#[must_use = "dropping the hold releases its accounts"]
pub struct Hold {
    registry: Registry,
    accounts: Vec<Arc<str>>,
    stats: Arc<HoldStats>,
}

/// A group cannot be held.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HoldError {
    /// An account of the group is in another hold.
    #[error("{0} is already held by another move: wait for that one, or cancel it")]
    AlreadyHeld(Arc<str>),
    /// No account was named.
    #[error("no account to hold")]
    Nobody,
    /// More than [`Hold::MAX_GROUP`].
    #[error("{0} accounts in one hold; at most {max} can be held at once", max = Hold::MAX_GROUP)]
    TooMany(usize),
}

// === impl Hold ===

impl Hold {
    /// Accounts in one hold: an account's names, not a batch.
    pub const MAX_GROUP: usize = 1_000;

    /// See `RegistryControl::hold`.
    pub(crate) fn begin(
        registry: &Registry,
        identifiers: &[&str],
        until: Instant,
    ) -> Result<Self, HoldError> {
        if identifiers.is_empty() {
            return Err(HoldError::Nobody);
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
            // Logins that wait for a delay wait for the hold from now on.
            account.wake();
            drop(shard);
            hold.accounts.push(name);
        }
        Ok(hold)
    }

    /// The held accounts.
    #[must_use]
    pub fn accounts(&self) -> &[Arc<str>] {
        &self.accounts
    }

    /// Tells every session of the group to end; returns how many were told.
    pub fn end_sessions(&self) -> usize {
        let rung = |name: &Arc<str>| {
            let shard = self.registry.shard_of(name);
            shard.accounts.get(name).map_or(0, |account| account.ring_all(EndReason::Move))
        };
        self.accounts.iter().map(rung).sum()
    }

    /// Sessions of the group that are still there. While the hold lasts, this only falls.
    #[must_use]
    pub fn sessions(&self) -> usize {
        let count = |name: &Arc<str>| {
            let shard = self.registry.shard_of(name);
            shard.accounts.get(name).map_or(0, |account| account.live.len())
        };
        self.accounts.iter().map(count).sum()
    }

    /// Resolves when the group has no session left. The caller bounds the wait.
    pub async fn emptied(&self) {
        for name in &self.accounts {
            self.emptied_of(name).await;
        }
    }

    /// What the hold has cost so far; still there after the release.
    #[must_use]
    pub fn stats(&self) -> Arc<HoldStats> {
        Arc::clone(&self.stats)
    }

    /// Lets the group's logins go on, to where the mapping says now.
    pub fn release(self) {
        drop(self);
    }

    async fn emptied_of(&self, name: &Arc<str>) {
        loop {
            let changed = self.registry.entry(&mut self.registry.shard_of(name), name).changed();
            // Asked for before the look, so that no end of a session falls between look and wait.
            let woken = changed.notified();
            if self.registry.entry(&mut self.registry.shard_of(name), name).live.is_empty() {
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
            // Once more: a login that began during the hold may have looked at the mapping before the flip.
            account.generation = self.registry.next_generation();
            account.wake();
            self.registry.tidy(&mut shard, name);
        }
    }
}
