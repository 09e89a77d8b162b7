//! A login under way and a session, as values: who has none has no right to what it stands for.
//!
//! A [`SessionTicket`] comes out of [`LoginTicket::confirm`] and nowhere else; the bridge demands one, so the
//! compiler shows that no bytes are bridged past the account's lock. Dropping either frees its place.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;
use tokio::time::{Instant, sleep_until, timeout_at};
use types::protocol::Protocol;

use crate::account::Gate;
use crate::hold_stats::HoldWait;
use crate::live::{Bell, EndReason, Live, SessionInfo, Traffic};
use crate::registry::{Busy, Registry, Shard};

/// A login under way.
#[derive(Debug)]
#[must_use = "a login that is not under way has no ticket"]
pub struct LoginTicket {
    registry: Registry,
    account: Option<Arc<str>>,
    protocol: Protocol,
    client: IpAddr,
    /// Of the account when the lookup could begin; see `Account::generation`.
    generation: u64,
    /// Whether this ticket is still counted among the logins.
    is_counted: bool,
}

/// A session: the proof that its login was confirmed.
#[derive(Debug)]
#[must_use = "dropping the ticket takes the session off the desk"]
pub struct SessionTicket {
    registry: Registry,
    account: Option<Arc<str>>,
    client: IpAddr,
    id: u64,
    bell: Arc<Bell>,
    traffic: Arc<Traffic>,
}

/// The account was held for longer than a login waits: a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the account is being moved, and its hold lasted longer than a login waits")]
pub struct HeldTooLong;

/// Why a login may not be bridged.
#[derive(Debug, Error)]
pub enum Unconfirmed {
    /// The account was held, kicked or moved since the lookup: close the backend's connection, then wait,
    /// route and log in afresh with this ticket. The caller bounds how often.
    #[error("the account's mapping may have changed since the lookup: the login is routed afresh")]
    Outdated(LoginTicket),
    /// The account has as many sessions as it may have.
    #[error(transparent)]
    Busy(#[from] Busy),
}

// === impl Registry ===

impl Registry {
    /// Begins a login of the account `identifier` (normalised). The ticket counts as a login under way until
    /// it is confirmed or dropped.
    ///
    /// # Errors
    /// [`Busy`] when the account has as many logins under way, or sessions, as it may have.
    pub fn begin(&self, identifier: &str, protocol: Protocol, client: IpAddr) -> Result<LoginTicket, Busy> {
        let mut shard = self.shard_of(identifier);
        let entry = shard.accounts.get_key_value(identifier);
        let mut logins = 0;
        let mut sessions = 0;
        if let Some((_, account)) = entry {
            logins = account.logins;
            sessions = account.live.len();
        }
        if !self.has_room_for_login(logins, protocol) {
            return Err(Busy::Logins);
        }
        if !self.has_room_for_session(sessions, protocol) {
            return Err(Busy::Connections);
        }
        let name = match entry {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(identifier),
        };
        let account = self.entry(&mut shard, &name);
        account.logins += 1;
        let generation = account.generation;
        drop(shard);
        Ok(LoginTicket::new(self.clone(), Some(name), protocol, client, generation))
    }

    /// Begins a login, or a passed-through connection, whose account is not known: listed and counted, but
    /// under no account's rules.
    pub fn begin_anonymous(&self, protocol: Protocol, client: IpAddr) -> LoginTicket {
        // By address, so that the shards share them.
        let mut shard = self.shard_for(None, client);
        shard.anonymous_logins += 1;
        drop(shard);
        LoginTicket::new(self.clone(), None, protocol, client, 0)
    }
}

// === impl LoginTicket ===

impl LoginTicket {
    pub(crate) fn new(
        registry: Registry,
        account: Option<Arc<str>>,
        protocol: Protocol,
        client: IpAddr,
        generation: u64,
    ) -> Self {
        Self { registry, account, protocol, client, generation, is_counted: true }
    }

    /// The account, where it is known.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    /// Waits while the account is held or delayed. The lookup comes *after* this; call it again before every
    /// lookup, since it is what takes note of the generation.
    ///
    /// # Errors
    /// [`HeldTooLong`] when the hold's time is over and it is not released: whoever holds the account may
    /// still be copying, so the login cannot go on.
    pub async fn wait_released(&mut self) -> Result<(), HeldTooLong> {
        let Some(identifier) = self.account.clone() else {
            return Ok(());
        };
        if let Gate::Open(generation) = self.gate(&identifier) {
            self.generation = generation;
            return Ok(());
        }
        let mut wait: Option<HoldWait> = None;
        loop {
            let changed =
                self.registry.entry(&mut self.registry.shard_of(&identifier), &identifier).changed();
            // Asked for before the look, so that no release falls between look and wait.
            let woken = changed.notified();
            match self.gate(&identifier) {
                Gate::Open(generation) => {
                    self.generation = generation;
                    if let Some(wait) = wait {
                        wait.released();
                    }
                    return Ok(());
                }
                Gate::Held(held) => {
                    wait.get_or_insert_with(|| HoldWait::begin(held.stats));
                    timeout_at(held.until, woken).await.map_err(|_| HeldTooLong)?;
                }
                Gate::Delayed(until) => {
                    // Over or ended early: either way the gate is looked at again.
                    let _ = timeout_at(until, woken).await;
                }
            }
        }
    }

