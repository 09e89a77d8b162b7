//! What every HTTP connection shares, and what is known of one client's connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use placement::Placement;
use plan::{Listener, Name};
use runtime::{ActivePlan, Arrival, LoginRecorder};
use tls::TlsInfo;
use types::session_id::SessionId;
use upstream::ClientIdentity;

use crate::pool::Pool;

/// Serves HTTP. Clones share everything.
#[derive(Clone)]
pub struct Service {
    pub(crate) placement: Placement,
    pub(crate) arrival: Arrival,
    pub(crate) recorder: LoginRecorder,
    pub(crate) pool: Arc<Pool>,
}

/// Accounts whose first request on a connection was logged, with where it went.
type SeenAccounts = Vec<(Arc<str>, Name)>;

/// One client's connection, as its next request finds it.
#[derive(Clone)]
pub(crate) struct HttpConnection {
    pub(crate) service: Service,
    /// The plan in force when the request came; see [`HttpConnection::renew`].
    pub(crate) plan: Arc<ActivePlan>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsInfo>,
    seen: Arc<Mutex<SeenAccounts>>,
}

/// How many accounts of one connection are remembered for the log; a proxy in front of many users is logged more often.
const MAX_SEEN: usize = 64;

// === impl Service ===

impl Service {
    /// Serves clients that `arrival` receives, places their requests with `placement` and records their logins with
    /// `recorder`. Must be called within the runtime.
    #[must_use]
    pub fn new(placement: Placement, arrival: Arrival, recorder: LoginRecorder) -> Self {
        Self { placement, arrival, recorder, pool: Pool::new() }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("placement", &self.placement).finish_non_exhaustive()
    }
}

// === impl HttpConnection ===

impl HttpConnection {
    pub(crate) fn new(
        service: Service,
        plan: Arc<ActivePlan>,
        listener: Arc<Listener>,
        id: SessionId,
        client: SocketAddr,
        local: SocketAddr,
        tls: Option<TlsInfo>,
    ) -> Self {
        Self { service, plan, listener, id, client, local, tls, seen: Arc::default() }
    }

    /// Returns whether a reload has replaced the plan.
    pub(crate) fn is_outdated(&self) -> bool {
        !Arc::ptr_eq(&self.plan, &self.service.placement.current().hold())
    }

    /// Takes over the plan in force. A connection may live for much longer than the plan that it began under, and each
    /// of its requests is routed by itself.
    pub(crate) fn renew(&mut self) {
        if self.is_outdated() {
            self.plan = self.service.placement.current().now();
        }
    }

    /// Returns the client as a backend may learn of it.
    pub(crate) fn identity(&self) -> ClientIdentity {
        ClientIdentity {
            client: self.client,
            local: self.local,
            tls: self.tls.clone(),
            session: self.id.to_string(),
            ttl: self.plan.plan.server.proxy_ttl,
        }
    }

    /// Returns whether this is the first request of `account` to `destination` on this connection.
    pub(crate) fn is_first(&self, account: &Arc<str>, destination: &Name) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|(name, place)| name == account && place == destination) {
            return false;
        }
        if seen.len() >= MAX_SEEN {
            seen.remove(0);
        }
        seen.push((Arc::clone(account), Name::clone(destination)));
        true
    }
}
