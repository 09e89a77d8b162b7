//! Tickets: the proof that a login is counted, and the proof that a session is confirmed.
//!
//! Only [`LoginTicket::confirm`] makes a [`SessionTicket`], and the bridge requires one: the compiler shows that nothing
//! is bridged that was not confirmed under the account's lock. Dropping a ticket frees what it holds.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout_at};
use types::protocol::Protocol;

use crate::account::Admission;
use crate::hold_stats::HoldWait;
use crate::limits::Busy;
use crate::registry::{Registry, Shard};
use crate::session::{EndReason, EndSignal, SessionEntry, SessionInfo, Traffic};

/// A login under way.
#[derive(Debug)]
#[must_use = "dropping the ticket ends the login"]
pub struct LoginTicket {
    registry: Registry,
    account: Option<Arc<str>>,
    protocol: Protocol,
    client: IpAddr,
    /// The account's generation when the lookup could begin; see `Account::generation`.
    generation: u64,
    /// Where the login takes its place; `None` if the places are not limited.
    queue: Option<Arc<Semaphore>>,
    /// The place of a login in flight. A login that waits for a hold or a delay has none.
    place: Option<OwnedSemaphorePermit>,
    /// Whether this ticket is still counted as a login.
    is_counted: bool,
}

/// A session: the proof that its login was confirmed.
#[derive(Debug)]
#[must_use = "dropping the ticket removes the session from the registry"]
pub struct SessionTicket {
    registry: Registry,
    account: Option<Arc<str>>,
    client: IpAddr,
    id: u64,
    end_signal: Arc<EndSignal>,
    traffic: Arc<Traffic>,
}

/// The account was held for longer than a login waits: a temporary failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the account is being moved, and its hold lasted longer than a login waits")]
pub struct HeldTooLong;

/// Why a login may not be bridged.
#[derive(Debug, Error)]
pub enum Unconfirmed {
    /// The account was held, kicked or moved since the lookup: close the backend's connection, then wait, look up and
    /// log in again with this ticket. The caller bounds how often.
    #[error("the account's mapping may have changed since the lookup: it is looked up again")]
    Outdated(LoginTicket),
    /// The account has as many sessions as `limits.connections_per_account` allows.
    #[error(transparent)]
    Busy(#[from] Busy),
}

// === impl Registry ===

impl Registry {
    /// Begins a login of the account `identifier` (normalised). The ticket counts as a login under way until it is
    /// confirmed or dropped; it takes a place among those in flight in [`LoginTicket::wait_admitted`].
    ///
    /// # Errors
    /// [`Busy`] when the account has as many sessions as it may have, or too many logins from the client's network wait.
    pub fn begin(&self, identifier: &str, protocol: Protocol, client: IpAddr) -> Result<LoginTicket, Busy> {
        let mut shard = self.shard_of(identifier);
        let name = match shard.accounts.get_key_value(identifier) {
            Some((_, account)) if !self.has_room_for_session(account.sessions.len(), protocol) => {
                return Err(Busy::Connections);
            }
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(identifier),
        };
        let account = self.entry(&mut shard, &name);
        let queue = match self.login_limit(protocol) {
            Some(limit) => Some(account.places.enter(client, limit)?),
            None => None,
        };
        account.logins += 1;
        let generation = account.generation;
        drop(shard);
        let mut ticket = LoginTicket::new(self.clone(), Some(name), protocol, client);
        ticket.generation = generation;
        ticket.queue = queue;
        Ok(ticket)
    }

    /// Begins a login, or a passed-through connection, whose account is not known. It is listed and counted, but no
    /// account's limits and holds apply.
    pub fn begin_anonymous(&self, protocol: Protocol, client: IpAddr) -> LoginTicket {
        // Distributed over the shards by the client's address.
        let mut shard = self.shard_for(None, client);
        shard.anonymous_logins += 1;
        drop(shard);
        LoginTicket::new(self.clone(), None, protocol, client)
    }
}

// === impl LoginTicket ===

impl LoginTicket {
    pub(crate) fn new(
        registry: Registry,
        account: Option<Arc<str>>,
        protocol: Protocol,
        client: IpAddr,
    ) -> Self {
        Self {
            registry,
            account,
            protocol,
            client,
            generation: 0,
            queue: None,
            place: None,
            is_counted: true,
        }
    }

    /// Returns the account, where it is known.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    /// Waits while the account is held or delayed, and then for a place among the logins in flight. Call it before every
    /// lookup, also before a repeated one: it records the account's generation.
    ///
    /// # Errors
    /// [`HeldTooLong`] when the hold's time is over and it is not released: its owner may still be copying mail, so the
    /// login cannot go on.
    pub async fn wait_admitted(&mut self) -> Result<(), HeldTooLong> {
        let Some(identifier) = self.account.clone() else {
            return Ok(());
        };
        loop {
            self.generation = match self.admission(&identifier) {
                Admission::Ready(generation) => generation,
                Admission::Held(_) | Admission::Delayed(_) => {
                    // A login that waits is not in flight.
                    self.place = None;
                    self.wait_released(&identifier).await?
                }
            };
            if self.take_free_place() {
                return Ok(());
            }
            self.wait_for_place().await;
            // The account may have been held meanwhile, so it is checked again.
        }
    }