    /// Makes the login a session, under the account's lock: only while the account is not held and nothing
    /// has changed since [`LoginTicket::wait_released`]. To be called after the backend's yes and before the
    /// client's.
    ///
    /// # Errors
    /// [`Unconfirmed::Outdated`] gives the ticket back for another round; [`Unconfirmed::Busy`] ends it.
    pub fn confirm(mut self, destination: Arc<str>) -> Result<SessionTicket, Unconfirmed> {
        let registry = self.registry.clone();
        let mut guard = registry.shard_for(self.account.as_deref(), self.client);
        let shard = &mut *guard;
        if let Some(identifier) = &self.account {
            let account = registry.entry(shard, identifier);
            if !account.is_current(self.generation) {
                drop(guard);
                return Err(Unconfirmed::Outdated(self));
            }
            if !registry.has_room_for_session(account.live.len(), self.protocol) {
                drop(guard);
                return Err(Busy::Connections.into());
            }
        }
        let (session, live) = self.session(destination);
        match &self.account {
            Some(identifier) => registry.entry(shard, identifier).live.push(live),
            None => {
                shard.anonymous.insert(session.id, live);
            }
        }
        self.uncount(shard);
        Ok(session)
    }

    /// The session that this login becomes, from both sides.
    fn session(&self, destination: Arc<str>) -> (SessionTicket, Live) {
        let session = SessionTicket {
            registry: self.registry.clone(),
            account: self.account.clone(),
            client: self.client,
            id: self.registry.next_session(),
            bell: Arc::default(),
            traffic: Arc::default(),
        };
        let info = SessionInfo {
            id: session.id,
            account: self.account.clone(),
            protocol: self.protocol,
            client: self.client,
            destination,
            since: SystemTime::now(),
            traffic: Arc::clone(&session.traffic),
        };
        let live = Live { info, bell: Arc::clone(&session.bell) };
        // Looked at under the shard's lock: a drain that begins now walks this shard after us.
        if self.registry.inner.drain.get().is_some() {
            live.bell.ring(EndReason::Drain);
        }
        (session, live)
    }

    fn gate(&self, identifier: &Arc<str>) -> Gate {
        let mut shard = self.registry.shard_of(identifier);
        self.registry.entry(&mut shard, identifier).gate(Instant::now())
    }

    /// No longer a login under way.
    fn uncount(&mut self, shard: &mut Shard) {
        if !std::mem::take(&mut self.is_counted) {
            return;
        }
        match &self.account {
            Some(identifier) => self.registry.entry(shard, identifier).logins -= 1,
            None => shard.anonymous_logins -= 1,
        }
    }
}

impl Drop for LoginTicket {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let registry = self.registry.clone();
        let mut shard = registry.shard_for(self.account.as_deref(), self.client);
        self.uncount(&mut shard);
        if let Some(identifier) = &self.account {
            registry.tidy(&mut shard, identifier);
        }
    }
}

// === impl SessionTicket ===

impl SessionTicket {
    /// The session's number in listings and logs.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The account, where it is known.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    /// Where the bridge counts its bytes.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Resolves when the session has to end, and why. May be asked again: the answer stays, or becomes a
    /// stronger one.
    pub async fn ended(&self) -> EndReason {
        let reason = self.bell.stronger_than(None).await;
        if reason != EndReason::Drain {
            return reason;
        }
        tokio::select! {
            reason = self.bell.stronger_than(Some(EndReason::Drain)) => reason,
            () = sleep_until(self.drained_at()) => EndReason::Drain,
        }
    }

    /// This session's moment within the drain's spread.
    fn drained_at(&self) -> Instant {
        let Some(drain) = self.registry.inner.drain.get() else {
            return Instant::now();
        };
        // Fibonacci hashing: neighbouring ids, which belong to logins of one moment, land far apart.
        let [high, low, ..] = self.id.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let share = u32::from(u16::from_be_bytes([high, low]));
        drain.began + drain.spread / (1 << 16) * share
    }
}

impl Drop for SessionTicket {
    fn drop(&mut self) {
        let mut shard = self.registry.shard_for(self.account.as_deref(), self.client);
        // Under the lock: who finds the session on the desk finds its bell not gone.
        self.bell.leave();
        let Some(identifier) = &self.account else {
            shard.anonymous.remove(&self.id);
            return;
        };
        if let Some(account) = shard.accounts.get_mut(identifier) {
            account.live.retain(|live| live.info.id != self.id);
            if account.held.is_some() {
                account.wake();
            }
        }
        self.registry.tidy(&mut shard, identifier);
    }
}
