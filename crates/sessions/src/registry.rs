//! The desk itself: accounts in shards, each shard under one short lock; limits, listing.
//!
//! Keys are chosen by strangers, so the maps hash with SipHash, and an entry lives only as long as something
//! of its account is in use: the table is bounded by logins, sessions, holds and delays, which all have bounds
//! of their own. No lock is held over an await, and no two shards are locked at once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use types::protocol::Protocol;

use crate::account::Account;
use crate::live::{EndReason, Ending, Live, SessionInfo};

/// The live state of all accounts. A clone is the same desk.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

/// Bounds per account (`[limits]`); 0 = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Logins under way of one account (`logins_in_flight_per_account`).
    pub logins_in_flight: usize,
    /// Sessions of one account (`connections_per_account`).
    pub connections: usize,
}

/// An account has as many as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Busy {
    /// `logins_in_flight_per_account` is reached.
    #[error("the account has as many logins under way as limits.logins_in_flight_per_account allows")]
    Logins,
    /// `connections_per_account` is reached.
    #[error("the account has as many sessions as limits.connections_per_account allows")]
    Connections,
}

/// How full the desk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts with an entry.
    pub accounts: usize,
    /// Logins under way, those without an account included.
    pub logins: usize,
    /// Sessions, those without an account included.
    pub sessions: usize,
}

/// Enough that a hundred thousand logins a second rarely meet at one lock.
const SHARDS: usize = 64;

/// What the clones of a desk share.
#[derive(Debug)]
pub(crate) struct Inner {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    next_session: AtomicU64,
    next_generation: AtomicU64,
    next_hold: AtomicU64,
    logins_in_flight: AtomicUsize,
    connections: AtomicUsize,
    pub(crate) drain: OnceLock<Drain>,
}

/// A part of the table.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    pub(crate) accounts: HashMap<Arc<str>, Account>,
    /// Sessions without an account, by id.
    pub(crate) anonymous: HashMap<u64, Live>,
    /// Logins under way without an account.
    pub(crate) anonymous_logins: usize,
}

/// Set once, when the proxy begins to drain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    pub(crate) began: Instant,
    pub(crate) spread: Duration,
}

// === impl Registry ===

impl Registry {
    pub(crate) fn empty(limits: Limits) -> Self {
        let registry = Self {
            inner: Arc::new(Inner {
                shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
                hasher: RandomState::new(),
                next_session: AtomicU64::new(1),
                next_generation: AtomicU64::new(1),
                next_hold: AtomicU64::new(1),
                logins_in_flight: AtomicUsize::new(0),
                connections: AtomicUsize::new(0),
                drain: OnceLock::new(),
            }),
        };
        registry.set_limits(limits);
        registry
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        self.inner.logins_in_flight.store(limits.logins_in_flight, Ordering::Relaxed);
        self.inner.connections.store(limits.connections, Ordering::Relaxed);
    }

    /// Every session, in no order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions_where(usize::MAX, |_| true)
    }

    /// At most `limit` sessions that `matches`, which is called under a lock and must not call the desk.
    #[must_use]
    pub fn sessions_where(&self, limit: usize, matches: impl Fn(&SessionInfo) -> bool) -> Vec<SessionInfo> {
        let mut found = Vec::new();
        for shard in self.shards() {
            let infos = shard.live().map(|live| &live.info).filter(|info| matches(info));
            found.extend(infos.take(limit - found.len()).cloned());
        }
        found
    }

    /// Returns the sessions that `matches`, were kicked, and have not left yet. `matches` is called under a lock and
    /// must not call the registry.
    #[must_use]
    pub fn ending(&self, matches: impl Fn(&SessionInfo) -> bool) -> Ending {
        let mut ending = Ending::default();
        for shard in self.shards() {
            let kicked = shard.live().filter(|live| live.bell.heard() == Some(EndReason::Kick));
            for live in kicked.filter(|live| matches(&live.info)) {
                ending.push(Arc::clone(&live.bell));
            }
        }
        ending
    }

    /// How full the desk is. The shards are counted one after the other, so the sum may be of no one instant.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for shard in self.shards() {
            counts.accounts += shard.accounts.len();
            counts.logins += shard.anonymous_logins;
            counts.logins += shard.accounts.values().map(|account| account.logins).sum::<usize>();
            counts.sessions += shard.live().count();
        }
        counts
    }

    // --- for the other files of this room ---

    pub(crate) fn shard_of(&self, identifier: &str) -> MutexGuard<'_, Shard> {
        self.shard_at(self.inner.hasher.hash_one(identifier))
    }

    pub(crate) fn shard_for(&self, account: Option<&str>, client: IpAddr) -> MutexGuard<'_, Shard> {
        account.map_or_else(
            || self.shard_at(self.inner.hasher.hash_one(client)),
            |identifier| self.shard_of(identifier),
        )
    }

    fn shard_at(&self, hash: u64) -> MutexGuard<'_, Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below SHARDS")]
        let index = (hash % SHARDS as u64) as usize;
        lock(&self.inner.shards[index])
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.inner.shards.iter().map(lock)
    }

    /// The account's entry, made if need be.
    pub(crate) fn entry<'s>(&self, shard: &'s mut Shard, name: &Arc<str>) -> &'s mut Account {
        shard.accounts.entry(Arc::clone(name)).or_insert_with(|| Account::new(self.next_generation()))
    }

    /// Drops the account's entry if nothing of it is in use.
    pub(crate) fn tidy(&self, shard: &mut Shard, identifier: &str) {
        let now = Instant::now();
        if shard.accounts.get(identifier).is_some_and(|account| account.is_idle(now)) {
            shard.accounts.remove(identifier);
        }
    }

    pub(crate) fn next_generation(&self) -> u64 {
        self.inner.next_generation.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.inner.next_session.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_hold(&self) -> u64 {
        self.inner.next_hold.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns whether the account may have another login under way.
    pub(crate) fn has_room_for_login(&self, logins: usize, protocol: Protocol) -> bool {
        !is_bounded(protocol) || !is_reached(&self.inner.logins_in_flight, logins)
    }

    /// Returns whether the account may have another session.
    pub(crate) fn has_room_for_session(&self, sessions: usize, protocol: Protocol) -> bool {
        !is_bounded(protocol) || !is_reached(&self.inner.connections, sessions)
    }
}

// === impl Shard ===

impl Shard {
    /// Every session in this shard.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Live> {
        self.accounts.values().flat_map(|account| &account.live).chain(self.anonymous.values())
    }
}

/// Whether a protocol's logins and sessions are what `[limits]` speaks of. A request of HTTP is both for a
/// moment, and a browser has dozens at once; their number has bounds of its own.
fn is_bounded(protocol: Protocol) -> bool {
    protocol != Protocol::Http
}

fn is_reached(limit: &AtomicUsize, count: usize) -> bool {
    match limit.load(Ordering::Relaxed) {
        0 => false,
        limit => count >= limit,
    }
}

/// A panic under the lock cannot leave an entry half changed: no method calls out between two writes.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
