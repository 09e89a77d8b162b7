//! The way of a request: destination, connection and place at the desk, all of one moment.

use std::sync::Arc;
use std::time::Duration;

use plan::{Forwarding, Leg, Name, TlsMode};
use sessions::{LoginTicket, SessionTicket, Unconfirmed};
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::protocol::Protocol;
use upstream::{Backend, Connected};

use crate::answer::Answer;
use crate::backend::Connection;
use crate::decide::Decision;
use crate::pool::{Announced, Key};
use crate::service::HttpConnection;

/// A confirmed way to a backend.
pub(crate) struct Route {
    pub(crate) destination: Name,
    pub(crate) backend: Arc<Backend>,
    pub(crate) leg: Leg,
    pub(crate) key: Key,
    pub(crate) connection: Connection,
    /// It has carried a request before: the backend may be closing it at this moment.
    pub(crate) is_reused: bool,
    /// How long it took to be connected.
    pub(crate) took: Duration,
    pub(crate) ticket: SessionTicket,
}

/// Why there is no way.
pub(crate) enum NoRoute {
    Answer(Answer),
    /// A reload has replaced the rules that decided: they are to be asked again.
    Outdated,
}

/// Rounds of a request whose account keeps moving under it.
const MAX_ROUNDS: u32 = 4;

// === impl NoRoute ===

impl From<Answer> for NoRoute {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

// === impl HttpConnection ===

impl HttpConnection {
    /// Finds the destination, a connection to it and a place at the desk, all of one moment. `upgrades`: the
    /// connection has to take an upgrade.
    pub(crate) async fn way(&self, decision: Decision, upgrades: bool) -> Result<Route, NoRoute> {
        let registry = &self.service.context.live.registry;
        let mut ticket = match &decision {
            Decision::Account(identifier) => registry
                .begin(identifier.as_str(), Protocol::Http, self.client.ip())
                .map_err(|_| Answer::BUSY)?,
            Decision::Pinned(_) | Decision::Fallback(_) => {
                registry.begin_anonymous(Protocol::Http, self.client.ip())
            }
        };
        for _ in 0..MAX_ROUNDS {
            if let Err(held) = ticket.wait_released().await {
                tracing::warn!(reason = %held, "request turned away");
                return Err(Answer::UNAVAILABLE.into());
            }
            let destination = self.destination(&decision, &ticket).await;
            // `None`: the mapping is of a newer plan.
            let backend = self.service.context.backends.get(&destination).ok_or(NoRoute::Outdated)?;
            let leg = *backend.destination().leg(Protocol::Http).ok_or(Answer::NO_LEG)?;
            let key = self.key(&destination, leg);
            let waiting = self.service.pool.take(&key).filter(|it| !upgrades || it.can_upgrade());
            let (is_reused, began) = (waiting.is_some(), Instant::now());
            let connection = match waiting {
                Some(connection) => connection,
                None => self.connect(backend, leg, upgrades).await?,
            };
            let took = began.elapsed();
            if !is_reused && self.destination(&decision, &ticket).await != destination {
                // A mapping edited by hand leaves no mark at the desk.
                continue;
            }
            match self.confirm(ticket, &destination).ok_or(NoRoute::Outdated)? {
                Ok(ticket) => {
                    let backend = Arc::clone(backend);
                    return Ok(Route { destination, backend, leg, key, connection, is_reused, took, ticket });
                }
                Err(Unconfirmed::Outdated(again)) => ticket = again,
                Err(Unconfirmed::Busy(_)) => return Err(Answer::BUSY.into()),
            }
        }
        Err(Answer::UNAVAILABLE.into())
    }

    async fn destination(&self, decision: &Decision, ticket: &LoginTicket) -> Name {
        match (decision, ticket.account()) {
            (Decision::Pinned(name) | Decision::Fallback(name), _) => Name::clone(name),
            (Decision::Account(_), Some(account)) => {
                self.service.context.live.router.resolve(account).await.destination
            }
            (Decision::Account(_), None) => Name::clone(&self.service.context.plan.routing.default),
        }
    }

    fn key(&self, destination: &Name, leg: Leg) -> Key {
        let announced = (leg.forwarding == Forwarding::Proxy).then(|| Announced {
            client: self.client.ip(),
            local: self.local,
            encrypted: self.tls.is_some(),
        });
        Key { destination: Name::clone(destination), announced }
    }

    /// A new connection, that takes an upgrade where `upgrades`: an HTTP/2 backend that has not announced it may take
    /// it in HTTP/1.1 (nginx, say, which knows no RFC 8441).
    pub(crate) async fn connect(
        &self,
        backend: &Backend,
        leg: Leg,
        upgrades: bool,
    ) -> Result<Connection, Answer> {
        let deadline = Instant::now() + backend.timeout();
        let client_identity = self.client_identity();
        let opening = Box::pin(backend.connect(Protocol::Http, &client_identity, deadline));
        let opened =
            async { self.opened(backend, leg, opening.await?, (leg.http2, upgrades), deadline).await };
        let connection = opened.await.map_err(|fault| self.unreachable(backend, fault))?;
        if !upgrades || connection.can_upgrade() {
            return Ok(connection);
        }
        match Box::pin(backend.connect_http1(&client_identity, deadline)).await {
            Ok(Some(connected)) => self.opened(backend, leg, connected, (false, false), deadline).await,
            Ok(None) => {
                let destination = &backend.destination().name;
                tracing::warn!(%destination, "the destination takes no WebSocket: neither in HTTP/2 nor in HTTP/1.1");
                return Err(Answer::NO_UPGRADE);
            }
            Err(fault) => Err(fault),
        }
        .map_err(|fault| self.unreachable(backend, fault))
    }

    async fn opened(
        &self,
        backend: &Backend,
        leg: Leg,
        connected: Connected,
        (prior, is_heard): (bool, bool),
        deadline: Instant,
    ) -> Result<Connection, Fault> {
        let meter = self.meter(backend);
        let steps = connected.steps;
        meter.opened(steps.connect, (leg.tls != TlsMode::Plain).then_some(steps.tls), steps.greeting);
        let taking = Connection::new(connected.stream, prior, is_heard);
        timeout_at(deadline, taking).await.map_err(|_| Fault::TimedOut)?
    }

    fn unreachable(&self, backend: &Backend, fault: Fault) -> Answer {
        self.meter(backend).fault(fault.label());
        let destination = &backend.destination().name;
        tracing::warn!(%destination, fault = fault.label(), "the destination could not be used for a request");
        Answer::unreachable(fault)
    }

    fn meter(&self, backend: &Backend) -> &observe::metrics::LegMeter {
        self.service.context.meters.leg(Protocol::Http.name(), &backend.destination().name)
    }

    /// Reports what became of a connection.
    pub(crate) fn judge(&self, way: &Route, verdict: Result<Duration, Fault>) {
        way.backend.judge(Protocol::Http, self.client.ip(), verdict);
    }
}
