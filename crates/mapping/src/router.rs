//! Finds the destination of an account: its own entry, then its domain's entry, then the default destination.
//!
//! What must never happen: a login fails, or a moved account returns to its old server, because the store is down.
//! During an outage the last answer in memory counts, then the default.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use plan::{Name, Plan};
use tokio::time::{Instant, timeout};

use self::stats::Counters;
use crate::cache::{Cache, CacheLookup, CachePolicy, MappingAnswer};
use crate::rules::{Rules, domain_key};
use crate::shown::shown;
use crate::store::{Listing, Store, StoreError};

mod control;
mod latency;
mod resolution;
mod stats;

pub use self::control::RouterControl;
pub use self::latency::Latency;
pub use self::resolution::{Resolution, ResolutionReason};
pub use self::stats::Stats;

/// Finds the destination of an account. Clones share the same router.
#[derive(Clone, Debug)]
pub struct Router {
    inner: Arc<Inner>,
}

/// The routing settings of a plan.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The declared destinations, and how identifiers are folded.
    pub rules: Rules,
    /// `default_destination`.
    pub default: Name,
    /// How long a found answer is fresh.
    pub positive_ttl: Duration,
    /// How long an absent answer is fresh.
    pub negative_ttl: Duration,
    /// How long the store may take for one lookup.
    pub lookup_timeout: Duration,
}

/// The state that clones of a router share.
#[derive(Debug)]
struct Inner {
    active: ArcSwap<ActiveMapping>,
    cache: Cache,
    counters: Counters,
    /// Whether the last lookup failed. Only a change is logged, not every failure.
    is_store_down: AtomicBool,
}

/// The store and settings in effect; a reload replaces them.
#[derive(Debug)]
struct ActiveMapping {
    store: Arc<dyn Store>,
    settings: Settings,
    /// Added to the cache's generation, so that answers from an earlier plan are stale.
    base_generation: u64,
}

// === impl Router ===

