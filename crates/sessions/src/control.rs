//! Changes of the registry from outside: kick, new lookup, delay, drain, limits.
//!
//! [`RegistryControl`] is a type of its own so that only its owner, crate `control`, can change what is here: a
//! handler that kicked a session by itself would leave the other proxies of the cluster with theirs. What must never
//! happen here: a call that waits for the sessions it concerns. It signals them, under their account's lock, and returns.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::filter::SessionFilter;
use crate::hold::{Hold, HoldError};
use crate::limits::Limits;
use crate::registry::{Drain, Registry};
use crate::session::{EndReason, SessionInfo};

/// The right to change the registry. There is one for each registry, and no way to clone it; everything that can be
/// read is read from the [`Registry`] that it dereferences to.
#[derive(Debug)]
pub struct RegistryControl {
    registry: Registry,
}

/// What a kick has affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kicked {
    /// Sessions that were asked to end.
    pub sessions: usize,
    /// Logins under way, which are looked up again.
    pub logins: usize,
}

/// The longest delay of new logins; a longer one is shortened to it.
pub const MAX_DELAY: Duration = Duration::from_secs(120);

// === impl Registry ===

impl Registry {
    /// Makes an empty registry, and the one right to change it.
    #[must_use]
    pub fn new(limits: Limits) -> (Self, RegistryControl) {
        let registry = Self::empty(limits);
        let control = RegistryControl { registry: registry.clone() };
        (registry, control)
    }
}

// === impl RegistryControl ===

impl RegistryControl {
    /// Changes the limits for new logins and sessions; none that exist are ended.
    pub fn set_limits(&self, limits: Limits) {
        self.registry.set_limits(limits);
    }

    /// Holds a group of accounts (normalised identifiers; repeated ones count once). From the return on, no login of
    /// the group is confirmed: those under way, already looked up or not, wait for the release, at most until `until`.
    ///
    /// # Errors
    /// [`HoldError`]; then nothing is held.
    pub fn hold(&self, identifiers: &[&str], until: Instant) -> Result<Hold, HoldError> {
        Hold::begin(&self.registry, identifiers, until)
    }

    /// Ends the sessions that match, and has logins under way looked up again: those of the account when the filter
    /// names one account and nothing else, otherwise all of them, since their destination is not known yet and a second
    /// lookup does no harm.
    pub fn kick(&self, filter: &SessionFilter) -> Kicked {
        if filter.is_empty() {
            return Kicked::default();
        }
        match filter.only_account() {
            Some(account) => self.kick_account(account),
            None => self.kick_where(|session| filter.matches(session)),
        }
    }

    /// Ends every session of an account and has its logins under way looked up again.
    pub(crate) fn kick_account(&self, identifier: &str) -> Kicked {
        let mut shard = self.shard_of(identifier);
        let generation = self.next_generation();
        let Some(account) = shard.accounts.get_mut(identifier) else {
            return Kicked::default();
        };
        account.generation = generation;
        Kicked { sessions: account.end_sessions(EndReason::Kick), logins: account.logins }
    }

    /// Ends every session that `matches`, and has every login under way looked up again. `matches` is called under a
    /// lock and must not call the registry.
    pub(crate) fn kick_where(&self, matches: impl Fn(&SessionInfo) -> bool) -> Kicked {
        let mut kicked = Kicked::default();
        for mut shard in self.shards() {
            for account in shard.accounts.values_mut().filter(|account| account.logins > 0) {
                account.generation = self.next_generation();
                kicked.logins += account.logins;
            }
            for session in shard.sessions() {
                if matches(&session.info) && session.end_signal.send(EndReason::Kick) {
                    kicked.sessions += 1;
                }
            }
        }
        kicked
    }

    /// Has the account's logins under way looked up again: call it after the account's mapping has changed.
    pub fn bump(&self, identifier: &str) {
        let mut shard = self.shard_of(identifier);
        if let Some(account) = shard.accounts.get_mut(identifier) {
            account.generation = self.next_generation();
        }
    }

    /// Does the same for every account that `matches`, which is called under a lock and must not call the registry.
    pub fn bump_where(&self, matches: impl Fn(&str) -> bool) {
        for mut shard in self.shards() {
            let under_way = shard.accounts.iter_mut().filter(|(_, account)| account.logins > 0);
            for (_, account) in under_way.filter(|(identifier, _)| matches(identifier)) {
                account.generation = self.next_generation();
            }
        }
    }

    /// Makes new logins of the account wait for `delay` (at most [`MAX_DELAY`]); they are looked up after that. The last
    /// call counts; zero ends a delay.
    pub fn delay(&self, identifier: &str, delay: Duration) {
        let now = Instant::now();
        let mut shard = self.shard_of(identifier);
        // Nothing else removes entries that only an expired delay has kept.
        shard.accounts.retain(|_, account| !account.is_idle(now));
        let account = self.entry(&mut shard, &Arc::from(identifier));
        account.delayed_until = Some(now + delay.min(MAX_DELAY));
        account.wake();
        self.remove_if_idle(&mut shard, identifier);
    }

    /// Asks every session, and every one that is confirmed later, to end: each at its own moment within `spread` from
    /// now, so that their clients do not all reconnect at once. Later calls change nothing.
    pub fn drain(&self, spread: Duration) {
        if self.inner.drain.set(Drain { began: Instant::now(), spread }).is_err() {
            return;
        }
        for shard in self.shards() {
            for session in shard.sessions() {
                session.end_signal.send(EndReason::Drain);
            }
        }
    }
}

impl Deref for RegistryControl {
    type Target = Registry;

    fn deref(&self) -> &Registry {
        &self.registry
    }
}
