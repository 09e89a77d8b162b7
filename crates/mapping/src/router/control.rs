//! Changes mappings and the cached answers about them.
//!
//! [`RouterControl`] is a type of its own so that only its owner, crate `control`, can write: a mapping that is changed
//! past it leaves a login that was looked up a moment before to end on the server that its account has just left.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use super::{ActiveMapping, Router, Settings};
use crate::store::{Applied, Change, LoadError, Loaded, Store, StoreError};

/// The right to change what a router answers. There is one for each router, and no way to clone it; everything that can
/// be read is read from the [`Router`] that it dereferences to.
#[derive(Debug)]
pub struct RouterControl {
    router: Router,
}

/// The distance between the bases of two plans; flushes and epochs never add up to as much.
const PLAN_STEP: u64 = 1 << 40;

// === impl Router ===

impl Router {
    /// Makes a router over `store`, with a cache of at most `cache_max_entries` answers, and the one right to change it.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, settings: Settings, cache_max_entries: usize) -> (Self, RouterControl) {
        let router = Self::build(store, settings, cache_max_entries);
        (router.clone(), RouterControl { router })
    }
}

// === impl RouterControl ===

impl RouterControl {
    /// Routes by another plan and another store (or the same) from now on. Cached answers are looked up again, and kept
    /// for an outage of the store.
    pub fn set_plan(&self, store: &Arc<dyn Store>, settings: &Settings) {
        self.router.inner.active.rcu(|active| ActiveMapping {
            store: Arc::clone(store),
            settings: settings.clone(),
            base_generation: active.base_generation + PLAN_STEP,
        });
    }

    /// Changes entries, all or none, and updates the cache. Logins in progress that already have their answer
    /// are not covered here, and neither is a caller that stops waiting, which would leave a write without its
    /// invalidation: `control::Control::execute` sees to both.
    ///
    /// # Errors
    /// The error of the store. The cached answers for these identifiers are stale then too.
    pub async fn apply(&self, mut changes: Vec<Change>) -> Result<Applied, StoreError> {
        let active = self.router.inner.active.load_full();
        for change in &mut changes {
            if let Cow::Owned(key) = active.settings.rules.key(&change.identifier) {
                change.identifier = key.into();
            }
        }
        let applied = active.store.apply(changes.clone()).await;
        for change in &changes {
            match &applied {
                Ok(_) => {
                    self.router.inner.cache.record_write(&change.identifier, change.destination.as_ref());
                }
                Err(_) => self.router.inner.cache.invalidate(&change.identifier),
            }
        }
        applied
    }

    /// Has a store that is read as a whole read everything again, and flushes the cache.
    ///
    /// # Errors
    /// ResolutionReason the store's content was refused; the entries are unchanged then.
    pub async fn reload(&self) -> Result<Option<Loaded>, LoadError> {
        let store = Arc::clone(&self.router.inner.active.load().store);
        let loaded = store.reload().await?;
        self.flush();
        Ok(loaded)
    }

    /// Has the answer for `identifier` (normalised) looked up again. Takes the same time however much is cached.
    pub fn invalidate(&self, identifier: &str) {
        self.router.inner.cache.invalidate(identifier);
    }

    /// Has every cached answer looked up again. Takes the same time however much is cached.
    pub fn flush(&self) {
        self.router.inner.cache.flush();
    }
}

impl Deref for RouterControl {
    type Target = Router;

    fn deref(&self) -> &Router {
        &self.router
    }
}
