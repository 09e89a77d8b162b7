//! What can be asked for, and why it can fail.
//!
//! One closed enum, so that a new order does not compile before it has a local effect and a decision on whether the other
//! proxies get it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cluster::Audience;
use mapping::Change;
use mapping::store::{LoadError, StoreError};
use sessions::{HoldError, SessionFilter};
use thiserror::Error;

/// A change of a mapping, of the cache, or of live sessions. Accounts may be given in any spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Sets and removes mappings, all or none: one entry, an import, or the change that moves a held group. Sessions go on
    /// until they are kicked.
    Change(Vec<Change>),
    /// Has these accounts, or domains (`@example.org`), looked up again, by logins under way too.
    Invalidate(Vec<Arc<str>>),
    /// Has everything looked up again, by logins under way too.
    Flush,
    /// Has a store that is read as a whole read again. Not sent to other proxies: they do not share such a store.
    Reload,
    /// Ends sessions, and has logins under way looked up again. A filter without a condition matches nothing.
    Kick(SessionFilter),
    /// Makes new logins of the account wait; zero ends a delay.
    Delay {
        /// The account.
        account: Arc<str>,
        /// How long logins wait, at most [`sessions::MAX_DELAY`].
        delay: Duration,
    },
    /// Lets no login of these accounts complete until the release.
    Hold {
        /// Identifies the hold in its release, together with the proxy that sent it.
        number: HoldNumber,
        /// The accounts.
        accounts: Vec<Arc<str>>,
        /// How long a login waits for the release. Other proxies drop the hold after this time.
        lasts: Duration,
    },
    /// Ends the sessions of a hold's accounts; a transfer in progress may finish.
    EndSessions {
        /// The hold's number.
        number: HoldNumber,
    },
    /// Ends a hold: the logins that wait go on, to where the mapping says now.
    Release {
        /// The hold's number.
        number: HoldNumber,
    },
    /// Ends every session of this proxy over `spread`. Not sent to other proxies.
    Drain {
        /// The time over which the sessions end.
        spread: Duration,
    },
}

/// The number of a hold, unique while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldNumber(pub(crate) u64);

/// Why an order had no effect, or may have had only a part of it.
#[derive(Debug, Error)]
pub enum OrderError {
    /// The store refused the change or could not be reached. After [`StoreError::NotDurable`] and a lost answer the write
    /// may have been made all the same, so logins under way are looked up again then too.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's content was refused; the entries are unchanged.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The accounts could not be held; none is.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The task that carried the order out did not end by itself.
    #[error("the order was interrupted; it may have taken effect")]
    Interrupted,
}

// === impl Order ===

impl Order {
    /// Maps one account, or a domain (`@example.org`), to a destination.
    #[must_use]
    pub fn set(identifier: &str, destination: &str) -> Self {
        Self::Change(vec![Change::set(identifier, destination)])
    }

    /// Removes the mapping of one account or domain.
    #[must_use]
    pub fn remove(identifier: &str) -> Self {
        Self::Change(vec![Change::remove(identifier)])
    }

    /// Holds a group of accounts under a new number.
    #[must_use]
    pub fn hold(accounts: Vec<Arc<str>>, lasts: Duration) -> Self {
        Self::Hold { number: HoldNumber::next(), accounts, lasts }
    }

    /// Returns the order's name in logs.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Change(_) => "change",
            Self::Invalidate(_) => "invalidate",
            Self::Flush => "flush",
            Self::Reload => "reload",
            Self::Kick(_) => "kick",
            Self::Delay { .. } => "delay",
            Self::Hold { .. } => "hold",
            Self::EndSessions { .. } => "end_sessions",
            Self::Release { .. } => "release",
            Self::Drain { .. } => "drain",
        }
    }

    /// Returns whose acknowledgement the order waits for. A hold that a proxy does not know of lets logins complete there.
    pub(crate) const fn audience(&self) -> Audience {
        match self {
            Self::Hold { .. } | Self::EndSessions { .. } => Audience::Known,
            Self::Change(_)
            | Self::Invalidate(_)
            | Self::Flush
            | Self::Reload
            | Self::Kick(_)
            | Self::Delay { .. }
            | Self::Release { .. }
            | Self::Drain { .. } => Audience::Present,
        }
    }

    /// Returns the same order with every name as it is kept.
    pub(crate) fn normalized(self, normalize: impl Fn(&str) -> String) -> Self {
        let key = |name: &Arc<str>| Arc::from(normalize(name));
        match self {
            Self::Change(mut changes) => {
                for change in &mut changes {
                    change.identifier = key(&change.identifier);
                }
                Self::Change(changes)
            }
            Self::Invalidate(names) => Self::Invalidate(names.iter().map(key).collect()),
            Self::Kick(filter) => {
                let account = filter.account.as_ref().map(key);
                Self::Kick(SessionFilter { account, ..filter })
            }
            Self::Delay { account, delay } => Self::Delay { account: key(&account), delay },
            Self::Hold { number, accounts, lasts } => {
                Self::Hold { number, accounts: accounts.iter().map(key).collect(), lasts }
            }
            Self::Flush
            | Self::Reload
            | Self::EndSessions { .. }
            | Self::Release { .. }
            | Self::Drain { .. } => self,
        }
    }

    /// Returns what the other proxies have to do when this proxy has carried the order out; `None` when the order is
    /// only for this proxy. They share the store, so they need only the names of a change.
    pub(crate) fn for_other_proxies(&self) -> Option<Self> {
        match self {
            Self::Change(changes) => {
                Some(Self::Invalidate(changes.iter().map(|change| Arc::clone(&change.identifier)).collect()))
            }
            Self::Invalidate(_)
            | Self::Flush
            | Self::Kick(_)
            | Self::Delay { .. }
            | Self::Hold { .. }
            | Self::EndSessions { .. }
            | Self::Release { .. } => Some(self.clone()),
            Self::Reload | Self::Drain { .. } => None,
        }
    }
}

// === impl HoldNumber ===

impl HoldNumber {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
