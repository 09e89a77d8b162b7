//! SMTP and LMTP: no dialogue, no account. The connection goes whole to one destination.

use std::sync::Arc;

use bridge::{Limits, Opening};
use credentials::attempt::ClientInfo;
use mail_proto::passthrough::{Replay, farewell};
use mail_proto::step::ReplayContext;
use mail_proto::verdict::CloseReason;
use observe::SessionId;
use plan::{Listener, TlsMode};
use sessions::SessionTicket;
use tls::Stream;
use tokio::io::AsyncWriteExt;
use types::fault::Fault;
use upstream::{ClientIdentity, Leg};

use crate::attempt::count_steps;
use crate::bridged::BridgedSession;
use crate::context::Context;
use crate::conversation::handshake;
use crate::current::Current;
use crate::ledger::{Ledger, Lines, micros};

/// A connection that passes through, before it is spliced.
pub(crate) struct Passthrough {
    current: Current<Context>,
    /// By which its way was found.
    pub(crate) context: Arc<Context>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) client_identity: ClientIdentity,
    stream: Stream,
}

/// A passage whose backend is there.
pub(crate) struct Opened {
    leg: Leg,
    ticket: SessionTicket,
    destination: Arc<str>,
}

/// Rounds of one connection under which reloads change the destination.
const MAX_ROUNDS: u32 = 4;

// === impl Passthrough ===

impl Passthrough {
    /// Takes over a connection; does the implicit handshake where there is one.
    pub(crate) async fn begin(
        current: Current<Context>,
        listener: Arc<Listener>,
        id: SessionId,
        (client, local): (std::net::SocketAddr, std::net::SocketAddr),
        mut stream: Stream,
    ) -> Result<Self, connection::Broken> {
        let context = current.now();
        if listener.tls == TlsMode::Implicit {
            stream = handshake(&context, &context.acceptor, stream).await?;
        }
        let client_identity = ClientIdentity {
            client,
            local,
            tls: stream.tls_info(),
            session: id.to_string(),
            ttl: context.plan.server.proxy_ttl,
        };
        Ok(Self { current, context, listener, client_identity, stream })
    }

    /// Opens the leg. The client is told when there is none.
    pub(crate) async fn open(&mut self) -> Option<Opened> {
        let mut opened = Ok(None);
        for _ in 0..MAX_ROUNDS {
            self.context = self.current.now();
            opened = self.try_open().await;
            if !matches!(opened, Ok(None)) {
                break;
            }
        }
        // `None` in every round: the destination is another one each time.
        let opened = opened.and_then(|opened| opened.ok_or(Fault::Unreachable));
        let name = self.context.plan.routing.passthrough.as_deref().unwrap_or_default();
        let meter = self.context.meters.leg(self.listener.protocol.name(), name);
        match &opened {
            Ok(opened) => count_steps(meter, &opened.leg.steps),
            Err(fault) => meter.fault(fault.label()),
        }
        if let Err(fault) = &opened {
            tracing::warn!(
                client = %self.client_identity.client,
                destination = name,
                fault = fault.label(),
                "the destination could not be used for a pass-through"
            );
            // BackendEvent or not: the connection is closed.
            let _ = self.stream.write_all(farewell(CloseReason::Unavailable)).await;
            let _ = self.stream.shutdown().await;
        }
        opened.ok()
    }

    /// `None`: a reload has put another destination in force meanwhile.
    async fn try_open(&self) -> Result<Option<Opened>, Fault> {
        let protocol = self.listener.protocol;
        // The configuration is refused without it, so this is a plan that the listener does not belong to.
        let name = self.context.plan.routing.passthrough.clone().ok_or(Fault::Unreachable)?;
        let backend = self.context.backends.get(&name).ok_or(Fault::Unreachable)?;
        let hostname = self.context.hostname(self.client_identity.local);
        let deadline = tokio::time::Instant::now() + backend.timeout();
        let ticket = self.context.live.registry.begin_anonymous(protocol, self.client_identity.client.ip());
        let machine = |forward, _starttls| -> Box<dyn mail_proto::step::Replay> {
            // STARTTLS is between the client and the backend: it passes through like everything else.
            let context = ReplayContext {
                starttls: false,
                forward,
                client_info: ClientInfo::default(),
                hostname: hostname.clone(),
            };
            Box::new(Replay::new(protocol, context))
        };
        let leg = Box::pin(backend.open(protocol, &self.client_identity, deadline, machine)).await?;
        let now = self.current.hold();
        let there = now.plan.routing.passthrough.as_deref().and_then(|name| now.backends.get(name));
        if !there.is_some_and(|there| there.is_same(backend)) {
            return Ok(None);
        }
        let ticket = ticket.confirm(Arc::clone(&name)).map_err(|_| Fault::Unreachable)?;
        Ok(Some(Opened { leg, ticket, destination: name }))
    }

    /// Logs the way that was found, and lets go of all that was for finding it.
    pub(crate) fn cross(self, opened: Opened) -> Box<BridgedSession> {
        let Opened { leg, ticket, destination } = opened;
        tracing::info!(
            client = %self.client_identity.client,
            %destination,
            tls = self.client_identity.tls.as_ref().map_or("none", |tls| tls.version),
            connect_us = micros(leg.steps.connect),
            greeting_us = micros(leg.steps.greeting),
            "passing through"
        );
        Box::new(BridgedSession {
            client: self.stream,
            opening: Opening { to_backend: Vec::new(), to_client: leg.connection.inbox.unread().to_vec() },
            backend: leg.connection.stream,
            lines: Lines::Unseen,
            // In the middle of somebody's mail nothing may be said: closing is all there is.
            dialogue: None,
            limits: Limits::with_idle(self.context.plan.server.bridge_idle),
            ledger: Ledger::open(&self.context, &self.listener, ticket, destination),
        })
    }
}
