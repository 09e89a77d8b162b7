//! The circuit breaker of one leg.
//!
//! It exists so that a dead server costs its clients nothing but a quick refusal. What must never happen: one
//! banned or broken client takes a destination down for everybody; so failures after the connection was made
//! count only once their streak spans several client addresses.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use plan::Server;
use tokio::time::Instant;
use types::fault::{Fault, Stage};

/// The state of one leg. A streak ends with any success.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

/// When a leg is marked down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rule {
    threshold: u32,
    min_clients: usize,
    cooldown: Duration,
}

/// What the management API tells of a leg.
#[derive(Debug, Clone, Default)]
pub struct HealthSnapshot {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Client addresses that the streak spans (counted up to a bound).
    pub failure_sources: usize,
    /// Whether a failure of the streak was the destination's own doing (connecting failed).
    pub host_level_failure: bool,
    /// Whether it is marked down.
    pub down: bool,
    /// The last failure.
    pub last_fault: Option<Fault>,
    /// When it last worked, and how long it took from connecting to ready for a credential.
    pub last_success: Option<(SystemTime, Duration)>,
}

#[derive(Debug, Default)]
struct State {
    rule: Rule,
    streak: u32,
    /// Client addresses of the streak; no more are kept than the rule asks for.
    sources: Vec<IpAddr>,
    host_level: bool,
    last_fault: Option<Fault>,
    last_success: Option<(SystemTime, Duration)>,
    down_until: Option<Instant>,
    /// The one connection that may probe a leg whose cooldown is over.
    probing: bool,
}

/// Leave to try a leg. Dropped without a word, it counts as neither success nor failure.
#[derive(Debug)]
#[must_use = "a probe that is not reported keeps the leg down"]
pub(crate) struct Permit<'a> {
    health: &'a Health,
    is_probe: bool,
}

/// Most client addresses that a streak keeps, whatever the rule says.
const MAX_SOURCES: usize = 64;

// === impl Health ===

impl Health {
    pub(crate) fn set_rule(&self, rule: Rule) {
        self.lock().rule = rule;
    }

    /// Asks for leave to try.
    ///
    /// # Errors
    /// [`Fault::MarkedDown`] while the leg is down and is not this caller's to probe.
    pub(crate) fn permit(&self) -> Result<Permit<'_>, Fault> {
        let mut state = self.lock();
        let is_probe = match state.down_until {
            None => false,
            Some(until) if until <= Instant::now() && !state.probing => true,
            Some(_) => return Err(Fault::MarkedDown),
        };
        state.probing |= is_probe;
        Ok(Permit { health: self, is_probe })
    }

    /// The present state.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let state = self.lock();
        HealthSnapshot {
            consecutive_failures: state.streak,
            failure_sources: state.sources.len(),
            host_level_failure: state.host_level,
            down: state.down_until.is_some(),
            last_fault: state.last_fault,
            last_success: state.last_success,
        }
    }

    /// Forgets every failure.
    pub fn reset(&self) {
        let mut state = self.lock();
        *state = State { rule: state.rule, last_success: state.last_success, ..State::default() };
    }

    /// The leg works, and `took` that long to be ready. True when it was down until now.
    pub(crate) fn succeeded(&self, took: Duration) -> bool {
        let mut state = self.lock();
        state.last_success = Some((SystemTime::now(), took));
        // The usual case, at every answer of a backend: nothing to forget.
        if state.streak == 0 && state.down_until.is_none() {
            return false;
        }
        let was_down = state.down_until.is_some();
        *state = State { rule: state.rule, last_success: state.last_success, ..State::default() };
        was_down
    }

    /// The leg failed for `client`. True when that marked it down.
    pub(crate) fn failed(&self, fault: Fault, client: IpAddr) -> bool {
        let mut state = self.lock();
        if fault.stage() == Stage::Ours {
            return false;
        }
        state.streak = state.streak.saturating_add(1);
        state.last_fault = Some(fault);
        state.host_level |= fault.stage() == Stage::Connect;
        let bound = state.rule.min_clients.clamp(1, MAX_SOURCES);
        if state.sources.len() < bound && !state.sources.contains(&client) {
            state.sources.push(client);
        }
        let rule = state.rule;
        let counts = state.host_level || state.sources.len() >= bound.min(rule.min_clients.max(1));
        if rule.threshold == 0 || state.streak < rule.threshold || !counts {
            return false;
        }
        let was_down = state.down_until.is_some();
        state.down_until = Some(Instant::now() + rule.cooldown);
        !was_down
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves plain numbers behind: they are as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// The leg works: it did all that was asked of it before the login. True when it was down until now.
    pub(crate) fn succeeded(self, took: Duration) -> bool {
        self.health.succeeded(took)
    }

    /// The leg failed for `client`. True when that marked it down.
    pub(crate) fn failed(self, fault: Fault, client: IpAddr) -> bool {
        self.health.failed(fault, client)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.health.lock().probing = false;
        }
    }
}

// === impl Rule ===

impl Rule {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            threshold: server.host_down_threshold,
            min_clients: usize::try_from(server.host_down_min_clients)
                .unwrap_or(MAX_SOURCES)
                .min(MAX_SOURCES),
            cooldown: server.host_down_cooldown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(threshold: u32, min_clients: usize) -> Health {
        let health = Health::default();
        health.set_rule(Rule { threshold, min_clients, cooldown: Duration::from_secs(30) });
        health
    }

    fn fail(health: &Health, fault: Fault, client: u8) -> bool {
        health.permit().expect("up").failed(fault, IpAddr::from([192, 0, 2, client]))
    }

    #[tokio::test(start_paused = true)]
    async fn refused_connections_take_a_leg_down_and_one_probe_brings_it_back() {
        let health = health(3, 2);
        assert!(!fail(&health, Fault::Refused, 1));
        assert!(!fail(&health, Fault::Refused, 1));
        assert!(fail(&health, Fault::Refused, 1), "the third marks it down");
        assert_eq!(health.permit().err(), Some(Fault::MarkedDown));

        tokio::time::advance(Duration::from_secs(31)).await;
        let probe = health.permit().expect("a probe");
        assert_eq!(health.permit().err(), Some(Fault::MarkedDown), "one probe only");
        assert!(!probe.failed(Fault::Refused, IpAddr::from([192, 0, 2, 1])));
        assert_eq!(health.permit().err(), Some(Fault::MarkedDown), "another cooldown");

        tokio::time::advance(Duration::from_secs(31)).await;
        drop(health.permit().expect("a probe that is given up"));
        let took = Duration::from_millis(7);
        assert!(health.permit().expect("the next probe").succeeded(took));
        let snapshot = health.snapshot();
        assert!(!snapshot.down);
        assert_eq!(snapshot.last_success.map(|(_, took)| took), Some(took));
    }

    #[tokio::test(start_paused = true)]
    async fn one_banned_client_takes_nothing_down() {
        let health = health(3, 2);
        for _ in 0..10 {
            assert!(!fail(&health, Fault::Closed, 1));
        }
        assert!(fail(&health, Fault::Closed, 2), "a second client's failure counts");
        assert_eq!(health.snapshot().failure_sources, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_the_destinations_doing_never_counts() {
        let health = health(1, 1);
        for _ in 0..5 {
            assert!(!fail(&health, Fault::NoMechanism, 1));
        }
        let off = self::health(0, 1);
        for client in 0..50 {
            assert!(!fail(&off, Fault::Refused, client));
        }
        assert_eq!(off.snapshot().consecutive_failures, 50);
    }
}
