//! Answers of the store, kept for a while; and one lookup per identifier, however many wait for it.
//!
//! Three kinds are kept: found, absent, and "the store could not be asked". A found answer past its time is
//! not believed, but it stays: in an outage it is better than the default. What must never happen: an answer
//! whose lookup began before a write or an invalidation and that is believed after it.
//!
//! Both are settled under one short lock per part of the keys: a lookup lands in the cache only if it is still
//! the one under way for its key, and a write or an invalidation takes it off that list. Flushing everything
//! is one number that goes up.

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

/// How long a store that could not be asked is not asked again for the same identifier.
pub const DOWN_TTL: Duration = Duration::from_secs(5);

/// Answers and lookups under way. Keys are chosen by strangers, so it hashes with SipHash throughout.
#[derive(Debug)]
pub struct Cache {
    entries: quick_cache::sync::Cache<Arc<str>, CacheEntry, UnitWeighter, RandomState>,
    /// Lookups under way, in parts; bounded by the logins under way.
    in_flight: Box<[Mutex<InFlightLookups>]>,
    hasher: RandomState,
    flushes: AtomicU64,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingAnswer {
    /// The store has it there.
    Found(Name),
    /// The store has no entry.
    Absent,
    /// The store could not be asked.
    Down {
        /// The last found answer that is still in memory.
        last: Option<Name>,
    },
}

/// An answer, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheLookup {
    /// The answer.
    pub answer: MappingAnswer,
    /// Whether it was in memory.
    pub is_cached: bool,
}

/// Under what policy answers are believed.
#[derive(Clone, Copy, Debug)]
pub struct CachePolicy {
    /// Answers of another generation are not believed. Read before the lookup begins.
    pub generation: u64,
    /// How long a found answer is believed.
    pub positive_ttl: Duration,
    /// How long an absent answer is believed.
    pub negative_ttl: Duration,
}

/// An answer in the cache.
#[derive(Clone, Debug)]
struct CacheEntry {
    answer: MappingAnswer,
    /// Until when it is believed.
    until: Instant,
    generation: u64,
}

/// A lookup under way; those who wait for it share the cell.
#[derive(Debug)]
struct InFlightLookup {
    answer_cell: OnceCell<MappingAnswer>,
    generation: u64,
}

type InFlightLookups = HashMap<Arc<str>, Arc<InFlightLookup>>;

/// A place among those who wait for a lookup. Leaving frees the lookup when nobody else is on it.
struct LookupGuard<'c> {
    cache: &'c Cache,
    key: Arc<str>,
    lookup: Option<Arc<InFlightLookup>>,
}

const SHARDS: usize = 64;

// === impl Cache ===

