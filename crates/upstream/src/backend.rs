//! The destinations of a plan, with their live state.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plan::{Destination, Forwarding, Leg, Name, Plan, TlsMode, Verify};
use tls::{Connector, PlatformRoots, SetupError};
use tokio::sync::Notify;
use types::fault::Fault;
use types::protocol::Protocol;

use crate::dial::Dialler;
use crate::health::{Health, HealthSnapshot, Rule};

/// Every destination of a plan, with its live state.
#[derive(Debug)]
pub struct Backends {
    by_name: BTreeMap<Name, Arc<Backend>>,
    pub(crate) check_wanted: Arc<Notify>,
}

/// One destination: how to reach it, and how healthy its legs are.
#[derive(Debug)]
pub struct Backend {
    destination: Arc<Destination>,
    /// One for each leg, since the services of one host seldom accept each other's session tickets.
    pub(crate) connectors: [Option<Connector>; Protocol::ALL.len()],
    /// For requests on an HTTP/2 leg that need HTTP/1.1: a WebSocket where the backend lacks RFC 8441.
    pub(crate) http1: Option<Connector>,
    pub(crate) dialler: Dialler,
    health: Arc<[Health; Protocol::ALL.len()]>,
    timeout: Duration,
    pub(crate) retries: u32,
    /// Legs whose server has not accepted XCLIENT before a connection is passed through.
    pub(crate) lacks_xclient: [AtomicBool; Protocol::ALL.len()],
}

/// A server that is not a destination, such as one that is queried about tokens.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The name in the log.
    pub name: Name,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether to use TLS, verified against the platform's roots.
    pub https: bool,
}

// === impl Backends ===

impl Backends {
    /// Builds the destinations of `plan`. Health outlives a plan: it is taken over from `previous` by name.
    ///
    /// # Errors
    /// The name of a destination whose TLS settings cannot be used, and why.
    pub fn new(
        plan: &Plan,
        roots: &PlatformRoots,
        previous: Option<&Self>,
    ) -> Result<Self, (Name, SetupError)> {
        let own = own(plan);
        let check_wanted = match previous {
            Some(previous) => Arc::clone(&previous.check_wanted),
            None => Arc::default(),
        };
        let mut by_name = BTreeMap::new();
        for (name, destination) in &plan.destinations {
            let connectors = connectors(destination, roots).map_err(|error| (Arc::clone(name), error))?;
            let health = match previous.and_then(|previous| previous.by_name.get(name)) {
                Some(previous) => Arc::clone(&previous.health),
                None => Arc::new(std::array::from_fn(|_| Health::checked(Arc::clone(&check_wanted)))),
            };
            let http1 = http1(destination, roots).map_err(|error| (Arc::clone(name), error))?;
            let backend = Backend {
                destination: Arc::clone(destination),
                connectors,
                http1,
                dialler: Dialler::new(destination.source_ips.clone(), Arc::clone(&own)),
                health,
                timeout: plan.server.backend_timeout,
                retries: plan.server.backend_connect_retries,
                // A reload may follow a change of the server's trusted networks, so this is found out anew.
                lacks_xclient: std::array::from_fn(|_| AtomicBool::new(false)),
            };
            for health in backend.health.iter() {
                health.set_rule(Rule::of(&plan.server));
            }
            by_name.insert(Arc::clone(name), Arc::new(backend));
        }
        Ok(Self { by_name, check_wanted })
    }

    /// Returns the destination of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Backend>> {
        self.by_name.get(name)
    }

    /// Returns every destination by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<Backend>)> {
        self.by_name.iter()
    }
}

/// Returns the addresses of our own listeners, which no connection may lead to.
fn own(plan: &Plan) -> Arc<[SocketAddr]> {
    plan.listeners.iter().flat_map(|listener| listener.bind.iter().copied()).collect()
}

/// Builds a connector for each leg that uses TLS.
fn connectors(
    destination: &Destination,
    roots: &PlatformRoots,
) -> Result<[Option<Connector>; Protocol::ALL.len()], SetupError> {
    let mut connectors = std::array::from_fn(|_| None);
    for protocol in Protocol::ALL {
        if let Some(leg) = destination.leg(protocol).filter(|leg| leg.tls != TlsMode::Plain) {
            let alpn: &[&[u8]] = match (protocol, leg.http2) {
                (Protocol::Http, true) => &[b"h2", b"http/1.1"],
                (Protocol::Http, false) => &[b"http/1.1"],
                _ => &[],
            };
            connectors[protocol.index()] = Some(Connector::new(destination, roots, alpn)?);
        }
    }
    Ok(connectors)
}

