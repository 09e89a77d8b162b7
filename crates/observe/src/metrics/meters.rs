//! The counters of one plan, and the handles that its sessions hold.
//!
//! [`Meters`] is immutable: a session finds its handles without a lock, and keeps them. A reload makes another
//! one, which takes over what has the same name; what a name that is gone has counted goes with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use types::fault::Fault;
use types::outcome::{ConnectionRefusal, LoginResult, SessionEnd};

use super::tally::Tally;
use crate::log_throttle::LogThrottle;

/// The counters of a plan.
#[derive(Debug)]
pub struct Meters {
    /// Listeners of the start: their sockets stay open, whatever a later plan says.
    bound: Arc<[Where]>,
    pub(super) listeners: BTreeMap<Arc<str>, Arc<ListenerMeter>>,
    /// By protocol and destination; the destination without a name is for logins that were given none.
    pub(super) legs: BTreeMap<&'static str, BTreeMap<Arc<str>, Arc<LegMeter>>>,
    /// By listener and destination.
    pub(super) routes: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<RouteMeter>>>,
    /// Instead of one that there is not. Never shown.
    spare: (Arc<ListenerMeter>, Arc<LegMeter>, Arc<RouteMeter>),
}

/// A listener or a destination's leg: its name and its protocol.
pub type Where = (Arc<str>, &'static str);

/// What is counted of a listener.
#[derive(Debug)]
pub struct ListenerMeter {
    pub(super) protocol: &'static str,
    pub(super) accepted: Counter,
    pub(super) refused: Tally<ConnectionRefusal>,
    log_throttle: LogThrottle,
    pub(super) in_login: Gauge,
    pub(super) in_session: Gauge,
    pub(super) steps: [Histogram; Step::ALL.len()],
}

/// What is counted of a destination's leg.
#[derive(Debug)]
pub struct LegMeter {
    /// By mechanism and result.
    pub(super) logins: Tally<(&'static str, LoginResult)>,
    pub(super) faults: Tally<Fault>,
    pub(super) connect: Histogram,
    pub(super) tls: Histogram,
    pub(super) greeting: Histogram,
    pub(super) auth: Histogram,
}

/// What is counted of the sessions between a listener and a destination.
#[derive(Debug, Default)]
pub struct RouteMeter {
    pub(super) sessions: Gauge,
    pub(super) ended: Tally<SessionEnd>,
    pub(super) to_backend: Counter,
    pub(super) to_client: Counter,
}

/// A step of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Waiting for a move or a delay.
    Hold,
    /// Asking the mapping.
    Route,
    /// Connecting to the backend.
    Connect,
    /// TLS with the backend.
    Tls,
    /// The backend's greeting, and forwarding.
    Greeting,
    /// The replay of the credential.
    Replay,
    /// From the credential to the backend's yes.
    Total,
}

/// A connection in the count of its listener until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct ConnectionGuard {
    meter: Arc<ListenerMeter>,
    is_session: bool,
}

/// A session in the count of its listener and destination until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct SessionGuard(Arc<RouteMeter>);

/// Upper bounds of the buckets, in seconds: from a store in memory to `backend_timeout`.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

// === impl Meters ===

impl Meters {
    /// Counters for these listeners and legs; what `previous` has of the same name and protocol goes on.
    #[must_use]
    pub fn new(listeners: &[Where], legs: &[Where], previous: Option<&Self>) -> Self {
        let bound = previous.map_or_else(|| Arc::from(listeners), |previous| Arc::clone(&previous.bound));
        let mut made = Self {
            bound,
            listeners: BTreeMap::new(),
            legs: BTreeMap::new(),
            routes: BTreeMap::new(),
            spare: (Arc::new(ListenerMeter::new("")), Arc::default(), Arc::default()),
        };
        // What the plan says of a listener wins over what it was bound as.
        for (name, protocol) in Arc::clone(&made.bound).iter().chain(listeners) {
            let old = previous.and_then(|previous| previous.listeners.get(name));
            let old = old.filter(|old| old.protocol == *protocol).cloned();
            let meter = old.unwrap_or_else(|| Arc::new(ListenerMeter::new(protocol)));
            made.listeners.insert(Arc::clone(name), meter);
        }
        let protocols: Vec<_> = made.listeners.values().map(|listener| listener.protocol).collect();
        let nowhere = protocols.into_iter().map(|protocol| (Arc::from(""), protocol));
        for (name, protocol) in nowhere.chain(legs.iter().cloned()) {
            let old = previous.and_then(|previous| previous.legs.get(protocol)?.get(&name));
            made.legs
                .entry(protocol)
                .or_default()
                .insert(Arc::clone(&name), old.cloned().unwrap_or_default());
        }
        for (listener, meter) in &made.listeners {
            let old = previous.and_then(|previous| previous.routes.get(listener));
            let of_protocol = legs.iter().filter(|(_, protocol)| *protocol == meter.protocol);
            let routes = of_protocol.map(|(name, _)| {
                let old = old.and_then(|old| old.get(name));
                (Arc::clone(name), old.cloned().unwrap_or_default())
            });
            made.routes.insert(Arc::clone(listener), routes.collect());
        }
        made
    }

