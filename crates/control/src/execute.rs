//! An order's effect on this proxy.

use std::collections::HashSet;
use std::sync::Arc;

use cluster::Bus;
use mapping::rules::domain_key;
use mapping::{FileStore, RouterControl, Settings, Store};
use sessions::{Limits, RegistryControl};

use crate::hold::{HoldTable, Origin};
use crate::order::{Executed, KickedSessions, Order, OrderError};

/// Carries out orders. A clone carries them out on the same router and the same registry.
#[derive(Clone, Debug)]
pub struct Control {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) router: RouterControl,
    pub(crate) registry: RegistryControl,
    pub(crate) bus: Bus,
    pub(crate) holds: HoldTable,
}

/// With more changes than this, every login under way is routed afresh: finding those of so many accounts takes longer
/// than routing them again.
const MAX_SINGLE_BUMPS: usize = 1_000;

// === impl Control ===

impl Control {
    /// Takes over the right to change this router and this registry. Orders are published on `bus`.
    #[must_use]
    pub fn new(router: RouterControl, registry: RegistryControl, bus: Bus) -> Self {
        Self { inner: Arc::new(Inner { router, registry, bus, holds: HoldTable::default() }) }
    }

    /// Returns the channel to the other proxies.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Carries an order out here and at the other proxies. Once it returns, a change would survive a crash, and no login
    /// is confirmed by what was there before. The order is carried out in full even when the caller stops waiting: the
    /// task below is the only guard against that, and every order needs it.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn execute(&self, order: Order) -> Result<Executed, OrderError> {
        let control = self.clone();
        let task = tokio::spawn(async move { control.apply_and_publish(order).await });
        task.await.unwrap_or(Err(OrderError::Interrupted))
    }

    /// Has logins under way looked up again after an edit of the mapping file by hand: those that the edit concerns, at
    /// the moment at which it takes effect.
    pub fn follow(&self, store: &FileStore) {
        // Weak: the router owns the store, and the store would own the router.
        let inner = Arc::downgrade(&self.inner);
        store.on_edit(move |edit| {
            if let Some(inner) = inner.upgrade() {
                inner.registry.bump_where(|account| edit.concerns(account));
            }
        });
    }

    /// Routes by another plan's store and settings from now on.
    pub fn set_plan(&self, store: &Arc<dyn Store>, settings: &Settings) {
        self.inner.router.set_plan(store, settings);
    }

    /// Changes the limits for new logins and sessions.
    pub fn set_limits(&self, limits: Limits) {
        self.inner.registry.set_limits(limits);
    }

    async fn apply_and_publish(&self, order: Order) -> Result<Executed, OrderError> {
        let order = self.normalized(order);
        let for_others = order.for_other_proxies();
        // A write that is reported as failed may have been made all the same: the others look again then too.
        let publishes_failure = matches!(order, Order::Change(_));
        let result = self.apply(order, Origin::ThisProxy).await;
        if let Some(order) = for_others
            && (result.is_ok() || publishes_failure)
        {
            self.publish(&order).await;
        }
        result
    }

    pub(crate) fn normalized(&self, order: Order) -> Order {
        order.normalized(|name| self.inner.router.normalize(name))
    }

    /// Carries an order out on this proxy only. Names are normalised.
    pub(crate) async fn apply(&self, order: Order, origin: Origin) -> Result<Executed, OrderError> {
        let Inner { router, registry, holds, .. } = &*self.inner;
        match order {
            Order::Change(changes) => {
                let keys: Vec<_> = changes.iter().map(|change| Arc::clone(&change.identifier)).collect();
                let applied = router.apply(changes).await;
                self.route_afresh(&keys);
                return Ok(Executed::Changed(applied?));
            }
            Order::Invalidate(keys) => {
                for key in &keys {
                    router.invalidate(key);
                }
                self.route_afresh(&keys);
            }
            Order::Flush => {
                router.flush();
                registry.bump_where(|_| true);
            }
            Order::Reload => {
                let loaded = router.reload().await;
                registry.bump_where(|_| true);
                return Ok(Executed::Reloaded(loaded?));
            }
            Order::Kick(filter) => {
                let counts = registry.kick(&filter);
                let ending = registry.ending(|session| filter.matches(session));
                return Ok(Executed::Kicked(KickedSessions { counts, ending }));
            }
            Order::Delay { account, delay } => registry.delay(&account, delay),
            Order::Hold { number, accounts, lasts } => {
                return self.hold(origin, number, &accounts, lasts);
            }
            Order::Release { number } => holds.release(origin, number),
            Order::Drain { spread } => registry.drain(spread),
        }
        Ok(Executed::Done)
    }

    /// Has the logins under way of these accounts, and of the accounts of these domains, looked up again.
    fn route_afresh(&self, keys: &[Arc<str>]) {
        let registry = &self.inner.registry;
        if keys.len() > MAX_SINGLE_BUMPS {
            registry.bump_where(|_| true);
            return;
        }
        let mut domains = HashSet::new();
        for key in keys {
            registry.bump(key);
            if key.starts_with('@') {
                domains.insert(&**key);
            }
        }
        if !domains.is_empty() {
            registry.bump_where(|account| domain_key(account).is_some_and(|key| domains.contains(key)));
        }
    }
}
