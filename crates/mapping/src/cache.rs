//! Caches the store's answers and shares one lookup among all logins that need the same identifier.
//!
//! An answer is one of three: found, absent, or "the store is unreachable". A found answer stays in memory after it
//! has expired, because in an outage of the store it is a better guess than the default destination.
//!
//! What must never happen: a lookup that began before a write or an invalidation provides an answer that is used after
//! it. To prevent that, the cache and the list of lookups in flight change under one short lock (one for each shard of
//! the keys). A lookup stores its answer only while it is still the one listed for its key, and a write or an
//! invalidation removes it from the list. A flush raises a counter that is part of every entry's generation.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use plan::Name;
use quick_cache::UnitWeighter;
use quick_cache::sync::DefaultLifecycle;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::store::StoreError;

/// After a failed lookup, how long the store is not queried again for the same identifier.
pub const DOWN_TTL: Duration = Duration::from_secs(5);

/// Cached answers and lookups in flight. Clients choose the keys, so every map hashes with SipHash.
#[derive(Debug)]
pub struct Cache {
    entries: quick_cache::sync::Cache<Arc<str>, CacheEntry, UnitWeighter, RandomState>,
    /// Lookups in flight, sharded by key; there are at most as many as logins in progress.
    in_flight: Box<[Mutex<InFlightLookups>]>,
    hasher: RandomState,
    flushes: AtomicU64,
}

/// What the store answered for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingAnswer {
    /// The key has an entry with this destination.
    Found(Name),
    /// The key has no entry.
    Absent,
    /// The store could not be reached.
    Down {
        /// The last destination that is still in memory.
        last: Option<Name>,
    },
}

/// An answer and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLookup {
    /// The answer.
    pub answer: MappingAnswer,
    /// Whether it came from memory.
    pub is_cached: bool,
}

/// Decides which cached answers are fresh.
#[derive(Clone, Copy, Debug)]
pub struct CachePolicy {
    /// Answers of another generation are stale. Must be read before the lookup begins.
    pub generation: u64,
    /// How long a found answer is fresh.
    pub positive_ttl: Duration,
    /// How long an absent answer is fresh.
    pub negative_ttl: Duration,
}

/// A cached answer.
#[derive(Clone, Debug)]
struct CacheEntry {
    answer: MappingAnswer,
    /// The answer is stale from this instant on.
    expires: Instant,
    generation: u64,
}

/// A lookup in flight. All callers that wait for it share the cell.
#[derive(Debug)]
struct InFlightLookup {
    answer: OnceCell<MappingAnswer>,
    generation: u64,
}

/// The lookups in flight of one shard.
type InFlightLookups = HashMap<Arc<str>, Arc<InFlightLookup>>;

/// Keeps a lookup listed while a caller waits for it. The last guard that is dropped removes the lookup.
struct LookupGuard<'c> {
    cache: &'c Cache,
    key: Arc<str>,
    /// `Some` until the guard is dropped.
    lookup: Option<Arc<InFlightLookup>>,
}

/// What [`Cache::join`] found.
enum JoinedLookup<'c> {
    /// A lookup to wait for, or to run.
    InFlight(LookupGuard<'c>),
    /// A fresh answer that another lookup has just stored.
    Cached(MappingAnswer),
}

const SHARDS: usize = 64;

// === impl Cache ===

