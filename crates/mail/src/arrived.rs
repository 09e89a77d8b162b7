//! The first stage: a client whose address is known and whose stream is encrypted, where its listener asks for that.

use std::net::SocketAddr;
use std::sync::Arc;

use listen::Accepted;
use mail_proto::verdict::CloseReason;
use plan::Listener;
use runtime::ActivePlan;
use tls::Stream;
use tokio::time::Instant;
use types::session_id::SessionId;

use crate::protocols;
use crate::shared::Shared;
use crate::slot::Slot;

/// A client that has arrived.
pub(crate) struct Arrived {
    pub(crate) shared: Shared,
    /// The plan in force when it arrived.
    pub(crate) plan: Arc<ActivePlan>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    /// The client's address, by socket or PROXY header.
    pub(crate) client: SocketAddr,
    /// The address that it connected to.
    pub(crate) local: SocketAddr,
    pub(crate) stream: Stream,
    /// When the client must have sent the credential of a login that succeeds.
    pub(crate) deadline: Instant,
    pub(crate) slot: Slot,
}

// === impl Arrived ===

impl Arrived {
    /// Receives a connection. Returns `None` when it must not be served, which is counted and logged.
    pub(crate) async fn receive(
        shared: Shared,
        listener: Arc<Listener>,
        id: SessionId,
        accepted: Accepted,
    ) -> Option<Self> {
        let plan = shared.placement.current().now();
        let meter = Arc::clone(plan.meters.listener(&listener.name));
        let guard = meter.enter();
        let deadline = Instant::now() + listener.preauth_timeout;
        let arrival = shared.arrival.clone();
        let farewell = || protocols::farewell(listener.protocol, CloseReason::TooBusy);
        let arriving = arrival.receive(&listener, &meter, accepted, deadline, farewell);
        let runtime::Arrived { client, local, stream, permit } = arriving.await?;
        let slot = Slot::new(guard, permit);
        let securing = arrival.secure_implicit(&plan, &listener, client.ip(), stream, deadline);
        let stream = securing.await.ok()?;
        Some(Self { shared, plan, listener, id, client, local, stream, deadline, slot })
    }
}
