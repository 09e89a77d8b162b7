//! The route of a request: a connection to the backend that the placement names.

use std::sync::Arc;
use std::time::Duration;

use placement::{Candidate, Dial, Reason, Request, Subject};
use plan::{Forwarding, Leg, Name, TlsMode};
use runtime::ActivePlan;
use sessions::SessionTicket;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use upstream::{Backend, Connected};

use crate::backend::BackendConnection;
use crate::connection::HttpConnection;
use crate::decide::Decision;
use crate::local_reply::LocalReply;
use crate::pool::{Announced, PoolKey};

/// A confirmed route to a backend.
pub(crate) struct Route {
    pub(crate) destination: Name,
    pub(crate) backend: Arc<Backend>,
    pub(crate) leg: RouteLeg,
    pub(crate) ticket: SessionTicket,
}

/// A connection to a backend, for one request.
pub(crate) struct RouteLeg {
    /// The leg as the plan declares it.
    pub(crate) plan: Leg,
    pub(crate) key: PoolKey,
    pub(crate) connection: BackendConnection,
    /// Whether the connection has carried a request before: the backend may be closing it at this moment.
    pub(crate) is_reused: bool,
    /// How long connecting took.
    pub(crate) took: Duration,
}

/// Why there is no route.
pub(crate) enum NoRoute {
    LocalReply(LocalReply),
    /// A reload has replaced the rules that decided; they must be applied again.
    Outdated,
}

/// Finds routes for the requests of one client's connection.
pub(crate) struct RouteFinder<'a> {
    pub(crate) connection: &'a HttpConnection,
    /// Whether the backend's connection must be able to carry an upgrade.
    pub(crate) upgrades: bool,
}

// === impl RouteFinder ===

impl RouteFinder<'_> {
    /// Places the request that `decision` is about.
    pub(crate) async fn route(&mut self, decision: Decision) -> Result<Route, NoRoute> {
        let connection = self.connection;
        let request = Request {
            subject: match decision {
                Decision::Account { identifier, .. } => Subject::Account(identifier),
                Decision::Pinned(name) | Decision::Fallback(name) => Subject::Fixed(name),
            },
            protocol: Protocol::Http,
            client: connection.client.ip(),
            // Another plan's rules could lead this path elsewhere.
            decided_by: Some(Arc::clone(&connection.plan)),
        };
        match connection.service.placement.place(&request, self).await {
            Ok(placed) => {
                let placement::Placed { leg, ticket, destination, backend, .. } = placed;
                Ok(Route { destination, backend, leg, ticket })
            }
            Err(refusal) => Err(match refusal.reason {
                Reason::Busy(busy) => {
                    connection.log_refusal(&busy.to_string());
                    NoRoute::LocalReply(LocalReply::BUSY)
                }
                Reason::Held(held) => {
                    tracing::warn!(reason = %held, "request turned away");
                    NoRoute::LocalReply(LocalReply::UNAVAILABLE)
                }
                Reason::Moved | Reason::NoDestination => NoRoute::LocalReply(LocalReply::UNAVAILABLE),
                Reason::Outdated => NoRoute::Outdated,
                Reason::Dial(answer) => NoRoute::LocalReply(answer),
            }),
        }
    }

    fn key(&self, plan: &ActivePlan, destination: &Name, leg: Leg) -> PoolKey {
        let announced = match leg.forwarding {
            Forwarding::Proxy => Some(Announced {
                client: self.connection.client.ip(),
                local: self.connection.local,
                encrypted: self.connection.tls.is_some(),
            }),
            _ => None,
        };
        PoolKey { plan: plan.serial, destination: Name::clone(destination), announced }
    }

    /// Opens a connection, and one over HTTP/1.1 where an upgrade needs that: an HTTP/2 backend that has not announced
    /// RFC 8441 may accept a WebSocket over HTTP/1.1 (nginx, for example).
    pub(crate) async fn connect(&self, backend: &Backend, leg: Leg) -> Result<BackendConnection, LocalReply> {
        let deadline = Instant::now() + backend.timeout();
        let identity = self.connection.identity();
        // Boxed: clippy::large_futures; connecting holds a TLS handshake.
        let connected = Box::pin(backend.connect(Protocol::Http, &identity, deadline))
            .await
            .map_err(|fault| self.unreachable(backend, fault))?;
        let connection = self
            .take_over(backend, leg, connected, leg.http2, self.upgrades, deadline)
            .await
            .map_err(|fault| self.unreachable(backend, fault))?;
        if !self.upgrades || connection.can_upgrade() {
            return Ok(connection);
        }
        let connected = Box::pin(backend.connect_http1(&identity, deadline))
            .await
            .map_err(|fault| self.unreachable(backend, fault))?;
        let Some(connected) = connected else {
            let destination = &backend.destination().name;
            tracing::warn!(
                %destination,
                "the destination accepts no WebSocket: neither over HTTP/2 nor over HTTP/1.1"
            );
            return Err(LocalReply::NO_UPGRADE);
        };
        self.take_over(backend, leg, connected, false, false, deadline)
            .await
            .map_err(|fault| self.unreachable(backend, fault))
    }

    /// Counts a fresh connection, and begins HTTP on it: HTTP/2 without negotiation where `prior_h2`. `awaits_settings`:
    /// waits until it is known whether the backend accepts upgrades.
    async fn take_over(
        &self,
        backend: &Backend,
        leg: Leg,
        connected: Connected,
        prior_h2: bool,
        awaits_settings: bool,
        deadline: Instant,
    ) -> Result<BackendConnection, Fault> {
        let steps = connected.steps;
        let tls = (leg.tls != TlsMode::Plain).then_some(steps.tls);
        self.leg_meter(backend).opened(steps.connect, tls, steps.greeting);
        let connection = BackendConnection::new(connected.stream, prior_h2, awaits_settings);
        timeout_at(deadline, connection).await.map_err(|_| Fault::TimedOut)?
    }

    fn unreachable(&self, backend: &Backend, fault: Fault) -> LocalReply {
        self.leg_meter(backend).fault(fault);
        let destination = &backend.destination().name;
        tracing::warn!(%destination, fault = fault.label(), "the destination could not be used for a request");
        LocalReply::unreachable(fault)
    }

    fn leg_meter(&self, backend: &Backend) -> &observe::metrics::LegMeter {
        self.connection.plan.meters.leg(Protocol::Http.name(), &backend.destination().name)
    }
}

impl Dial for RouteFinder<'_> {
    type Leg = RouteLeg;
    type Error = LocalReply;

    async fn dial(&mut self, candidate: &Candidate) -> Result<RouteLeg, LocalReply> {
        let plan = candidate.backend.leg(Protocol::Http).map_err(|_| LocalReply::NO_LEG)?;
        let key = self.key(&candidate.plan, &candidate.destination, plan);
        let pooled = self.connection.service.pool.take(&key);
        if let Some(connection) = pooled
            && (!self.upgrades || connection.can_upgrade())
        {
            return Ok(RouteLeg { plan, key, connection, is_reused: true, took: Duration::ZERO });
        }
        let began = Instant::now();
        let connection = self.connect(&candidate.backend, plan).await?;
        Ok(RouteLeg { plan, key, connection, is_reused: false, took: began.elapsed() })
    }

    fn can_repeat(&self) -> bool {
        true
    }
}
