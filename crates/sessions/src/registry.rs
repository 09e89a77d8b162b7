//! The table of accounts, in shards with one lock each; limits and listing.
//!
//! Clients choose the keys, so the maps hash with SipHash, and an entry exists only while something of its account is in
//! use: the table is bounded by logins, sessions, holds and delays, which have bounds of their own. What must never
//! happen here: a lock that is held over an await, or two shards that are locked at once.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use types::protocol::Protocol;

use crate::account::Account;
use crate::limits::Limits;
use crate::session::{EndReason, Ending, SessionEntry, SessionInfo};

/// The live state of all accounts. Clones share it.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

/// How many entries the registry has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accounts with an entry.
    pub accounts: usize,
    /// Logins under way, those without an account included.
    pub logins: usize,
    /// Sessions, those without an account included.
    pub sessions: usize,
}

/// Enough that a hundred thousand logins a second rarely wait for each other's lock.
const SHARDS: usize = 64;

/// The state that the clones of a registry share.
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
    pub(crate) anonymous: HashMap<u64, SessionEntry>,
    /// Logins under way without an account.
    pub(crate) anonymous_logins: usize,
}

/// When the drain began, and how long it takes. Set once.
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

    /// Returns every session, in no particular order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.sessions_where(usize::MAX, |_| true)
    }

    /// Returns at most `limit` sessions that `matches`, which is called under a lock and must not call the registry.
    #[must_use]
    pub fn sessions_where(&self, limit: usize, matches: impl Fn(&SessionInfo) -> bool) -> Vec<SessionInfo> {
        let mut found = Vec::new();
        for shard in self.shards() {
            let infos = shard.sessions().map(|session| &session.info).filter(|info| matches(info));
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
            for session in shard.sessions() {
                if session.end_signal.reason() == Some(EndReason::Kick) && matches(&session.info) {
                    ending.push(Arc::clone(&session.end_signal));
                }
            }
        }
        ending
    }

    /// Returns how many entries the registry has. The shards are counted one after the other, so the sums need not have
    /// been right at any one instant.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for shard in self.shards() {
            counts.accounts += shard.accounts.len();
            counts.logins += shard.anonymous_logins;
            counts.logins += shard.accounts.values().map(|account| account.logins).sum::<usize>();
            counts.sessions += shard.sessions().count();
        }
        counts
    }

    // --- for the other files of this crate ---

    pub(crate) fn shard_of(&self, identifier: &str) -> MutexGuard<'_, Shard> {
        self.shard_at(self.inner.hasher.hash_one(identifier))
    }

    pub(crate) fn shard_for(&self, account: Option<&str>, client: IpAddr) -> MutexGuard<'_, Shard> {
        match account {
            Some(identifier) => self.shard_of(identifier),
            None => self.shard_at(self.inner.hasher.hash_one(client)),
        }
    }

    fn shard_at(&self, hash: u64) -> MutexGuard<'_, Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below SHARDS")]
        let index = (hash % SHARDS as u64) as usize;
        lock(&self.inner.shards[index])
    }

    pub(crate) fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.inner.shards.iter().map(lock)
    }

    /// Returns the account's entry, and creates it when it is missing.
    pub(crate) fn entry<'s>(&self, shard: &'s mut Shard, name: &Arc<str>) -> &'s mut Account {
        shard.accounts.entry(Arc::clone(name)).or_insert_with(|| Account::new(self.next_generation()))
    }

    /// Removes the account's entry if nothing of it is in use.
    pub(crate) fn remove_if_idle(&self, shard: &mut Shard, identifier: &str) {
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

    /// Returns how many logins of an account and client network may be in flight; `None` if there is no limit.
    pub(crate) fn login_limit(&self, protocol: Protocol) -> Option<usize> {
        limit(&self.inner.logins_in_flight).filter(|_| is_bounded(protocol))
    }

    /// Returns whether the account may have another session.
    pub(crate) fn has_room_for_session(&self, sessions: usize, protocol: Protocol) -> bool {
        match limit(&self.inner.connections) {
            Some(limit) if is_bounded(protocol) => sessions < limit,
            _ => true,
        }
    }
}

// === impl Shard ===

impl Shard {
    /// Returns every session in this shard.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &SessionEntry> {
        self.accounts.values().flat_map(|account| &account.sessions).chain(self.anonymous.values())
    }
}

/// Returns whether `[limits]` applies to the protocol. It does not apply to HTTP: each request is a login and a session,
/// and a browser sends dozens at once. Crate `web` bounds their number.
fn is_bounded(protocol: Protocol) -> bool {
    protocol != Protocol::Http
}

/// Returns the value of a limit; `None` for 0, which is no limit.
fn limit(limit: &AtomicUsize) -> Option<usize> {
    match limit.load(Ordering::Relaxed) {
        0 => None,
        limit => Some(limit),
    }
}

/// Locks a shard. A panic under the lock cannot leave an entry half changed: no method calls foreign code between two
/// writes.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
