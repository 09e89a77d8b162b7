//! An order's effect on this proxy, and its results.
//!
//! Moving a group of accounts builds on this: `execute(Order::Hold)`, wait until [`HeldAccounts::emptied`], change the mapping of the
//! group with one `execute(Order::Change)`, release.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Bus, Publisher};
use mapping::rules::domain_key;
use mapping::store::Applied;
use mapping::{FileStore, Loaded, RouterControl, Settings, Store};
use sessions::{Ending, Hold, HoldStats, Kicked, Limits, RegistryControl, SessionFilter};

use tokio::time::sleep;

use crate::hold::{HoldId, HoldTable, Origin};
use crate::order::{HoldNumber, Order, OrderError};
use crate::publish::publish;

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
    pub(crate) publisher: Publisher,
    pub(crate) holds: HoldTable,
}

/// The result of an order.
#[derive(Debug)]
pub enum Executed {
    /// Mappings were written.
    Changed(Applied),
    /// The store was read; what it holds, where it is read as a whole.
    Reloaded(Option<Loaded>),
    /// Sessions were asked to end.
    Kicked(KickedSessions),
    /// Accounts are held until the handle is released or dropped.
    Held(HeldAccounts),
    /// So many sessions of held accounts were signalled to end.
    Ending(usize),
    /// An order without a result of its own.
    Done,
}

/// The sessions that a kick has affected, and their end.
#[derive(Debug, Default)]
pub struct KickedSessions {
    /// How many sessions and logins.
    pub counts: Kicked,
    /// The sessions that have not left yet.
    pub ending: Ending,
}

/// A group of accounts that this proxy holds. Dropping it releases them, here at once and at the other proxies in the
/// background.
#[derive(Debug)]
#[must_use = "dropping the handle releases its accounts"]
pub struct HeldAccounts {
    control: Control,
    number: HoldNumber,
    not_held_by: Vec<Arc<str>>,
}

/// An order that was carried out here, and where else.
struct Carried {
    executed: Executed,
    /// The other proxies that did not acknowledge it.
    silent: Vec<Arc<str>>,
}

/// With more changes than this, every login under way is looked up again: finding those of so many accounts takes longer
/// than looking all of them up.
const MAX_SINGLE_BUMPS: usize = 1_000;

/// How soon the order to end sessions is repeated when another proxy did not acknowledge it.
const END_RETRY: Duration = Duration::from_millis(100);

// === impl Control ===

impl Control {
    /// Takes over the right to change this router and this registry. Orders are published by `publisher`.
    #[must_use]
    pub fn new(router: RouterControl, registry: RegistryControl, publisher: Publisher) -> Self {
        Self { inner: Arc::new(Inner { router, registry, publisher, holds: HoldTable::default() }) }
    }

