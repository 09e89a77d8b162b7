//! The way to a server: health, addresses, connecting, the PROXY header, TLS, greeting and forwarding.
//!
//! It ends at [`Leg`]: a backend that is ready for a credential and has not seen one. Until then everything
//! may be tried again; what comes after is the session's. A leg that was announced for one client is never
//! handed to another.

mod dial;
mod health;
mod leg;
pub mod probe;
mod reach;
mod replays;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub use health::{Health, HealthSnapshot};
pub use leg::{ClientIdentity, Leg, Steps};
use plan::{Destination, Forwarding, Leg as LegPlan, Name, Plan, TlsMode, Verify};
pub use reach::Connected;
pub use replays::replay;
use tls::{Connector, PlatformRoots, SetupError};
use types::protocol::Protocol;

/// Every destination of a plan, with its live state.
#[derive(Debug)]
pub struct Backends {
    by_name: BTreeMap<Name, Arc<Backend>>,
}

/// One destination: how to reach it, and how it has been doing.
#[derive(Debug)]
pub struct Backend {
    destination: Arc<Destination>,
    /// One for each leg: services of one host seldom take each other's session tickets.
    connectors: [Option<Connector>; Protocol::ALL.len()],
    /// Of an HTTP/2 leg, for what that version cannot do there.
    http1: Option<Connector>,
    dialler: dial::Dialler,
    health: Arc<[Health; Protocol::ALL.len()]>,
    timeout: Duration,
    retries: u32,
}

/// A server that is no destination: one that is asked about tokens, say.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// For the log.
    pub name: Name,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, verified by the platform's roots.
    pub https: bool,
}

// === impl Backends ===

impl Backends {
    /// Builds what `plan` declares. Health outlives a plan: it is taken over from `previous` by name.
    ///
    /// # Errors
    /// When a destination's TLS settings cannot be used; the destination is named.
    pub fn new(
        plan: &Plan,
        roots: &PlatformRoots,
        previous: Option<&Self>,
    ) -> Result<Self, (Name, SetupError)> {
        let own = own(plan);
        let mut by_name = BTreeMap::new();
        for (name, destination) in &plan.destinations {
            let connectors = connectors(destination, roots).map_err(|error| (Arc::clone(name), error))?;
            let health = previous.and_then(|previous| previous.by_name.get(name)).map_or_else(
                || Arc::new(std::array::from_fn(|_| Health::default())),
                |old| Arc::clone(&old.health),
            );
            let http1 = http1(destination, roots).map_err(|error| (Arc::clone(name), error))?;
            let backend = Backend {
                destination: Arc::clone(destination),
                connectors,
                http1,
                dialler: dial::Dialler::new(destination.source_ips.clone(), Arc::clone(&own)),
                health,
                timeout: plan.server.backend_timeout,
                retries: plan.server.backend_connect_retries,
            };
            for health in backend.health.iter() {
                health.set_rule(health::Rule::of(&plan.server));
            }
            by_name.insert(Arc::clone(name), Arc::new(backend));
        }
        Ok(Self { by_name })
    }

    /// The destination of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Backend>> {
        self.by_name.get(name)
    }

    /// Every destination by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Arc<Backend>)> {
        self.by_name.iter()
    }
}

/// Our own listeners, which no way may lead to.
fn own(plan: &Plan) -> Arc<[SocketAddr]> {
    plan.listeners.iter().flat_map(|listener| listener.bind.iter().copied()).collect()
}

/// A connector for each leg that uses TLS.
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

/// A connector that offers HTTP/1.1 alone, where the leg's own offers HTTP/2 first.
fn http1(destination: &Destination, roots: &PlatformRoots) -> Result<Option<Connector>, SetupError> {
    destination
        .leg(Protocol::Http)
        .filter(|leg| leg.http2 && leg.tls != TlsMode::Plain)
        .map(|_| Connector::new(destination, roots, &[b"http/1.1"]))
        .transpose()
}

// === impl Backend ===

impl Backend {
    /// A way to `endpoint`, under the limits of `plan`, without telling it who the client is.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn of(endpoint: &Endpoint, plan: &Plan, roots: &PlatformRoots) -> Result<Self, SetupError> {
        let tls = if endpoint.https { TlsMode::Implicit } else { TlsMode::Plain };
        let mut destination =
            Destination::outside(Name::clone(&endpoint.name), &*endpoint.host, Verify::Platform);
        destination.legs[Protocol::Http.index()] =
            Some(LegPlan { port: endpoint.port, tls, forwarding: Forwarding::None, http2: false });
        let mut backend = Self::outside(destination, roots, plan.server.backend_timeout)?;
        backend.dialler = dial::Dialler::new(Vec::new(), own(plan));
        backend.health(Protocol::Http).set_rule(health::Rule::of(&plan.server));
        Ok(backend)
    }

    /// A way to `destination`, tried once, which no plan has: our own listeners, say, as a client meets them.
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
            // Whoever comes from outside may well come to our listeners.
            dialler: dial::Dialler::new(Vec::new(), Arc::new([])),
            health: Arc::new(std::array::from_fn(|_| Health::default())),
            timeout,
            retries: 0,
        })
    }

    /// Whether `other`, of a later plan, is the same destination, at the same place.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (one, two) = (&*self.destination, &*other.destination);
        std::ptr::eq(one, two) || (&one.name, &one.hosts, &one.legs) == (&two.name, &two.hosts, &two.legs)
    }

    /// As the plan has it.
    #[must_use]
    pub fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// How its leg for `protocol` has been doing.
    #[must_use]
    pub fn health(&self, protocol: Protocol) -> &Health {
        &self.health[protocol.index()]
    }

    /// Every leg that it has, and how that has been doing.
    pub fn legs(&self) -> impl Iterator<Item = (Protocol, HealthSnapshot)> + '_ {
        let has = |protocol: &Protocol| self.destination.leg(*protocol).is_some();
        Protocol::ALL.into_iter().filter(has).map(|protocol| (protocol, self.health(protocol).snapshot()))
    }

    /// Limit for connecting and authenticating together.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }
}
