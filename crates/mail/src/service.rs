//! One connection from accept to its last log line.

use std::fmt;
use std::sync::Arc;

use listen::Accepted;
use mail_proto::verdict::CloseReason;
use placement::Placement;
use plan::Listener;
use runtime::{ActivePlan, Arrival, LoginRecorder};
use tracing::Instrument;
use types::session_id::SessionId;

use crate::arrived::Arrived;
use crate::bridged::Bridged;
use crate::offers::Offers;
use crate::protocols;
use crate::shared::Shared;

/// Serves the text protocols. Clones share everything.
#[derive(Clone)]
pub struct Service(Shared);

// === impl Service ===

impl Service {
    /// Serves clients that `arrival` receives, places them with `placement` and records their logins with `recorder`.
    #[must_use]
    pub fn new(placement: Placement, arrival: Arrival, recorder: LoginRecorder) -> Self {
        let offers = Arc::new(Offers::new(placement.current().now()));
        Self(Shared { placement, arrival, recorder, offers })
    }

    /// Learns what the servers announce, so that clients are offered what all of them have. Never returns.
    pub async fn learn(self) {
        self.0.learn().await;
    }

    /// Serves one connection of `listener` to its end. `draining` resolves when the proxy begins to drain.
    pub async fn serve(
        self,
        listener: Arc<Listener>,
        accepted: Accepted,
        draining: impl Future<Output = ()> + Send,
    ) {
        let id = SessionId::new();
        let span = runtime::span(id, &listener, accepted.peer);
        let connection = async {
            // Boxed, so that what the login needed is freed before the long wait of the session begins.
            let login = Box::pin(self.log_in(listener, id, accepted, draining));
            if let Some(session) = login.await {
                session.run().await;
            }
        };
        connection.instrument(span).await;
    }

    /// Refuses a connection for lack of room.
    pub fn turn_away(plan: &Arc<ActivePlan>, listener: &Listener, accepted: &Accepted) {
        runtime::turn_away(plan, listener, accepted, || {
            protocols::farewell(listener.protocol, CloseReason::TooBusy)
        });
    }

    /// From accept to a session that may be bridged. Returns `None` when the connection has come to its end.
    async fn log_in(
        self,
        listener: Arc<Listener>,
        id: SessionId,
        accepted: Accepted,
        draining: impl Future<Output = ()> + Send,
    ) -> Option<Bridged> {
        let arrived = Arrived::receive(self.0, listener, id, accepted).await?;
        if arrived.listener.protocol.carries_credentials() {
            let greeted = arrived.greet()?;
            greeted.log_in(draining).await?.bridge()
        } else {
            arrived.pass_through().await
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("placement", &self.0.placement).finish_non_exhaustive()
    }
}