impl Router {
    fn build(store: Arc<dyn Store>, settings: Settings, cache_max_entries: usize) -> Self {
        let inner = Inner {
            active: ArcSwap::from_pointee(ActiveMapping { store, settings, base_generation: 0 }),
            cache: Cache::new(cache_max_entries),
            counters: Counters::default(),
            is_store_down: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the destination of the account `identifier` (normalised). Never fails. Waits for the store at most twice
    /// `lookup_timeout` for the account and the same for its domain.
    pub async fn resolve(&self, identifier: &str) -> Resolution {
        let active = self.inner.active.load_full();
        let exact = self.inner.lookup(&active, identifier).await;
        let is_down = match exact.answer {
            MappingAnswer::Found(name) => {
                return self.inner.found(&active, &name, ResolutionReason::Entry, exact.is_cached);
            }
            MappingAnswer::Down { last: Some(name) } => {
                return self.inner.found(
                    &active,
                    &name,
                    ResolutionReason::StoreDown { stale: true },
                    exact.is_cached,
                );
            }
            MappingAnswer::Down { last: None } => true,
            MappingAnswer::Absent => false,
        };
        let domain = match domain_key(identifier).filter(|_| active.settings.rules.domains) {
            None => CacheLookup { answer: MappingAnswer::Absent, is_cached: true },
            // The store has just failed to answer, so only memory counts for the domain.
            Some(domain) if is_down => {
                CacheLookup { answer: self.inner.cache.last_known(domain), is_cached: true }
            }
            Some(domain) => self.inner.lookup(&active, domain).await,
        };
        let is_cached = exact.is_cached && domain.is_cached;
        match domain.answer {
            MappingAnswer::Found(name) if !is_down => {
                self.inner.found(&active, &name, ResolutionReason::Domain, is_cached)
            }
            MappingAnswer::Found(name) | MappingAnswer::Down { last: Some(name) } => {
                self.inner.found(&active, &name, ResolutionReason::StoreDown { stale: true }, is_cached)
            }
            MappingAnswer::Absent if !is_down => {
                self.inner.default(&active, ResolutionReason::Default, is_cached)
            }
            MappingAnswer::Absent | MappingAnswer::Down { last: None } => {
                self.inner.default(&active, ResolutionReason::StoreDown { stale: false }, is_cached)
            }
        }
    }

    /// Returns the key under which `identifier` is stored, cached and resolved.
    #[must_use]
    pub fn normalize(&self, identifier: &str) -> String {
        self.inner.active.load().settings.rules.key(identifier).into_owned()
    }

    /// Returns a page of the store's entries; see [`Store::list`].
    ///
    /// # Errors
    /// The error of the store.
    pub async fn list(&self, from: u64, limit: usize) -> Result<Listing, StoreError> {
        let store = Arc::clone(&self.inner.active.load().store);
        store.list(from, limit).await
    }

    /// Returns the number of entries of each destination, if the store knows it; see [`Store::entries_by_destination`].
    #[must_use]
    pub fn entries_by_destination(&self) -> Option<Vec<(Name, usize)>> {
        self.inner.active.load().store.entries_by_destination()
    }

    /// Returns the current counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.snapshot(self.inner.cache.len())
    }
}

// === impl Settings ===

impl Settings {
    /// Returns the routing settings of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        Self {
            rules: Rules::of(plan),
            default: Arc::clone(&plan.routing.default),
            positive_ttl: plan.mapping.positive_ttl,
            negative_ttl: plan.mapping.negative_ttl,
            lookup_timeout: plan.mapping.lookup_timeout,
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Returns the answer for one key, from memory or from the store.
    async fn lookup(&self, active: &ActiveMapping, key: &str) -> CacheLookup {
        let policy = CachePolicy {
            generation: active.base_generation + active.store.epoch() + self.cache.flushes(),
            positive_ttl: active.settings.positive_ttl,
            negative_ttl: active.settings.negative_ttl,
        };
        // The shared lookup has its own limit, because its callers may be cancelled one after another.
        let limit = active.settings.lookup_timeout.saturating_mul(2);
        let lookup = self.cache.lookup(key, &policy, || self.query_store(active, key));
        let found = match timeout(limit, lookup).await {
            Ok(found) => found,
            Err(_) => self.cache.abandoned(key),
        };
        let counter = if found.is_cached { &self.counters.hits } else { &self.counters.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Runs one lookup in the store.
    async fn query_store(&self, active: &ActiveMapping, key: &str) -> Result<Option<Name>, StoreError> {
        let limit = active.settings.lookup_timeout;
        let started = Instant::now();
        let result = timeout(limit, active.store.lookup(key)).await;
        self.counters.store_latency.record(started.elapsed());
        match result.unwrap_or(Err(StoreError::TimedOut(limit))) {
            Ok(name) => {
                if self.is_store_down.swap(false, Ordering::Relaxed) {
                    tracing::info!("the mapping store answers again");
                }
                Ok(name.map(|name| declared_or_logged(active, &name)))
            }
            Err(error) => {
                self.counters.store_errors.fetch_add(1, Ordering::Relaxed);
                if !self.is_store_down.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "the mapping store is down: accounts are routed by cached answers, or to the default destination");
                }
                Err(error)
            }
        }
    }

    fn found(
        &self,
        active: &ActiveMapping,
        name: &Name,
        reason: ResolutionReason,
        cached: bool,
    ) -> Resolution {
        let Some(destination) = active.settings.rules.declared(name) else {
            self.counters.undeclared.fetch_add(1, Ordering::Relaxed);
            return self.default(active, ResolutionReason::Undeclared, cached);
        };
        if matches!(reason, ResolutionReason::StoreDown { .. }) {
            self.counters.store_down.fetch_add(1, Ordering::Relaxed);
        }
        Resolution { destination: Arc::clone(destination), reason, cached }
    }

    /// An account that the mapping does not name goes to the default destination, which is the source.
    fn default(&self, active: &ActiveMapping, reason: ResolutionReason, cached: bool) -> Resolution {
        if matches!(reason, ResolutionReason::StoreDown { .. }) {
            self.counters.store_down.fetch_add(1, Ordering::Relaxed);
        }
        Resolution { destination: Arc::clone(&active.settings.default), reason, cached }
    }
}

/// Returns the plan's copy of a name, so that a million cached answers share it. An undeclared name is logged once per
/// lookup and replaced if it is too long to cache. The log line does not name the account: the login's span does, in
/// the form that `log_identifiers` asks for.
fn declared_or_logged(active: &ActiveMapping, name: &Name) -> Name {
    const MAX_LENGTH: usize = 255;
    if let Some(declared) = active.settings.rules.declared(name) {
        return Arc::clone(declared);
    }
    tracing::warn!(
        found = shown(name),
        default = %active.settings.default,
        "the mapping store names a destination that is not declared; the account goes to the default"
    );
    if name.len() <= MAX_LENGTH { Arc::clone(name) } else { Arc::from("(a name that is too long)") }
}

#[cfg(test)]
mod tests;