impl Cache {
    /// Makes a cache of at most `max_entries` answers. With 0 it stores none and still shares lookups.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        let bound = u64::try_from(max_entries).unwrap_or(u64::MAX);
        Self {
            entries: quick_cache::sync::Cache::with(
                max_entries,
                bound,
                UnitWeighter,
                RandomState::new(),
                DefaultLifecycle::default(),
            ),
            in_flight: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            flushes: AtomicU64::new(0),
        }
    }

    /// Returns the answer for `key`: a fresh one from memory, otherwise the result of `query_store`.
    ///
    /// When several callers need the same key, one of them runs its query and all of them get the answer. If that
    /// caller is cancelled, the next one runs its own query.
    pub async fn lookup<F>(
        &self,
        key: &str,
        policy: &CachePolicy,
        query_store: impl FnOnce() -> F,
    ) -> CacheLookup
    where
        F: Future<Output = Result<Option<Name>, StoreError>>,
    {
        if let Some(answer) = self.fresh(key, policy.generation) {
            return CacheLookup { answer, is_cached: true };
        }
        let guard = match self.join(key, policy.generation) {
            JoinedLookup::InFlight(guard) => guard,
            JoinedLookup::Cached(answer) => return CacheLookup { answer, is_cached: true },
        };
        let Some(lookup) = &guard.lookup else {
            return self.abandoned(key);
        };
        // The answer is stored in the same step as it is received, so a cancelled caller leaves no answer unstored.
        let answer = lookup
            .answer
            .get_or_init(|| async { self.complete(&guard.key, lookup, query_store().await, policy) })
            .await
            .clone();
        CacheLookup { answer, is_cached: false }
    }

    /// Returns the last destination in memory, fresh or stale, otherwise [`MappingAnswer::Absent`]. For use while the
    /// store is unreachable.
    #[must_use]
    pub fn last_known(&self, key: &str) -> MappingAnswer {
        match self.last_destination(key) {
            Some(name) => MappingAnswer::Found(name),
            None => MappingAnswer::Absent,
        }
    }

    /// Returns the answer for a caller that no longer waits for its lookup.
    #[must_use]
    pub fn abandoned(&self, key: &str) -> CacheLookup {
        CacheLookup { answer: MappingAnswer::Down { last: self.last_destination(key) }, is_cached: false }
    }

    /// Records a write: the value becomes a stale entry, which the next lookup verifies and an outage falls back to. No
    /// lookup that began earlier stores its answer.
    pub fn record_write(&self, key: &str, written: Option<&Name>) {
        let mut in_flight = self.shard(key);
        in_flight.remove(key);
        self.entries.remove(key);
        if let Some(name) = written {
            self.insert_stale(key, Arc::clone(name));
        }
    }

    /// Makes the entry of `key` stale. No lookup that began earlier stores its answer.
    pub fn invalidate(&self, key: &str) {
        let mut in_flight = self.shard(key);
        in_flight.remove(key);
        if let Some((_, entry)) = self.entries.remove(key)
            && let Some(name) = entry.destination()
        {
            self.insert_stale(key, name);
        }
    }

    /// Makes every entry stale.
    pub fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns how often [`Cache::flush`] was called. The number is part of the generation.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Returns the number of cached answers, fresh and stale.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no answer is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn fresh(&self, key: &str, generation: u64) -> Option<MappingAnswer> {
        let entry = self.entries.get(key)?;
        (entry.generation == generation && Instant::now() < entry.expires).then_some(entry.answer)
    }

    fn last_destination(&self, key: &str) -> Option<Name> {
        self.entries.peek(key)?.destination()
    }

    /// Joins the lookup for `key`, or starts one.
    fn join(&self, key: &str, generation: u64) -> JoinedLookup<'_> {
        let mut in_flight = self.shard(key);
        // Checked again under the lock: a lookup may have completed in the meantime.
        if let Some(answer) = self.fresh(key, generation) {
            return JoinedLookup::Cached(answer);
        }
        if let Some((key, lookup)) = in_flight.get_key_value(key)
            && lookup.generation == generation
        {
            let lookup = Some(Arc::clone(lookup));
            return JoinedLookup::InFlight(LookupGuard { cache: self, key: Arc::clone(key), lookup });
        }
        let key: Arc<str> = Arc::from(key);
        let lookup = Arc::new(InFlightLookup { answer: OnceCell::new(), generation });
        in_flight.insert(Arc::clone(&key), Arc::clone(&lookup));
        JoinedLookup::InFlight(LookupGuard { cache: self, key, lookup: Some(lookup) })
    }

    /// Turns the store's result into an answer, and caches it if the lookup is still the one listed for its key.
    fn complete(
        &self,
        key: &Arc<str>,
        lookup: &Arc<InFlightLookup>,
        result: Result<Option<Name>, StoreError>,
        policy: &CachePolicy,
    ) -> MappingAnswer {
        let mut in_flight = self.shard(key);
        let (answer, ttl) = match result {
            Ok(Some(name)) => (MappingAnswer::Found(name), policy.positive_ttl),
            Ok(None) => (MappingAnswer::Absent, policy.negative_ttl),
            Err(_) => (MappingAnswer::Down { last: self.last_destination(key) }, DOWN_TTL),
        };
        if in_flight.get(key).is_some_and(|current| Arc::ptr_eq(current, lookup)) {
            in_flight.remove(key);
            let generation = lookup.generation;
            let entry = CacheEntry { answer: answer.clone(), expires: expires_after(ttl), generation };
            self.entries.insert(Arc::clone(key), entry);
        }
        answer
    }

    fn insert_stale(&self, key: &str, name: Name) {
        let entry = CacheEntry { answer: MappingAnswer::Found(name), expires: Instant::now(), generation: 0 };
        self.entries.insert(Arc::from(key), entry);
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, InFlightLookups> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below SHARDS")]
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        // A poisoned map is consistent: no code of ours runs inside its methods.
        self.in_flight[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of lookups in flight.
    #[cfg(test)]
    fn in_flight_count(&self) -> usize {
        self.in_flight.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// Returns the instant `ttl` from now, at most a year, so that the addition cannot overflow.
fn expires_after(ttl: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    Instant::now() + ttl.min(YEAR)
}

// === impl CacheEntry ===

impl CacheEntry {
    fn destination(self) -> Option<Name> {
        match self.answer {
            MappingAnswer::Found(name) => Some(name),
            MappingAnswer::Down { last } => last,
            MappingAnswer::Absent => None,
        }
    }
}

// === impl LookupGuard ===

impl Drop for LookupGuard<'_> {
    fn drop(&mut self) {
        let mut in_flight = self.cache.shard(&self.key);
        let Some(lookup) = self.lookup.take() else {
            return;
        };
        // Two references, this one and the list's: no other caller waits, and none can join while the lock is held.
        // `lookup` is dropped before the lock is released; otherwise two guards could each count the other.
        let is_last = Arc::strong_count(&lookup) == 2;
        if is_last && in_flight.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &lookup)) {
            in_flight.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod tests;