    /// Waits while the account is held or delayed; returns the generation in which it is neither.
    async fn wait_released(&self, identifier: &Arc<str>) -> Result<u64, HeldTooLong> {
        let mut wait: Option<HoldWait> = None;
        loop {
            let changed = self.registry.entry(&mut self.registry.shard_of(identifier), identifier).changed();
            // Created before the check, so that a release between check and wait is not missed.
            let woken = changed.notified();
            match self.admission(identifier) {
                Admission::Ready(generation) => {
                    if let Some(wait) = wait {
                        wait.released();
                    }
                    return Ok(generation);
                }
                Admission::Held(held) => {
                    wait.get_or_insert_with(|| HoldWait::begin(held.stats));
                    timeout_at(held.until, woken).await.map_err(|_| HeldTooLong)?;
                }
                Admission::Delayed(until) => {
                    // Whether the delay is over or was ended early, the account's state is checked again.
                    let _ = timeout_at(until, woken).await;
                }
            }
        }
    }

    /// Takes a place without waiting. Returns whether the login has one, or needs none.
    fn take_free_place(&mut self) -> bool {
        if let (Some(queue), None) = (&self.queue, &self.place) {
            self.place = Arc::clone(queue).try_acquire_owned().ok();
        }
        self.queue.is_none() || self.place.is_some()
    }

    async fn wait_for_place(&mut self) {
        if let Some(queue) = self.queue.clone() {
            // The semaphore is never closed, so this cannot fail.
            self.place = queue.acquire_owned().await.ok();
        }
    }

    /// Makes the login a session, under the account's lock: only while the account is not held and nothing has changed
    /// since [`LoginTicket::wait_admitted`]. Call it after the backend has accepted the login and before the client is
    /// told so.
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
            if !registry.has_room_for_session(account.sessions.len(), self.protocol) {
                drop(guard);
                return Err(Busy::Connections.into());
            }
        }
        let (session, entry) = self.session(destination);
        match &self.account {
            Some(identifier) => registry.entry(shard, identifier).add_session(entry),
            None => {
                shard.anonymous.insert(session.id, entry);
            }
        }
        self.uncount(shard);
        Ok(session)
    }

    /// Makes the session's ticket, and its entry in the registry.
    fn session(&self, destination: Arc<str>) -> (SessionTicket, SessionEntry) {
        let session = SessionTicket {
            registry: self.registry.clone(),
            account: self.account.clone(),
            client: self.client,
            id: self.registry.next_session(),
            end_signal: Arc::default(),
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
        let entry = SessionEntry { info, end_signal: Arc::clone(&session.end_signal) };
        // Checked under the shard's lock: a drain that begins now reaches this shard after us.
        if self.registry.inner.drain.get().is_some() {
            entry.end_signal.send(EndReason::Drain);
        }
        (session, entry)
    }

    fn admission(&self, identifier: &Arc<str>) -> Admission {
        let mut shard = self.registry.shard_of(identifier);
        self.registry.entry(&mut shard, identifier).admission(Instant::now())
    }

    /// Ends the ticket's login.
    fn uncount(&mut self, shard: &mut Shard) {
        if !std::mem::take(&mut self.is_counted) {
            return;
        }
        match &self.account {
            Some(identifier) => {
                let account = self.registry.entry(shard, identifier);
                account.logins -= 1;
                if self.queue.is_some() {
                    account.places.leave(self.client);
                }
            }
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
            registry.remove_if_idle(&mut shard, identifier);
        }
    }
}

// === impl SessionTicket ===

impl SessionTicket {
    /// Returns the session's number in listings and logs.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the account, where it is known.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<str>> {
        self.account.as_ref()
    }

    /// Returns the counters of the session's bytes.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Resolves when the session has to end. A later call returns the same reason or a stronger one.
    pub async fn ended(&self) -> EndReason {
        let reason = self.end_signal.stronger_than(None).await;
        if reason != EndReason::Drain {
            return reason;
        }
        tokio::select! {
            reason = self.end_signal.stronger_than(Some(EndReason::Drain)) => reason,
            () = sleep_until(self.drained_at()) => EndReason::Drain,
        }
    }

    /// Resolves when the session is kicked.
    pub async fn kicked(&self) {
        self.end_signal.stronger_than(Some(EndReason::Move)).await;
    }

    /// Returns this session's moment within the drain's spread.
    fn drained_at(&self) -> Instant {
        let Some(drain) = self.registry.inner.drain.get() else {
            return Instant::now();
        };
        // Fibonacci hashing spreads neighbouring ids, which belong to logins of the same moment, far apart.
        let [high, low, ..] = self.id.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
        let share = u32::from(u16::from_be_bytes([high, low]));
        drain.began + drain.spread / (1 << 16) * share
    }
}

impl Drop for SessionTicket {
    fn drop(&mut self) {
        let mut shard = self.registry.shard_for(self.account.as_deref(), self.client);
        // Under the lock: a session that is still listed has not left.
        self.end_signal.set_left();
        let Some(identifier) = &self.account else {
            shard.anonymous.remove(&self.id);
            return;
        };
        if let Some(account) = shard.accounts.get_mut(identifier) {
            account.sessions.retain(|session| session.info.id != self.id);
            if account.held.is_some() {
                account.wake();
            }
        }
        self.registry.remove_if_idle(&mut shard, identifier);
    }
}