impl Cache {
    /// A cache of at most `max_entries` answers; with 0 it keeps none, and lookups are still shared.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        let bound = u64::try_from(max_entries).unwrap_or(u64::MAX);
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self {
            entries: quick_cache::sync::Cache::with(max_entries, bound, UnitWeighter, hasher, lifecycle),
            in_flight: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            flushes: AtomicU64::new(0),
        }
    }

    /// The answer for `key`: a kept one that is believed under `policy`, else what `ask` says. Of those who
    /// ask for one key at the same time, one asks and all get its answer; when it leaves, the next asks.
    pub async fn lookup<F>(&self, key: &str, policy: &CachePolicy, ask: impl FnOnce() -> F) -> CacheLookup
    where
        F: Future<Output = Result<Option<Name>, StoreError>>,
    {
        if let Some(answer) = self.fresh(key, policy.generation) {
            return CacheLookup { answer, is_cached: true };
        }
        let guard = match self.join(key, policy.generation) {
            Ok(guard) => guard,
            Err(answer) => return CacheLookup { answer, is_cached: true },
        };
        let Some(lookup) = &guard.lookup else {
            return self.abandoned(key);
        };
        // Landing is part of the same step: whoever leaves either has not asked or has answer_cell.
        let fly = || async { self.complete(&guard.key, lookup, ask().await, policy) };
        let answer = lookup.answer_cell.get_or_init(fly).await.clone();
        CacheLookup { answer, is_cached: false }
    }

    /// The last found answer in memory, believed or not; else [`MappingAnswer::Absent`]. For when the store is down.
    #[must_use]
    pub fn last_known(&self, key: &str) -> MappingAnswer {
        self.entries.peek(key).and_then(CacheEntry::found).map_or(MappingAnswer::Absent, MappingAnswer::Found)
    }

    /// What someone gets who no longer waits.
    #[must_use]
    pub fn abandoned(&self, key: &str) -> CacheLookup {
        let last = self.entries.peek(key).and_then(CacheEntry::found);
        CacheLookup { answer: MappingAnswer::Down { last }, is_cached: false }
    }

    /// After a write: what is kept of `key` is what was written, not believed without asking, but there for an
    /// outage; and no lookup that began before lands.
    pub fn record_write(&self, key: &str, written: Option<&Name>) {
        let mut in_flight = self.shard(key);
        in_flight.remove(key);
        self.entries.remove(key);
        if let Some(name) = written {
            self.insert_stale(key, Arc::clone(name));
        }
    }

    /// What is kept of `key` is not believed any more; and no lookup that began before lands.
    pub fn invalidate(&self, key: &str) {
        let mut in_flight = self.shard(key);
        in_flight.remove(key);
        if let Some(name) = self.entries.remove(key).and_then(|(_, kept)| kept.found()) {
            self.insert_stale(key, name);
        }
    }

    /// Nothing that is kept is believed any more.
    pub fn flush(&self) {
        self.flushes.fetch_add(1, Ordering::AcqRel);
    }

    /// How often [`Cache::flush`] was called: a part of the generation.
    #[must_use]
    pub fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Answers that are kept, believed or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no answer is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn fresh(&self, key: &str, generation: u64) -> Option<MappingAnswer> {
        let kept = self.entries.get(key)?;
        (kept.generation == generation && Instant::now() < kept.until).then_some(kept.answer)
    }

    /// A guard on the lookup for `key`, or the answer of one that has just answer_cell.
    fn join(&self, key: &str, generation: u64) -> Result<LookupGuard<'_>, MappingAnswer> {
        let mut in_flight = self.shard(key);
        if let Some(answer) = self.fresh(key, generation) {
            return Err(answer);
        }
        let under_way = in_flight.get_key_value(key).filter(|(_, lookup)| lookup.generation == generation);
        let (key, lookup) = under_way.map_or_else(
            || (Arc::from(key), Arc::new(InFlightLookup { answer_cell: OnceCell::new(), generation })),
            |(key, lookup)| (Arc::clone(key), Arc::clone(lookup)),
        );
        in_flight.insert(Arc::clone(&key), Arc::clone(&lookup));
        Ok(LookupGuard { cache: self, key, lookup: Some(lookup) })
    }

    /// Makes an answer of what the store said, and keeps it if the lookup is still the one for its key.
    fn complete(
        &self,
        key: &Arc<str>,
        lookup: &Arc<InFlightLookup>,
        said: Result<Option<Name>, StoreError>,
        policy: &CachePolicy,
    ) -> MappingAnswer {
        let mut in_flight = self.shard(key);
        let (answer, ttl) = match said {
            Ok(Some(name)) => (MappingAnswer::Found(name), policy.positive_ttl),
            Ok(None) => (MappingAnswer::Absent, policy.negative_ttl),
            Err(_) => {
                (MappingAnswer::Down { last: self.entries.peek(key).and_then(CacheEntry::found) }, DOWN_TTL)
            }
        };
        if in_flight.get(key).is_some_and(|current| Arc::ptr_eq(current, lookup)) {
            in_flight.remove(key);
            let until = after(ttl);
            let kept = CacheEntry { answer: answer.clone(), until, generation: lookup.generation };
            self.entries.insert(Arc::clone(key), kept);
        }
        answer
    }

    fn insert_stale(&self, key: &str, name: Name) {
        let kept = CacheEntry { answer: MappingAnswer::Found(name), until: Instant::now(), generation: 0 };
        self.entries.insert(Arc::from(key), kept);
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, InFlightLookups> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below SHARDS")]
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        // A panic under the lock leaves a map that is whole: its methods do not call out.
        self.in_flight[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lookups under way.
    #[cfg(test)]
    fn in_flight_count(&self) -> usize {
        self.in_flight.iter().map(|part| part.lock().unwrap().len()).sum()
    }
}

/// The end of a time from now on; one that is longer than a year is a year (the clock has an end too).
fn after(ttl: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    Instant::now() + ttl.min(YEAR)
}

// === impl CacheEntry ===

impl CacheEntry {
    fn found(self) -> Option<Name> {
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
        // Ours and the list's: nobody else waits, and nobody can board while we hold the lock.
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
