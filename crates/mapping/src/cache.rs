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
    kept: quick_cache::sync::Cache<Arc<str>, Kept, UnitWeighter, RandomState>,
    /// Lookups under way, in parts; bounded by the logins under way.
    flights: Box<[Mutex<Flights>]>,
    hasher: RandomState,
    flushes: AtomicU64,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
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
pub struct Looked {
    /// The answer.
    pub answer: Answer,
    /// Whether it was in memory.
    pub is_cached: bool,
}

/// Under what terms answers are believed.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Answers of another generation are not believed. Read before the lookup begins.
    pub generation: u64,
    /// How long a found answer is believed.
    pub positive_ttl: Duration,
    /// How long an absent answer is believed.
    pub negative_ttl: Duration,
}

/// An answer in the cache.
#[derive(Clone, Debug)]
struct Kept {
    answer: Answer,
    /// Until when it is believed.
    until: Instant,
    generation: u64,
}

/// A lookup under way; those who wait for it share the cell.
#[derive(Debug)]
struct Flight {
    landed: OnceCell<Answer>,
    generation: u64,
}

type Flights = HashMap<Arc<str>, Arc<Flight>>;

/// A place among those who wait for a flight. Leaving frees the flight when nobody else is on it.
struct Seat<'c> {
    cache: &'c Cache,
    key: Arc<str>,
    flight: Option<Arc<Flight>>,
}

const PARTS: usize = 64;

// === impl Cache ===

impl Cache {
    /// A cache of at most `max_entries` answers; with 0 it keeps none, and lookups are still shared.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        let bound = u64::try_from(max_entries).unwrap_or(u64::MAX);
        let hasher = RandomState::new();
        let lifecycle = DefaultLifecycle::default();
        Self {
            kept: quick_cache::sync::Cache::with(max_entries, bound, UnitWeighter, hasher, lifecycle),
            flights: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            flushes: AtomicU64::new(0),
        }
    }

    /// The answer for `key`: a kept one that is believed under `terms`, else what `ask` says. Of those who
    /// ask for one key at the same time, one asks and all get its answer; when it leaves, the next asks.
    pub async fn answer<F>(&self, key: &str, terms: &Terms, ask: impl FnOnce() -> F) -> Looked
    where
        F: Future<Output = Result<Option<Name>, StoreError>>,
    {
        if let Some(answer) = self.believed(key, terms.generation) {
            return Looked { answer, is_cached: true };
        }
        let seat = match self.board(key, terms.generation) {
            Ok(seat) => seat,
            Err(answer) => return Looked { answer, is_cached: true },
        };
        let Some(flight) = &seat.flight else {
            return self.given_up(key);
        };
        // Landing is part of the same step: whoever leaves either has not asked or has landed.
        let fly = || async { self.land(&seat.key, flight, ask().await, terms) };
        let answer = flight.landed.get_or_init(fly).await.clone();
        Looked { answer, is_cached: false }
    }

    /// The last found answer in memory, believed or not; else [`Answer::Absent`]. For when the store is down.
    #[must_use]
    pub fn last_known(&self, key: &str) -> Answer {
        self.kept.peek(key).and_then(Kept::found).map_or(Answer::Absent, Answer::Found)
    }

    /// What someone gets who no longer waits.
    #[must_use]
    pub fn given_up(&self, key: &str) -> Looked {
        let last = self.kept.peek(key).and_then(Kept::found);
        Looked { answer: Answer::Down { last }, is_cached: false }
    }

    /// After a write: what is kept of `key` is what was written, not believed without asking, but there for an
    /// outage; and no lookup that began before lands.
    pub fn learn(&self, key: &str, written: Option<&Name>) {
        let mut flights = self.part(key);
        flights.remove(key);
        self.kept.remove(key);
        if let Some(name) = written {
            self.keep_unbelieved(key, Arc::clone(name));
        }
    }

    /// What is kept of `key` is not believed any more; and no lookup that began before lands.
    pub fn invalidate(&self, key: &str) {
        let mut flights = self.part(key);
        flights.remove(key);
        if let Some(name) = self.kept.remove(key).and_then(|(_, kept)| kept.found()) {
            self.keep_unbelieved(key, name);
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
        self.kept.len()
    }

    /// Whether no answer is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn believed(&self, key: &str, generation: u64) -> Option<Answer> {
        let kept = self.kept.get(key)?;
        (kept.generation == generation && Instant::now() < kept.until).then_some(kept.answer)
    }

    /// A seat on the flight for `key`, or the answer of one that has just landed.
    fn board(&self, key: &str, generation: u64) -> Result<Seat<'_>, Answer> {
        let mut flights = self.part(key);
        if let Some(answer) = self.believed(key, generation) {
            return Err(answer);
        }
        let under_way = flights.get_key_value(key).filter(|(_, flight)| flight.generation == generation);
        let (key, flight) = under_way.map_or_else(
            || (Arc::from(key), Arc::new(Flight { landed: OnceCell::new(), generation })),
            |(key, flight)| (Arc::clone(key), Arc::clone(flight)),
        );
        flights.insert(Arc::clone(&key), Arc::clone(&flight));
        Ok(Seat { cache: self, key, flight: Some(flight) })
    }

    /// Makes an answer of what the store said, and keeps it if the flight is still the one for its key.
    fn land(
        &self,
        key: &Arc<str>,
        flight: &Arc<Flight>,
        said: Result<Option<Name>, StoreError>,
        terms: &Terms,
    ) -> Answer {
        let mut flights = self.part(key);
        let (answer, ttl) = match said {
            Ok(Some(name)) => (Answer::Found(name), terms.positive_ttl),
            Ok(None) => (Answer::Absent, terms.negative_ttl),
            Err(_) => (Answer::Down { last: self.kept.peek(key).and_then(Kept::found) }, DOWN_TTL),
        };
        if flights.get(key).is_some_and(|current| Arc::ptr_eq(current, flight)) {
            flights.remove(key);
            let until = after(ttl);
            let kept = Kept { answer: answer.clone(), until, generation: flight.generation };
            self.kept.insert(Arc::clone(key), kept);
        }
        answer
    }

    fn keep_unbelieved(&self, key: &str, name: Name) {
        let kept = Kept { answer: Answer::Found(name), until: Instant::now(), generation: 0 };
        self.kept.insert(Arc::from(key), kept);
    }

    fn part(&self, key: &str) -> MutexGuard<'_, Flights> {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below PARTS")]
        let index = (self.hasher.hash_one(key) % PARTS as u64) as usize;
        // A panic under the lock leaves a map that is whole: its methods do not call out.
        self.flights[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lookups under way.
    #[cfg(test)]
    fn under_way(&self) -> usize {
        self.flights.iter().map(|part| part.lock().unwrap().len()).sum()
    }
}

/// The end of a time from now on; one that is longer than a year is a year (the clock has an end too).
fn after(ttl: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
    Instant::now() + ttl.min(YEAR)
}

// === impl Kept ===

impl Kept {
    fn found(self) -> Option<Name> {
        match self.answer {
            Answer::Found(name) => Some(name),
            Answer::Down { last } => last,
            Answer::Absent => None,
        }
    }
}

// === impl Seat ===

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut flights = self.cache.part(&self.key);
        let Some(flight) = self.flight.take() else {
            return;
        };
        // Ours and the list's: nobody else waits, and nobody can board while we hold the lock.
        let is_last = Arc::strong_count(&flight) == 2;
        if is_last && flights.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &flight)) {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod orders;
#[cfg(test)]
mod tests;
