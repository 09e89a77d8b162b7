//! The rules by which an account gets its destination.
//!
//! An exact entry wins over its domain's, the domain's over the default. A store that cannot be asked never
//! makes a login fail: what is still in memory counts, then the default.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use plan::{Name, Plan};
use tokio::time::{Instant, timeout};

use self::stats::Counters;
use crate::cache::{Answer, Cache, Looked, Terms};
use crate::rules::{Rules, domain_key};
use crate::shown::shown;
use crate::store::{Listing, Store, StoreError};

mod control;
mod latency;
mod stats;
mod why;

pub use self::control::RouterControl;
pub use self::latency::Latency;
pub use self::stats::Stats;
pub use self::why::{Resolution, Why};

/// Finds the destination of an account. A clone is the same router.
#[derive(Clone, Debug)]
pub struct Router {
    inner: Arc<Inner>,
}

/// What a plan says on routing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The declared destinations, and how identifiers are folded.
    pub rules: Rules,
    /// `default_destination`.
    pub default: Name,
    /// How long a found answer is believed.
    pub positive_ttl: Duration,
    /// How long an absent answer is believed.
    pub negative_ttl: Duration,
    /// How long a store may take for one lookup.
    pub lookup_timeout: Duration,
}

/// What the clones of a router share.
#[derive(Debug)]
struct Inner {
    parts: ArcSwap<Parts>,
    cache: Cache,
    counters: Counters,
    /// Whether the last lookup failed: the change is logged, not every failure.
    is_store_down: AtomicBool,
}

/// What a reload replaces.
#[derive(Debug)]
struct Parts {
    store: Arc<dyn Store>,
    settings: Settings,
    /// Added to the cache's generation: answers found under other parts are not believed.
    base: u64,
}

// === impl Router ===

impl Router {
    fn build(store: Arc<dyn Store>, settings: Settings, cache_max_entries: usize) -> Self {
        let inner = Inner {
            parts: ArcSwap::from_pointee(Parts { store, settings, base: 0 }),
            cache: Cache::new(cache_max_entries),
            counters: Counters::default(),
            is_store_down: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where the account `identifier` (normalised) is. Never fails; waits for the store at most twice
    /// `lookup_timeout` for the account and as long for its domain.
    pub async fn resolve(&self, identifier: &str) -> Resolution {
        let parts = self.inner.parts.load_full();
        let exact = self.inner.look(&parts, identifier).await;
        let is_down = match exact.answer {
            Answer::Found(name) => return self.inner.found(&parts, &name, Why::Entry, exact.is_cached),
            Answer::Down { last: Some(name) } => {
                return self.inner.found(&parts, &name, Why::StoreDown { stale: true }, exact.is_cached);
            }
            Answer::Down { last: None } => true,
            Answer::Absent => false,
        };
        let domain = match domain_key(identifier).filter(|_| parts.settings.rules.domains) {
            None => Looked { answer: Answer::Absent, is_cached: true },
            // Another wait for a store that does not answer helps nobody: only what is in memory counts.
            Some(domain) if is_down => {
                Looked { answer: self.inner.cache.last_known(domain), is_cached: true }
            }
            Some(domain) => self.inner.look(&parts, domain).await,
        };
        let is_cached = exact.is_cached && domain.is_cached;
        match domain.answer {
            Answer::Found(name) if !is_down => self.inner.found(&parts, &name, Why::Domain, is_cached),
            Answer::Found(name) | Answer::Down { last: Some(name) } => {
                self.inner.found(&parts, &name, Why::StoreDown { stale: true }, is_cached)
            }
            Answer::Absent if !is_down => self.inner.default(&parts, Why::Default, is_cached),
            Answer::Absent | Answer::Down { last: None } => {
                self.inner.default(&parts, Why::StoreDown { stale: false }, is_cached)
            }
        }
    }

    /// The key under which `identifier` is stored, cached and resolved.
    #[must_use]
    pub fn normalize(&self, identifier: &str) -> String {
        self.inner.parts.load().settings.rules.key(identifier).into_owned()
    }

    /// A page of the store's entries; see [`Store::list`].
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, from: u64, limit: usize) -> Result<Listing, StoreError> {
        let store = Arc::clone(&self.inner.parts.load().store);
        store.list(from, limit).await
    }

    /// Entries of the store by destination, where it knows; see [`Store::census`].
    #[must_use]
    pub fn census(&self) -> Option<Vec<(Name, usize)>> {
        self.inner.parts.load().store.census()
    }

    /// The counters at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.counters.read(self.inner.cache.len())
    }
}

