//! SMTP and LMTP: no dialogue and no account. The connection goes whole to one destination.

use bridge::{Limits, Opening};
use credentials::attempt::ClientInfo;
use mail_leg::{Leg, LegRequest};
use mail_proto::passthrough::farewell;
use mail_proto::verdict::CloseReason;
use placement::{Candidate, Dial, Reason, Refusal, Request, Subject};
use runtime::{BridgedSession, Ledger, micros};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use types::fault::Fault;
use types::outcome::ConnectionRefusal;
use types::protocol::Protocol;
use upstream::ClientIdentity;

use crate::arrived::Arrived;
use crate::bridged::{Bridged, Follower};

/// Dials on behalf of a connection that passes through.
struct PassthroughDial<'a> {
    identity: &'a ClientIdentity,
    protocol: Protocol,
}

// === impl Arrived ===

impl Arrived {
    /// Connects the client with the destination. Where that fails the client is told, and the connection has come to its
    /// end: `None`.
    pub(crate) async fn pass_through(mut self) -> Option<Bridged> {
        let identity = ClientIdentity {
            client: self.client,
            local: self.local,
            tls: self.stream.tls_info(),
            session: self.id.to_string(),
            ttl: self.plan.plan.server.proxy_ttl,
        };
        let protocol = self.listener.protocol;
        let request =
            Request { subject: Subject::Passthrough, protocol, client: self.client.ip(), decided_by: None };
        let placement = self.shared.placement.clone();
        let mut dial = PassthroughDial { identity: &identity, protocol };
        let placing = Box::pin(placement.place(&request, &mut dial));
        let placed = match timeout_at(self.deadline, placing).await {
            Ok(Ok(placed)) => placed,
            Ok(Err(refusal)) => {
                self.refuse(&refusal).await;
                return None;
            }
            Err(_) => {
                self.plan.meters.listener(&self.listener.name).refused(ConnectionRefusal::PreauthTimeout);
                tracing::warn!("connection refused: the destination was not ready within preauth_timeout");
                return None;
            }
        };
        let placement::Placed { leg, ticket, destination, plan, .. } = placed;
        tracing::info!(
            client = %identity.client,
            %destination,
            tls = identity.tls.as_ref().map_or("none", |tls| tls.version),
            connect_us = micros(leg.steps.connect),
            greeting_us = micros(leg.steps.greeting),
            "passing through"
        );
        let accounts = self.shared.recorder.accounts();
        let session = BridgedSession {
            client: self.stream,
            backend: leg.connection.stream,
            opening: Opening { to_backend: Vec::new(), to_client: leg.connection.inbox.unread().to_vec() },
            follower: Follower::new(protocol, None),
            limits: Limits::with_idle(plan.plan.server.bridge_idle),
            ledger: Ledger::open(&plan, accounts, &self.listener, ticket, destination),
        };
        Some(Bridged::new(session, protocol, self.slot))
    }

    async fn refuse(&mut self, refusal: &Refusal<Fault>) {
        let fault = match refusal.reason {
            Reason::Dial(fault) => fault,
            _ => Fault::Unreachable,
        };
        let plan = self.shared.placement.current().now();
        let destination = refusal.destination.as_deref().unwrap_or_default();
        plan.meters.leg(self.listener.protocol.name(), destination).fault(fault);
        tracing::warn!(
            client = %self.client,
            destination,
            fault = fault.label(),
            "the destination could not be used for a pass-through"
        );
        // The connection is closed whether the farewell arrives or not.
        let _ = self.stream.write_all(farewell(CloseReason::Unavailable)).await;
        let _ = self.stream.shutdown().await;
    }
}

// === impl PassthroughDial ===

impl Dial for PassthroughDial<'_> {
    type Leg = Leg;
    type Error = Fault;

    async fn dial(&mut self, candidate: &Candidate) -> Result<Leg, Fault> {
        let request = LegRequest {
            protocol: self.protocol,
            client: self.identity,
            client_info: &ClientInfo::default(),
            hostname: &candidate.plan.hostname(self.identity.local),
            deadline: Instant::now() + candidate.backend.timeout(),
        };
        // Boxed: clippy::large_futures; opening a leg holds a TLS handshake.
        let leg = Box::pin(mail_leg::open(&candidate.backend, request)).await?;
        let meter = candidate.plan.meters.leg(self.protocol.name(), &candidate.destination);
        let tls = (!leg.steps.tls.is_zero()).then_some(leg.steps.tls);
        meter.opened(leg.steps.connect, tls, leg.steps.greeting);
        Ok(leg)
    }

    fn can_repeat(&self) -> bool {
        true
    }
}
