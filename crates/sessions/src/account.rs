//! What is known of one account, and the rules that hold under its lock.
//!
//! No clock of its own, no waiting: every method is a short look or a short change, called with the shard's
//! lock held.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::hold_stats::HoldStats;
use crate::live::{EndReason, Live};

/// One account's entry. It exists while something of it is in use ([`Account::is_idle`]).
#[derive(Debug)]
pub(crate) struct Account {
    /// Changes whenever answers looked up before may no longer hold. Unique over the desk's life, so that an
    /// entry that went and came again never shows an old number.
    pub(crate) generation: u64,
    /// Logins under way: tickets that are neither confirmed nor dropped.
    pub(crate) logins: usize,
    /// Sessions.
    pub(crate) live: Vec<Live>,
    /// Whether logins are held, and by which hold.
    pub(crate) held: Option<Held>,
    /// Until when new logins wait.
    pub(crate) delayed_until: Option<Instant>,
    /// Rung when a hold or a delay ends early, and when a session of a held account ends. Made by the first
    /// who waits.
    changed: Option<Arc<Notify>>,
}

/// A hold as its account sees it.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    /// Which hold.
    pub(crate) id: u64,
    /// How long a login waits for it.
    pub(crate) until: Instant,
    /// What the hold's owner is told afterwards.
    pub(crate) stats: Arc<HoldStats>,
}

/// Whether a login may go on to its lookup.
#[derive(Debug)]
pub(crate) enum Gate {
    /// Yes: routed by what the mapping says from this generation on.
    Open(u64),
    /// Not before the hold is released.
    Held(Held),
    /// Not before this instant.
    Delayed(Instant),
}

// === impl Account ===

impl Account {
    pub(crate) fn new(generation: u64) -> Self {
        Self { generation, logins: 0, live: Vec::new(), held: None, delayed_until: None, changed: None }
    }

    /// What a login that is about to be looked up has to wait for at `now`.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        if let Some(held) = &self.held {
            return Gate::Held(held.clone());
        }
        match self.delayed_until {
            Some(until) if until > now => Gate::Delayed(until),
            _ => Gate::Open(self.generation),
        }
    }

    /// Whether a login that was looked up in `generation` may be bridged.
    pub(crate) fn is_current(&self, generation: u64) -> bool {
        self.held.is_none() && self.generation == generation
    }

    /// Whether the entry can go.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.logins == 0
            && self.live.is_empty()
            && self.held.is_none()
            && self.delayed_until.is_none_or(|until| until <= now)
    }

    /// What [`Account::wake`] rings.
    pub(crate) fn changed(&mut self) -> Arc<Notify> {
        Arc::clone(self.changed.get_or_insert_default())
    }

    /// Makes everyone who waits for this account look again.
    pub(crate) fn wake(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_waiters();
        }
    }

    /// Tells every session to end; returns how many had not been told so yet.
    pub(crate) fn ring_all(&self, reason: EndReason) -> usize {
        self.live.iter().filter(|live| live.bell.ring(reason)).count()
    }
}
