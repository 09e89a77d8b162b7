//! The circuit breaker of one leg.
//!
//! It exists so that clients of a dead server are refused at once. What must never happen: clients that a server refuses
//! or that misbehave take a destination down for everybody. Failures to connect prove an outage. Later failures do not,
//! since the server knows by then who the client is: after a streak of them the leg is checked under the proxy's own
//! address, and the result of the check decides.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use plan::Server;
use tokio::sync::Notify;
use tokio::time::Instant;
use types::fault::{Fault, Stage};
use types::network::client_network;

/// The state of one leg. A streak of failures ends with any success.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
    /// Wakes the task that checks legs. Without one, clients' own connections probe the leg.
    check_wanted: Option<Arc<Notify>>,
}

/// When a leg is marked down.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rule {
    threshold: u32,
    min_clients: usize,
    cooldown: Duration,
}

/// The state of a leg as the management API reports it.
#[derive(Debug, Clone, Default)]
pub struct HealthSnapshot {
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Client networks that the streak affects, counted up to a bound.
    pub failure_sources: usize,
    /// Whether connecting failed during the streak.
    pub host_level_failure: bool,
    /// Whether the leg is marked down.
    pub down: bool,
    /// The last failure.
    pub last_fault: Option<Fault>,
    /// When it last worked, and how long it took from connecting to ready for a credential.
    pub last_success: Option<(SystemTime, Duration)>,
}

/// What the end of a check changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// The leg works again.
    Up,
    /// The leg works: only some clients' connections fail.
    OnlyClients,
    /// The leg is marked down from now on.
    Down,
    /// Nothing.
    Unchanged,
}

#[derive(Debug, Default)]
struct State {
    rule: Rule,
    streak: u32,
    /// Failures to connect in the streak.
    connect_failures: u32,
    /// Client networks of the streak; no more are kept than the rule asks for.
    sources: Vec<IpAddr>,
    last_fault: Option<Fault>,
    last_success: Option<(SystemTime, Duration)>,
    down_until: Option<Instant>,
    check: Check,
    /// Whether a client's connection probes the leg after the cooldown.
    probing: bool,
}

/// A check of a leg under the proxy's own address.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Check {
    #[default]
    Idle,
    Wanted,
    Running,
}

/// The permission to connect. Dropped without a result, it counts as neither success nor failure.
#[derive(Debug)]
#[must_use = "a probe that is not reported keeps the leg down"]
pub(crate) struct Permit<'a> {
    health: &'a Health,
    is_probe: bool,
}

/// Most client networks that a streak keeps, whatever the rule says.
const MAX_SOURCES: usize = 64;

// === impl Health ===

impl Health {
    /// Returns the health of a leg that is checked by the task that `check_wanted` wakes.
    pub(crate) fn checked(check_wanted: Arc<Notify>) -> Self {
        Self { state: Mutex::default(), check_wanted: Some(check_wanted) }
    }

    pub(crate) fn set_rule(&self, rule: Rule) {
        self.lock().rule = rule;
    }