    /// Returns the channel to the other proxies.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        self.inner.publisher.bus()
    }

    /// Carries an order out here and at the other proxies. Once it returns, a change would survive a crash, and no login
    /// is confirmed by what was there before. The order is carried out in full even when the caller stops waiting: the
    /// task below is the only guard against that, and every order needs it.
    ///
    /// # Errors
    /// [`OrderError`].
    pub async fn execute(&self, order: Order) -> Result<Executed, OrderError> {
        let Carried { executed, silent } = self.carry_out(order).await?;
        match executed {
            Executed::Held(mut held) => {
                held.not_held_by = silent;
                Ok(Executed::Held(held))
            }
            executed => Ok(executed),
        }
    }

    async fn carry_out(&self, order: Order) -> Result<Carried, OrderError> {
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

    async fn apply_and_publish(&self, order: Order) -> Result<Carried, OrderError> {
        let order = self.normalized(order);
        let for_others = order.for_other_proxies();
        // A write that is reported as failed may have been made all the same: the others look again then too.
        let publishes_failure = matches!(order, Order::Change(_));
        let result = self.apply(order, Origin::ThisProxy).await;
        let mut silent = Vec::new();
        if let Some(order) = for_others
            && (result.is_ok() || publishes_failure)
        {
            silent = publish(&self.inner.publisher, &order).await;
        }
        Ok(Carried { executed: result?, silent })
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
                self.look_up_again(&keys);
                return Ok(Executed::Changed(applied?));
            }
            Order::Invalidate(keys) => {
                for key in &keys {
                    router.invalidate(key);
                }
                self.look_up_again(&keys);
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
                holds.hold(HoldId { origin, number }, &accounts, lasts, registry)?;
                if origin == Origin::ThisProxy {
                    let not_held_by = Vec::new();
                    return Ok(Executed::Held(HeldAccounts { control: self.clone(), number, not_held_by }));
                }
                self.drop_remote_hold_after(lasts);
            }
            Order::EndSessions { number } => {
                let groups = holds.groups(HoldId { origin, number });
                return Ok(Executed::Ending(groups.iter().map(|group| group.end_sessions()).sum()));
            }
            Order::Release { number } => holds.release(HoldId { origin, number }),
            Order::Drain { spread } => registry.drain(spread),
        }
        Ok(Executed::Done)
    }

    /// Drops a hold of another proxy when its time is over: its release never comes when its owner has ended.
    fn drop_remote_hold_after(&self, lasts: Duration) {
        let control = self.clone();
        tokio::spawn(async move {
            // The instant itself is still part of the hold.
            sleep(lasts + Duration::from_millis(1)).await;
            control.inner.holds.drop_expired();
        });
    }

    /// Has the logins under way of these accounts, and of the accounts of these domains, looked up again.
    fn look_up_again(&self, keys: &[Arc<str>]) {
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

// === impl Executed ===

impl Executed {
    /// Returns how many mappings were changed.
    #[must_use]
    pub const fn changed(&self) -> usize {
        match self {
            Self::Changed(applied) => applied.changed,
            Self::Reloaded(_) | Self::Kicked(_) | Self::Held(_) | Self::Ending(_) | Self::Done => 0,
        }
    }

    /// Returns what a reload found, where the store is read as a whole.
    #[must_use]
    pub const fn loaded(&self) -> Option<Loaded> {
        match self {
            Self::Reloaded(loaded) => *loaded,
            Self::Changed(_) | Self::Kicked(_) | Self::Held(_) | Self::Ending(_) | Self::Done => None,
        }
    }

    /// Returns the sessions that a kick has affected.
    #[must_use]
    pub fn kicked(self) -> KickedSessions {
        match self {
            Self::Kicked(kicked) => kicked,
            Self::Changed(_) | Self::Reloaded(_) | Self::Held(_) | Self::Ending(_) | Self::Done => {
                KickedSessions::default()
            }
        }
    }

    /// Returns the handle of a hold.
    #[must_use]
    pub fn held(self) -> Option<HeldAccounts> {
        match self {
            Self::Held(held) => Some(held),
            Self::Changed(_) | Self::Reloaded(_) | Self::Kicked(_) | Self::Ending(_) | Self::Done => None,
        }
    }
}

// === impl HeldAccounts ===

impl HeldAccounts {
    /// Returns the held accounts, normalised, each once.
    #[must_use]
    pub fn accounts(&self) -> Vec<Arc<str>> {
        self.holds().iter().flat_map(|hold| hold.accounts().to_vec()).collect()
    }

    /// Returns the other proxies that did not confirm that they hold the accounts: a login may complete there.
    #[must_use]
    pub fn not_held_by(&self) -> &[Arc<str>] {
        &self.not_held_by
    }

    /// Signals every session of the group to end, here and at the other proxies; returns how many were signalled here,
    /// once no session is left anywhere. The caller bounds the wait.
    ///
    /// # Errors
    /// [`OrderError::Interrupted`].
    pub async fn end_sessions(&self) -> Result<usize, OrderError> {
        let mut signalled = 0;
        loop {
            let carried = self.control.carry_out(Order::EndSessions { number: self.number }).await?;
            if let Executed::Ending(count) = carried.executed {
                signalled += count;
            }
            if carried.silent.is_empty() {
                break;
            }
            // A channel that is cut fails at once.
            sleep(END_RETRY).await;
        }
        self.emptied().await;
        Ok(signalled)
    }

    /// Returns the proxies that do not confirm, now, that they hold the accounts and have no session of them: one that has
    /// restarted since the hold began does not know of it. Empty when all do.
    ///
    /// # Errors
    /// [`OrderError::Interrupted`].
    pub async fn unconfirmed_by(&self) -> Result<Vec<Arc<str>>, OrderError> {
        Ok(self.control.carry_out(Order::EndSessions { number: self.number }).await?.silent)
    }

    /// Closes every session of the group at once, here and at the other proxies. The caller waits for their end with
    /// [`HeldAccounts::end_sessions`].
    ///
    /// # Errors
    /// [`OrderError::Interrupted`].
    pub async fn kick(&self) -> Result<(), OrderError> {
        for account in self.accounts() {
            self.control.execute(Order::Kick(SessionFilter::account(account))).await?;
        }
        Ok(())
    }

    /// Returns what the hold has cost the logins that wait at this proxy. It can be read after the release, too.
    #[must_use]
    pub fn costs(&self) -> Vec<Arc<HoldStats>> {
        self.holds().iter().map(|hold| hold.stats()).collect()
    }

    /// Returns how many sessions of the group are left on this proxy. While the hold lasts, this only falls.
    #[must_use]
    pub fn sessions_left(&self) -> usize {
        self.holds().iter().map(|hold| hold.sessions()).sum()
    }

    /// Resolves when the group has no session left on this proxy. The caller bounds the wait.
    pub async fn emptied(&self) {
        for hold in self.holds() {
            hold.emptied().await;
        }
    }

    /// Lets the group's logins go on, to the destination that the mapping names now, and waits until the other proxies do the same.
    ///
    /// # Errors
    /// [`OrderError::Interrupted`]; the accounts are released here all the same.
    pub async fn release(self) -> Result<(), OrderError> {
        self.control.execute(Order::Release { number: self.number }).await.map(drop)
    }

    const fn id(&self) -> HoldId {
        HoldId { origin: Origin::ThisProxy, number: self.number }
    }

    fn holds(&self) -> Vec<Arc<Hold>> {
        self.control.inner.holds.groups(self.id())
    }
}

impl Drop for HeldAccounts {
    fn drop(&mut self) {
        if self.holds().is_empty() {
            return;
        }
        self.control.inner.holds.release(self.id());
        // Outside a runtime the other proxies drop the hold when its time is over.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let control = self.control.clone();
            let number = self.number;
            runtime.spawn(async move { control.execute(Order::Release { number }).await.map(drop) });
        }
    }
}
