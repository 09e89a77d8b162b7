//! Serves a connection, from accept to the HTTP version that is spoken on it.

use std::sync::Arc;

use http_proto::{Framing, write_response};
use listen::Accepted;
use plan::Listener;
use runtime::{ActivePlan, Arrived};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use types::session_id::SessionId;

use crate::connection::HttpConnection;
use crate::local_reply::LocalReply;
use crate::service::Service;
use crate::{h1_server, h2_server};

// === impl Service ===

impl Service {
    /// Serves one connection of `listener` to its end. `draining` is cancelled when the proxy begins to drain.
    pub async fn serve(self, listener: Arc<Listener>, accepted: Accepted, draining: CancellationToken) {
        let id = SessionId::new();
        let span = runtime::span(id, &listener, accepted.peer);
        self.serve_connection(listener, id, accepted, draining).instrument(span).await;
    }

    /// Refuses a connection for lack of room.
    pub fn turn_away(plan: &ActivePlan, listener: &Listener, accepted: &Accepted) {
        runtime::turn_away(plan, listener, accepted, busy_response);
    }

    async fn serve_connection(
        self,
        listener: Arc<Listener>,
        id: SessionId,
        accepted: Accepted,
        draining: CancellationToken,
    ) {
        let plan = self.placement.current().now();
        let deadline = Instant::now() + listener.preauth_timeout;
        let meter = Arc::clone(plan.meters.listener(&listener.name));
        let _guard = meter.enter();
        let arrival = self.arrival.clone();
        let arriving = arrival.receive(&listener, &meter, accepted, deadline, busy_response);
        // The permit and the guard count the connection until this function returns.
        let Some(arrived) = arriving.await else { return };
        let Arrived { client, local, stream, permit: _permit } = arrived;
        let securing = arrival.secure_implicit(&plan, &listener, client.ip(), stream, deadline);
        let Ok(stream) = securing.await else { return };
        let tls = stream.tls_info();
        let is_h2 = tls.as_ref().is_some_and(|tls| tls.alpn.as_deref() == Some(b"h2"));
        let connection = HttpConnection::new(self, plan, listener, id, client, local, tls);
        // Boxed: the futures of the two versions differ much in size.
        if is_h2 {
            Box::pin(h2_server::serve(connection, stream, deadline, draining)).await;
        } else {
            Box::pin(h1_server::serve(connection, stream, deadline, draining)).await;
        }
    }
}

/// Returns the response to a client when a limit on connections is reached.
fn busy_response() -> Vec<u8> {
    let (mut head, body) = LocalReply::BUSY.into_response();
    head.fields.push(&b"Connection"[..], &b"close"[..]);
    let mut response = Vec::new();
    write_response(&mut response, &head, Framing::Length(body.len() as u64));
    response.extend_from_slice(&body);
    response
}
