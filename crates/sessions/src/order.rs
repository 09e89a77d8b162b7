//! Orders from outside: kick, route afresh, delay, drain.
//!
//! An order never waits for those whom it concerns; it tells them, under their account's lock, and returns.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::live::{EndReason, Ending, SessionInfo};
use crate::registry::Registry;

/// What a kick met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kicked {
    /// Sessions that were told to end.
    pub sessions: usize,
    /// Logins under way, which are routed afresh.
    pub logins: usize,
}

/// The longest delay of new logins that can be asked for.
pub const MAX_DELAY: Duration = Duration::from_secs(120);

/// Set once, when the proxy begins to drain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drain {
    pub(crate) began: Instant,
    pub(crate) spread: Duration,
}

// === impl Registry ===

impl Registry {
    /// Ends every session of an account and has its logins under way routed afresh.
    pub fn kick(&self, identifier: &str) -> Kicked {
        let mut shard = self.shard_of(identifier);
        let generation = self.next_generation();
        let Some(account) = shard.accounts.get_mut(identifier) else {
            return Kicked::default();
        };
        account.generation = generation;
        Kicked { sessions: account.ring_all(EndReason::Kick), logins: account.logins }
    }

    /// Ends every session that `matches`, and has every login under way routed afresh, whoever's it is: where
    /// it will lead is not known yet, and being routed twice harms nobody. `matches` is called under a lock
    /// and must not call the desk.
    pub fn kick_where(&self, matches: impl Fn(&SessionInfo) -> bool) -> Kicked {
        let mut kicked = Kicked::default();
        for mut shard in self.shards() {
            for account in shard.accounts.values_mut().filter(|account| account.logins > 0) {
                account.generation = self.next_generation();
                kicked.logins += account.logins;
            }
            let met = shard.live().filter(|live| matches(&live.info));
            kicked.sessions += met.filter(|live| live.bell.ring(EndReason::Kick)).count();
        }
        kicked
    }

    /// The sessions that `matches`, were kicked, and have not left yet. `matches` is called under a lock and must
    /// not call the desk.
    #[must_use]
    pub fn ending(&self, matches: impl Fn(&SessionInfo) -> bool) -> Ending {
        let mut ending = Ending::default();
        for shard in self.shards() {
            let kicked = shard.live().filter(|live| live.bell.heard() == Some(EndReason::Kick));
            for live in kicked.filter(|live| matches(&live.info)) {
                ending.push(Arc::clone(&live.bell));
            }
        }
        ending
    }

    /// Has the account's logins under way routed afresh: to be called after its mapping changed.
    pub fn bump(&self, identifier: &str) {
        let mut shard = self.shard_of(identifier);
        if let Some(account) = shard.accounts.get_mut(identifier) {
            account.generation = self.next_generation();
        }
    }

    /// The same for every account that `matches`, which is called under a lock and must not call the desk.
    pub fn bump_where(&self, matches: impl Fn(&str) -> bool) {
        for mut shard in self.shards() {
            let under_way = shard.accounts.iter_mut().filter(|(_, account)| account.logins > 0);
            for (_, account) in under_way.filter(|(identifier, _)| matches(identifier)) {
                account.generation = self.next_generation();
            }
        }
    }

    /// New logins of the account wait for `delay` (at most [`MAX_DELAY`]), then are routed by what the
    /// mapping says then. The last call counts; zero ends a delay.
    pub fn delay(&self, identifier: &str, delay: Duration) {
        let now = Instant::now();
        let mut shard = self.shard_of(identifier);
        // Entries that only a past delay kept go here: there is nobody else who would look at them.
        shard.accounts.retain(|_, account| !account.is_idle(now));
        let account = self.entry(&mut shard, &Arc::from(identifier));
        account.delayed_until = Some(now + delay.min(MAX_DELAY));
        account.wake();
        self.tidy(&mut shard, identifier);
    }

    /// Tells every session, and every one that is confirmed later, to end: each at its own moment within
    /// `spread` from now, so that their clients do not all come back at once. Later calls change nothing.
    pub fn drain(&self, spread: Duration) {
        if self.inner.drain.set(Drain { began: Instant::now(), spread }).is_err() {
            return;
        }
        for shard in self.shards() {
            for live in shard.live() {
                live.bell.ring(EndReason::Drain);
            }
        }
    }
}