    /// Asks for permission to connect.
    ///
    /// # Errors
    /// [`Fault::MarkedDown`] while the leg is down and is not this caller's to probe.
    pub(crate) fn permit(&self) -> Result<Permit<'_>, Fault> {
        let mut state = self.lock();
        let is_probe = match state.down_until {
            None => false,
            Some(until) if self.check_wanted.is_none() && until <= Instant::now() && !state.probing => true,
            Some(_) => return Err(Fault::MarkedDown),
        };
        state.probing |= is_probe;
        Ok(Permit { health: self, is_probe })
    }

    /// Returns the present state.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let state = self.lock();
        HealthSnapshot {
            consecutive_failures: state.streak,
            failure_sources: state.sources.len(),
            host_level_failure: state.connect_failures > 0,
            down: state.down_until.is_some(),
            last_fault: state.last_fault,
            last_success: state.last_success,
        }
    }

    /// Forgets every failure.
    pub fn reset(&self) {
        self.lock().forget();
    }

    /// Records that the leg works and took `took` to be ready. Returns whether it was down until now.
    pub(crate) fn succeeded(&self, took: Duration) -> bool {
        let mut state = self.lock();
        state.last_success = Some((SystemTime::now(), took));
        // The usual case, at every answer of a backend: nothing to forget.
        if state.streak == 0 && state.down_until.is_none() {
            return false;
        }
        let was_down = state.down_until.is_some();
        state.forget();
        was_down
    }

    /// Records that the leg failed for `client`. Returns whether that marked it down.
    pub(crate) fn failed(&self, fault: Fault, client: IpAddr) -> bool {
        let mut state = self.lock();
        if fault.stage() == Stage::Ours {
            return false;
        }
        state.record(fault, client);
        if !state.is_suspect() {
            return false;
        }
        let Some(check_wanted) = &self.check_wanted else { return state.mark_down() };
        if state.down_until.is_some() {
            return false;
        }
        let is_down = state.is_unreachable() && state.mark_down();
        if !is_down && state.check == Check::Idle {
            state.check = Check::Wanted;
        }
        check_wanted.notify_one();
        is_down
    }

    /// Returns when the next check is due, `None` if none is or one is running.
    pub(crate) fn next_check(&self) -> Option<Instant> {
        let state = self.lock();
        match state.check {
            Check::Wanted => Some(Instant::now()),
            Check::Idle => state.down_until,
            Check::Running => None,
        }
    }

    /// Begins a check if one is due, and returns whether it did. The caller ends it with [`Health::end_check`].
    pub(crate) fn begin_check(&self) -> bool {
        let mut state = self.lock();
        let is_due = match state.check {
            Check::Wanted => true,
            Check::Idle => state.down_until.is_some_and(|until| until <= Instant::now()),
            Check::Running => false,
        };
        if is_due {
            state.check = Check::Running;
        }
        is_due
    }

    /// Ends a check with its result: how long the leg took to be ready, or the fault. `None`: the check was abandoned.
    pub(crate) fn end_check(&self, result: Option<Result<Duration, Fault>>) -> CheckOutcome {
        let mut state = self.lock();
        state.check = Check::Idle;
        let was_down = state.down_until.is_some();
        match result {
            Some(Ok(took)) => {
                state.last_success = Some((SystemTime::now(), took));
                let was_suspect = state.is_suspect();
                state.forget();
                match (was_down, was_suspect) {
                    (true, _) => CheckOutcome::Up,
                    (false, true) => CheckOutcome::OnlyClients,
                    (false, false) => CheckOutcome::Unchanged,
                }
            }
            Some(Err(fault)) if fault.stage() != Stage::Ours => {
                // A client may have logged in during the check, which ended the streak.
                if was_down || state.is_suspect() {
                    state.last_fault = Some(fault);
                    if state.mark_down() {
                        return CheckOutcome::Down;
                    }
                }
                CheckOutcome::Unchanged
            }
            // The check shows nothing about the leg: it stays as it is, and a leg that is down is checked again later.
            Some(Err(_)) | None => {
                if was_down {
                    state.mark_down();
                }
                CheckOutcome::Unchanged
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers, which a panic elsewhere leaves valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    /// Adds a failure to the streak.
    fn record(&mut self, fault: Fault, client: IpAddr) {
        self.streak = self.streak.saturating_add(1);
        self.last_fault = Some(fault);
        if fault.stage() == Stage::Connect {
            self.connect_failures = self.connect_failures.saturating_add(1);
        }
        let network = client_network(client);
        if self.sources.len() < self.min_sources() && !self.sources.contains(&network) {
            self.sources.push(network);
        }
    }

    /// Returns whether the streak is long enough and affects enough client networks.
    fn is_suspect(&self) -> bool {
        let is_long = self.rule.threshold != 0 && self.streak >= self.rule.threshold;
        is_long && (self.connect_failures > 0 || self.sources.len() >= self.min_sources())
    }

    /// Returns whether failures to connect alone make the streak, which no client can cause.
    fn is_unreachable(&self) -> bool {
        self.connect_failures >= self.rule.threshold
    }

    fn min_sources(&self) -> usize {
        self.rule.min_clients.clamp(1, MAX_SOURCES)
    }

    /// Marks the leg down for another cooldown. Returns whether it was up.
    fn mark_down(&mut self) -> bool {
        let was_up = self.down_until.is_none();
        self.down_until = Some(Instant::now() + self.rule.cooldown);
        was_up
    }

    /// Forgets every failure. A check that is running stays so.
    fn forget(&mut self) {
        let check = if self.check == Check::Running { Check::Running } else { Check::Idle };
        *self = Self { rule: self.rule, last_success: self.last_success, check, ..Self::default() };
    }
}

// === impl Permit ===

impl Permit<'_> {
    /// Records that the leg did everything before the login. Returns whether it was down until now.
    pub(crate) fn succeeded(self, took: Duration) -> bool {
        self.health.succeeded(took)
    }

    /// Records that the leg failed for `client`. Returns whether that marked it down.
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

    fn checked(threshold: u32, min_clients: usize) -> Health {
        let health = Health::checked(Arc::default());
        health.set_rule(Rule { threshold, min_clients, cooldown: Duration::from_secs(30) });
        health
    }

    /// Addresses of one /64 are one client.
    #[tokio::test(start_paused = true)]
    async fn clients_are_counted_by_network() {
        let health = health(3, 2);
        for host in 0..10 {
            let client = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, host]);
            assert!(!health.permit().expect("up").failed(Fault::Closed, client));
        }
        assert_eq!(health.snapshot().failure_sources, 1);
    }

    /// Even clients of many networks that a server refuses take nothing down while it answers the proxy itself.
    #[tokio::test(start_paused = true)]
    async fn a_check_under_our_own_address_decides() {
        let health = checked(3, 2);
        for client in 1..=10 {
            assert!(!fail(&health, Fault::Closed, client), "never down without a check");
        }
        assert!(health.begin_check() && !health.begin_check(), "one check at a time");
        assert_eq!(health.end_check(Some(Ok(Duration::ZERO))), CheckOutcome::OnlyClients);
        assert_eq!(health.snapshot().consecutive_failures, 0);
        assert!(!health.begin_check() && health.next_check().is_none(), "no check without a new streak");

        for client in 1..=3 {
            assert!(!fail(&health, Fault::Closed, client));
        }
        assert!(health.begin_check());
        assert_eq!(health.end_check(Some(Err(Fault::Exhausted))), CheckOutcome::Unchanged, "our own fault");
        assert!(!fail(&health, Fault::Closed, 1));
        assert!(health.begin_check());
        assert_eq!(health.end_check(Some(Err(Fault::Closed))), CheckOutcome::Down);
        assert_eq!(health.permit().err(), Some(Fault::MarkedDown));

        assert!(!health.begin_check(), "not before the cooldown is over");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(health.permit().err(), Some(Fault::MarkedDown), "clients do not probe");
        assert!(health.begin_check());
        assert_eq!(health.end_check(Some(Err(Fault::TimedOut))), CheckOutcome::Unchanged, "another cooldown");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(health.begin_check());
        assert_eq!(health.end_check(Some(Ok(Duration::ZERO))), CheckOutcome::Up);
        assert!(health.permit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn failures_to_connect_need_no_check() {
        let health = checked(3, 2);
        assert!(!fail(&health, Fault::Refused, 1));
        assert!(!fail(&health, Fault::Closed, 1), "a banned client, once");
        assert!(!fail(&health, Fault::Refused, 1), "suspect, and to be checked");
        assert!(fail(&health, Fault::Refused, 1), "three failures to connect");
        assert!(health.snapshot().down);
    }

    /// A client that logs in during the check proves that the leg works.
    #[tokio::test(start_paused = true)]
    async fn a_success_during_a_check_ends_the_streak() {
        let health = checked(1, 1);
        assert!(!fail(&health, Fault::TimedOut, 1));
        assert!(health.begin_check());
        assert!(!health.succeeded(Duration::ZERO));
        assert_eq!(health.end_check(Some(Err(Fault::TimedOut))), CheckOutcome::Unchanged);
        assert!(health.permit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn faults_of_the_proxy_never_count() {
        let health = health(1, 1);
        for _ in 0..5 {
            assert!(!fail(&health, Fault::NoMechanism, 1));
            assert!(!fail(&health, Fault::Exhausted, 1));
        }
        let off = self::health(0, 1);
        for client in 0..50 {
            assert!(!fail(&off, Fault::Refused, client));
        }
        assert_eq!(off.snapshot().consecutive_failures, 50);
    }
}