/// Builds a connector that offers only HTTP/1.1, where the leg's own offers HTTP/2 first.
fn http1(destination: &Destination, roots: &PlatformRoots) -> Result<Option<Connector>, SetupError> {
    destination
        .leg(Protocol::Http)
        .filter(|leg| leg.http2 && leg.tls != TlsMode::Plain)
        .map(|_| Connector::new(destination, roots, &[b"http/1.1"]))
        .transpose()
}

// === impl Backend ===

impl Backend {
    /// Builds a backend for `endpoint`, under the limits of `plan`. It does not learn who the client is.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn of(endpoint: &Endpoint, plan: &Plan, roots: &PlatformRoots) -> Result<Self, SetupError> {
        let tls = if endpoint.https { TlsMode::Implicit } else { TlsMode::Plain };
        let mut destination =
            Destination::outside(Name::clone(&endpoint.name), &*endpoint.host, Verify::Platform);
        destination.legs[Protocol::Http.index()] =
            Some(Leg { port: endpoint.port, tls, forwarding: Forwarding::None, http2: false });
        let mut backend = Self::outside(destination, roots, plan.server.backend_timeout)?;
        backend.dialler = Dialler::new(Vec::new(), own(plan));
        backend.health(Protocol::Http).set_rule(Rule::of(&plan.server));
        Ok(backend)
    }

    /// Builds a backend for a `destination` that is in no plan, such as our own listeners as a client sees them. It is
    /// tried once.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn outside(
        destination: Destination,
        roots: &PlatformRoots,
        timeout: Duration,
    ) -> Result<Self, SetupError> {
        let connectors = connectors(&destination, roots)?;
        let http1 = http1(&destination, roots)?;
        Ok(Self {
            destination: Arc::new(destination),
            connectors,
            http1,
            // Connecting to our own listeners is the purpose here, so none is refused as a loop.
            dialler: Dialler::new(Vec::new(), Arc::new([])),
            health: Arc::new(std::array::from_fn(|_| Health::default())),
            timeout,
            retries: 0,
            lacks_xclient: std::array::from_fn(|_| AtomicBool::new(false)),
        })
    }

    /// Returns whether `other`, of a later plan, is the same destination with the same hosts and legs.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let one = &*self.destination;
        let two = &*other.destination;
        std::ptr::eq(one, two) || (&one.name, &one.hosts, &one.legs) == (&two.name, &two.hosts, &two.legs)
    }

    /// Returns the destination as the plan declares it.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// Returns the health of the leg for `protocol`.
    #[must_use]
    pub fn health(&self, protocol: Protocol) -> &Health {
        &self.health[protocol.index()]
    }

    /// Remembers, as long as this plan is in force, that the server of the leg for `protocol` does not accept XCLIENT.
    pub fn remember_no_xclient(&self, protocol: Protocol) {
        self.lacks_xclient[protocol.index()].store(true, Ordering::Relaxed);
    }

    /// Returns every leg with its health.
    pub fn legs(&self) -> impl Iterator<Item = (Protocol, HealthSnapshot)> + '_ {
        let has = |protocol: &Protocol| self.destination.leg(*protocol).is_some();
        Protocol::ALL.into_iter().filter(has).map(|protocol| (protocol, self.health(protocol).snapshot()))
    }

    /// Returns the limit for getting a connection ready for a credential or a request.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Reports what became of a connection that [`Backend::connect`] returned: an answer, with the time that
    /// connecting took, or the fault that `client` met.
    pub fn report(&self, protocol: Protocol, client: IpAddr, result: Result<Duration, Fault>) {
        let health = self.health(protocol);
        match result {
            Ok(took) => {
                if health.succeeded(took) {
                    self.log_up(protocol);
                }
            }
            Err(fault) => {
                if health.failed(fault, client) {
                    self.log_down(protocol, fault);
                }
            }
        }
    }

    pub(crate) fn log_up(&self, protocol: Protocol) {
        tracing::info!(destination = %self.destination().name, %protocol, "destination is up again");
    }

    pub(crate) fn log_down(&self, protocol: Protocol, fault: Fault) {
        let destination = &self.destination().name;
        tracing::warn!(%destination, %protocol, fault = fault.label(), "destination is marked down");
    }
}