// === impl Settings ===

impl Settings {
    /// The settings of `plan`.
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
    /// The answer for one key, out of memory or from the store.
    async fn look(&self, parts: &Parts, key: &str) -> Looked {
        let terms = Terms {
            generation: parts.base + parts.store.epoch() + self.cache.flushes(),
            positive_ttl: parts.settings.positive_ttl,
            negative_ttl: parts.settings.negative_ttl,
        };
        // A wait for somebody else's lookup has its own end, should those who make it leave one by one.
        let patience = parts.settings.lookup_timeout.saturating_mul(2);
        let looked = timeout(patience, self.cache.answer(key, &terms, || self.ask(parts, key))).await;
        let looked = looked.unwrap_or_else(|_| self.cache.given_up(key));
        let counter = if looked.is_cached { &self.counters.hits } else { &self.counters.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        looked
    }

    /// One lookup in the store.
    async fn ask(&self, parts: &Parts, key: &str) -> Result<Option<Name>, StoreError> {
        let limit = parts.settings.lookup_timeout;
        let began = Instant::now();
        let asked = timeout(limit, parts.store.lookup(key)).await;
        self.counters.store_latency.took(began.elapsed());
        match asked.unwrap_or(Err(StoreError::TimedOut(limit))) {
            Ok(name) => {
                if self.is_store_down.swap(false, Ordering::Relaxed) {
                    tracing::info!("the mapping store answers again");
                }
                Ok(name.map(|name| shared(parts, &name)))
            }
            Err(error) => {
                self.counters.store_errors.fetch_add(1, Ordering::Relaxed);
                if !self.is_store_down.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "accounts are routed by what is cached, or to the default destination");
                }
                Err(error)
            }
        }
    }

    fn found(&self, parts: &Parts, name: &Name, why: Why, cached: bool) -> Resolution {
        let Some(destination) = parts.settings.rules.declared(name) else {
            self.counters.undeclared.fetch_add(1, Ordering::Relaxed);
            return self.default(parts, Why::Undeclared, cached);
        };
        if matches!(why, Why::StoreDown { .. }) {
            self.counters.store_down.fetch_add(1, Ordering::Relaxed);
        }
        Resolution { destination: Arc::clone(destination), why, cached }
    }

    /// An account that the mapping does not name goes to the default destination, which is the source.
    fn default(&self, parts: &Parts, why: Why, cached: bool) -> Resolution {
        if matches!(why, Why::StoreDown { .. }) {
            self.counters.store_down.fetch_add(1, Ordering::Relaxed);
        }
        Resolution { destination: Arc::clone(&parts.settings.default), why, cached }
    }
}

/// The plan's own copy of a name, so that a million cached answers share it; a name that is not declared is
/// told, once per lookup, and cut to what may be kept. Whose it is stands in the span of the login, where the
/// account is shown as `log_identifiers` has it.
fn shared(parts: &Parts, name: &Name) -> Name {
    const MAX_KEPT: usize = 255;
    if let Some(declared) = parts.settings.rules.declared(name) {
        return Arc::clone(declared);
    }
    tracing::warn!(
        found = shown(name),
        default = %parts.settings.default,
        "the mapping store names a destination that is not declared; the account goes to the default"
    );
    if name.len() <= MAX_KEPT { Arc::clone(name) } else { Arc::from("(a name that is too long)") }
}

#[cfg(test)]
mod tests;
