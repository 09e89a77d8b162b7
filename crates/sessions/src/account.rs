//! The state of one account, and the rules that hold under its lock.
//!
//! What must never happen here: a wait. Every method is a short read or a short change, called with the lock of the
//! account's shard held.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hold_stats::HoldStats;
use crate::places::Places;
use crate::session::{EndReason, SessionEntry};

/// The entry of one account. It exists while something of the account is in use ([`Account::is_idle`]).
#[derive(Debug)]
pub(crate) struct Account {
    /// Changes whenever a destination that was looked up before may no longer be right. Unique over the registry's life,
    /// so that an entry that was removed and made again never shows an old number.
    pub(crate) generation: u64,
    /// Logins under way: tickets that are neither confirmed nor dropped.
    pub(crate) logins: usize,
    /// The places of those of them that are limited.
    pub(crate) places: Places,
    /// Sessions.
    pub(crate) sessions: Vec<SessionEntry>,
    /// The hold that makes logins wait, if there is one.
    pub(crate) held: Option<Held>,
    /// Until when new logins wait.
    pub(crate) delayed_until: Option<Instant>,
    /// Notified when a hold or a delay ends early, and when a session of a held account ends. Made by the first task
    /// that waits.
    changed: Option<Arc<Notify>>,
}

/// A hold as its account sees it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// The hold's number.
    pub(crate) id: u64,
    /// Until when a login waits for the release.
    pub(crate) until: Instant,
    /// Counts the logins that waited, for the hold's owner.
    pub(crate) stats: Arc<HoldStats>,
}

/// Whether a login may go on to its lookup.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It may: the mapping is looked up in this generation.
    Ready(u64),
    /// Not before the hold is released.
    Held(Held),
    /// Not before this instant.
    Delayed(Instant),
}

// === impl Account ===

impl Account {
    pub(crate) fn new(generation: u64) -> Self {
        Self {
            generation,
            logins: 0,
            places: Places::default(),
            sessions: Vec::new(),
            held: None,
            delayed_until: None,
            changed: None,
        }
    }

    /// Returns what a login has to wait for at `now` before its lookup.
    pub(crate) fn admission(&self, now: Instant) -> Admission {
        if let Some(held) = &self.held {
            return Admission::Held(held.clone());
        }
        match self.delayed_until {
            Some(until) if until > now => Admission::Delayed(until),
            _ => Admission::Ready(self.generation),
        }
    }

    /// Returns whether a login that was looked up in `generation` may be bridged.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.held.is_none() && self.generation == generation
    }

    /// Returns whether nothing of the account is in use, so that its entry can be removed.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.logins == 0
            && self.sessions.is_empty()
            && self.held.is_none()
            && self.delayed_until.is_none_or(|until| until <= now)
    }

    /// Adds a session. Most accounts have one, so the first takes no more room than it needs; `Vec` would take that of
    /// four.
    pub(crate) fn add_session(&mut self, session: SessionEntry) {
        if self.sessions.is_empty() {
            self.sessions = Vec::with_capacity(1);
        }
        self.sessions.push(session);
    }

    /// Returns what [`Account::wake`] notifies.
    pub(crate) fn changed(&mut self) -> Arc<Notify> {
        Arc::clone(self.changed.get_or_insert_default())
    }

    /// Has every task that waits for this account check its state again.
    pub(crate) fn wake(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }

    /// Asks every session to end; returns how many had not been asked yet.
    pub(crate) fn end_sessions(&self, reason: EndReason) -> usize {
        self.sessions.iter().filter(|session| session.end_signal.send(reason)).count()
    }
}
