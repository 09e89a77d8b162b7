//! The orders themselves.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use cluster::{Bus, Event, SessionFilter};
use mapping::rules::domain_key;
use mapping::store::{Applied, LoadError, StoreError};
use mapping::{Change, FileStore, Loaded, Router};
use sessions::{Hold, HoldError, Kicked, Registry};
use tokio::time::Instant;

/// Carries out orders on the mapping and on live accounts. A clone is the same desk and the same router.
///
/// Names are given in any spelling; they are normalised here.
#[derive(Clone, Debug)]
pub struct Control {
    pub(crate) router: Arc<Router>,
    registry: Registry,
    bus: Bus,
}

/// With more changes than this, every login under way is routed afresh: finding those of so many accounts
/// would take longer than they do.
const MANY: usize = 1_000;

// === impl Control ===

impl Control {
    /// Orders for this router and this desk, told to the other proxies on `bus`.
    #[must_use]
    pub fn new(router: Arc<Router>, registry: Registry, bus: Bus) -> Self {
        Self { router, registry, bus }
    }

    /// Where the other proxies are told.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Has logins under way look again after an edit of the mapping file by hand: those that it concerns, at
    /// the moment at which it is taken over.
    pub fn follow(&self, store: &FileStore) {
        let registry = self.registry.clone();
        store.on_edit(move |edit| registry.bump_where(|account| edit.concerns(account)));
    }

    /// Changes mappings, all or none. Once it is answered, the changes would survive a crash, no login is
    /// confirmed by what was there before, and those under way have been sent to look again, at the other
    /// proxies too; sessions that are there go on ([`Control::kick`]). Goes on when whoever called no longer waits.
    ///
    /// # Errors
    /// The store's. Logins under way look again then too: the write may have been made all the same
    /// ([`StoreError::NotDurable`], an answer that was lost).
    pub async fn apply(&self, changes: Vec<Change>) -> Result<Applied, StoreError> {
        let control = self.clone();
        let task = tokio::spawn(async move {
            let keys: Vec<_> =
                changes.iter().map(|change| control.router.normalize(&change.identifier)).collect();
            let applied = control.router.apply(changes).await;
            control.route_afresh(&keys);
            // After a failure too: one of them says that the change was made, but may not last.
            control.publish(Event::Changed(keys.into_iter().map(Into::into).collect())).await;
            applied
        });
        task.await.unwrap_or(Err(StoreError::Busy("the write was interrupted")))
    }

    /// Has the store read everything again, where it is read as a whole.
    ///
    /// # Errors
    /// Why what is there was not taken over; the entries are as they were then.
    pub async fn reload(&self) -> Result<Option<Loaded>, LoadError> {
        let control = self.clone();
        let task = tokio::spawn(async move {
            let loaded = control.router.reload().await;
            control.registry.bump_where(|_| true);
            loaded
        });
        match task.await {
            Ok(loaded) => loaded,
            Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
            // The runtime is going, and we with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// What is cached of an account, or of a domain (`@example.org`), is asked anew, by its logins under way
    /// too.
    pub fn invalidate(&self, identifier: &str) {
        let key = self.router.normalize(identifier);
        self.router.invalidate(&key);
        self.route_afresh(&[key]);
    }

    /// Everything that is cached is asked anew, by logins under way too.
    pub fn flush(&self) {
        self.router.flush();
        self.registry.bump_where(|_| true);
    }

    /// Ends sessions, and has logins under way routed afresh: of the account when `filter` is one account, else
    /// of everybody, since nobody knows yet where theirs will lead.
    pub fn kick(&self, filter: &SessionFilter) -> Kicked {
        let account = filter.account.as_ref().map(|account| Arc::from(self.router.normalize(account)));
        let filter = SessionFilter { account, ..filter.clone() };
        match filter.one_account() {
            Some(account) => self.registry.kick(account),
            None if filter.is_nobody() => Kicked::default(),
            None => self.registry.kick_where(|session| {
                filter.matches(session.account.as_deref(), &session.destination, session.client)
            }),
        }
    }

    /// New logins of the account wait for `delay` (at most [`sessions::MAX_DELAY`]), then are routed by what the
    /// mapping says then; zero ends a delay.
    pub fn delay(&self, identifier: &str, delay: Duration) {
        self.registry.delay(&self.router.normalize(identifier), delay);
    }

    /// Holds the logins of a group of accounts; see [`Registry::hold`].
    ///
    /// # Errors
    /// [`HoldError`]; then nothing is held.
    pub fn hold(&self, identifiers: &[&str], until: Instant) -> Result<Hold, HoldError> {
        let keys: Vec<_> = identifiers.iter().map(|identifier| self.router.normalize(identifier)).collect();
        self.registry.hold(&keys.iter().map(String::as_str).collect::<Vec<_>>(), until)
    }

    /// Has the logins under way of these accounts, and of the accounts of these domains, look again.
    pub(crate) fn route_afresh(&self, keys: &[impl AsRef<str>]) {
        if keys.len() > MANY {
            self.registry.bump_where(|_| true);
            return;
        }
        let mut domains = HashSet::new();
        for key in keys.iter().map(AsRef::as_ref) {
            self.registry.bump(key);
            if key.starts_with('@') {
                domains.insert(key);
            }
        }
        if !domains.is_empty() {
            self.registry.bump_where(|account| domain_key(account).is_some_and(|key| domains.contains(key)));
        }
    }
}
