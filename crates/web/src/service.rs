//! What every HTTP connection of a plan shares, and what is known of one client.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mail::{Context, Current};
use observe::SessionId;
use plan::{Listener, Name};
use sessions::{LoginTicket, SessionTicket, Unconfirmed};
use tls::{Acceptor, Certificates, SetupError, TlsInfo};
use upstream::ClientIdentity;

use crate::pool::Pool;

/// HTTP as one plan has it. A reload makes a new one; what waits in the old one's pool is closed.
pub struct Service {
    pub(crate) context: Arc<Context>,
    pub(crate) acceptor: Acceptor,
    pub(crate) pool: Arc<Pool>,
}

/// Accounts whose first request on a connection was logged, with where they went.
type Seen = Vec<(Arc<str>, Name)>;

/// H1Client client's connection, as its next request meets it.
#[derive(Clone)]
pub(crate) struct HttpConnection {
    current: Current<Service>,
    /// What was in force when the request came; see [`HttpConnection::renew`].
    pub(crate) service: Arc<Service>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) id: SessionId,
    pub(crate) client: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsInfo>,
    seen: Arc<Mutex<Seen>>,
}

/// Accounts of one connection that are remembered for the log; a front for many users has a line more often.
const MAX_SEEN: usize = 64;

// === impl Service ===

impl Service {
    /// HTTP by the plan of `context`. Must be called within the runtime.
    ///
    /// # Errors
    /// When TLS towards clients cannot be set up.
    pub fn new(context: Arc<Context>, certificates: &Arc<Certificates>) -> Result<Self, SetupError> {
        let (plan, tickets) = (&context.plan, &context.live.tickets);
        let acceptor = Acceptor::new(&plan.tls, certificates, tickets, &[b"h2", b"http/1.1"])?;
        Ok(Self { context, acceptor, pool: Pool::new() })
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("context", &self.context).finish_non_exhaustive()
    }
}

// === impl HttpConnection ===

impl HttpConnection {
    pub(crate) fn new(
        current: Current<Service>,
        listener: Arc<Listener>,
        id: SessionId,
        (client, local): (SocketAddr, SocketAddr),
        tls: Option<TlsInfo>,
    ) -> Self {
        let service = current.now();
        Self { current, service, listener, id, client, local, tls, seen: Arc::default() }
    }

    /// Whether a reload has replaced what this visit knows.
    pub(crate) fn is_outdated(&self) -> bool {
        !Arc::ptr_eq(&self.service, &self.current.hold())
    }

    /// Takes what is in force: a connection may live for much longer than the plan that it began under, and each
    /// of its requests is routed for itself.
    pub(crate) fn renew(&mut self) {
        if self.is_outdated() {
            self.service = self.current.now();
        }
    }

    /// Makes a request a session at the desk, by what it was routed by. `None`: that is in force no longer.
    pub(crate) fn confirm(
        &self,
        ticket: LoginTicket,
        destination: &Name,
    ) -> Option<Result<SessionTicket, Unconfirmed>> {
        let held = self.current.hold();
        Arc::ptr_eq(&held, &self.service).then(|| ticket.confirm(Arc::clone(destination)))
    }

    /// The client as a backend may learn of it.
    pub(crate) fn client_identity(&self) -> ClientIdentity {
        ClientIdentity {
            client: self.client,
            local: self.local,
            tls: self.tls.clone(),
            session: self.id.to_string(),
            ttl: self.service.context.plan.server.proxy_ttl,
        }
    }

    /// Whether this is the first request of `account` to `destination` on this connection.
    pub(crate) fn is_first(&self, account: &Arc<str>, destination: &Name) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.iter().any(|(name, permit)| name == account && permit == destination) {
            return false;
        }
        if seen.len() >= MAX_SEEN {
            seen.remove(0);
        }
        seen.push((Arc::clone(account), Name::clone(destination)));
        true
    }
}