    /// Those of a listener.
    #[must_use]
    pub fn listener(&self, listener: &str) -> &Arc<ListenerMeter> {
        self.listeners.get(listener).unwrap_or(&self.spare.0)
    }

    /// Those of a destination's leg; `""` where a login was given no destination.
    #[must_use]
    pub fn leg(&self, protocol: &str, destination: &str) -> &Arc<LegMeter> {
        self.legs.get(protocol).and_then(|legs| legs.get(destination)).unwrap_or(&self.spare.1)
    }

    /// Those of the sessions between a listener and a destination.
    #[must_use]
    pub fn route(&self, listener: &str, destination: &str) -> &Arc<RouteMeter> {
        self.routes.get(listener).and_then(|routes| routes.get(destination)).unwrap_or(&self.spare.2)
    }
}

// === impl ListenerMeter ===

impl ListenerMeter {
    fn new(protocol: &'static str) -> Self {
        Self {
            protocol,
            accepted: Counter::default(),
            refused: Tally::default(),
            log_throttle: LogThrottle::default(),
            in_login: Gauge::default(),
            in_session: Gauge::default(),
            steps: std::array::from_fn(|_| Histogram::new(SECONDS)),
        }
    }

    /// A connection was given a place.
    pub fn enter(self: &Arc<Self>) -> ConnectionGuard {
        self.accepted.inc();
        self.in_login.inc();
        ConnectionGuard { meter: Arc::clone(self), is_session: false }
    }

    /// A connection was ended before a login, for `reason`.
    pub fn refused(&self, reason: ConnectionRefusal) {
        self.refused.add(reason);
    }

    /// Whether a refusal before any login is worth a line of the log now, and how many had none since the last;
    /// see [`LogThrottle`].
    #[must_use]
    pub fn allow(&self) -> Option<u64> {
        self.log_throttle.allow()
    }

    /// How long a step of an accepted login took.
    pub fn took(&self, step: Step, time: Duration) {
        self.steps[step as usize].observe(time.as_secs_f64());
    }
}

// === impl LegMeter ===

impl LegMeter {
    /// A login came to an end.
    pub fn login(&self, mechanism: &'static str, result: LoginResult) {
        self.logins.add((mechanism, result));
    }

    /// The destination could not be used.
    pub fn fault(&self, fault: Fault) {
        self.faults.add(fault);
    }

    /// A leg was opened; `tls` is `None` for a leg without.
    pub fn opened(&self, connect: Duration, tls: Option<Duration>, greeting: Duration) {
        self.connect.observe(connect.as_secs_f64());
        if let Some(tls) = tls {
            self.tls.observe(tls.as_secs_f64());
        }
        self.greeting.observe(greeting.as_secs_f64());
    }

    /// The backend gave its verdict.
    pub fn authenticated(&self, time: Duration) {
        self.auth.observe(time.as_secs_f64());
    }
}

impl Default for LegMeter {
    fn default() -> Self {
        let [connect, tls, greeting, auth] = std::array::from_fn(|_| Histogram::new(SECONDS));
        Self { logins: Tally::default(), faults: Tally::default(), connect, tls, greeting, auth }
    }
}

// === impl RouteMeter ===

impl RouteMeter {
    /// A session begins.
    pub fn begin(self: &Arc<Self>) -> SessionGuard {
        self.sessions.inc();
        SessionGuard(Arc::clone(self))
    }
}

// === impl Step ===

impl Step {
    /// All, in their order in time.
    pub const ALL: [Self; 7] =
        [Self::Hold, Self::Route, Self::Connect, Self::Tls, Self::Greeting, Self::Replay, Self::Total];

    /// The value of the label.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Route => "route",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Replay => "replay",
            Self::Total => "total",
        }
    }
}

// === impl ConnectionGuard ===

impl ConnectionGuard {
    /// The connection goes over from the login to a session.
    pub fn bridged(&mut self) {
        if !self.is_session {
            self.is_session = true;
            self.meter.in_session.inc();
            self.meter.in_login.dec();
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if self.is_session { &self.meter.in_session } else { &self.meter.in_login }.dec();
    }
}

// === impl SessionGuard ===

impl SessionGuard {
    /// So many more bytes have been delivered.
    #[inline]
    pub fn moved(&self, to_backend: u64, to_client: u64) {
        if to_backend != 0 {
            self.0.to_backend.inc_by(to_backend);
        }
        if to_client != 0 {
            self.0.to_client.inc_by(to_client);
        }
    }

    /// Why the session ended.
    pub fn ended(&self, why: SessionEnd) {
        self.0.ended.add(why);
    }
}

impl Drop for SessionGuard {
    fn drop(&mut self) {
        self.0.sessions.dec();
    }
}
