//! One client's connection: the facts that all of its requests share.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use listen::Permit;
use plan::{Listener, Name};
use runtime::ActivePlan;
use tls::TlsInfo;
use tokio::sync::Notify;
use types::outcome::{ConnectionRefusal, LoginResult};
use types::session_id::SessionId;
use upstream::ClientIdentity;

use crate::memory::{ConnectionMemory, MemoryFull};
use crate::service::Service;

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
    /// What the unanswered requests of this connection hold.
    pub(crate) memory: Arc<ConnectionMemory>,
    /// Notified once, at the first login on this connection.
    pub(crate) logged_in: Arc<Notify>,
    logged: Arc<Mutex<Vec<LoggedAccount>>>,
}

/// A login on this connection that was logged.
struct LoggedAccount {
    account: Arc<str>,
    destination: Name,
    /// The fingerprint of the credential that the destination accepted last.
    credential: u64,
}

/// How many accounts of one connection are remembered as logged. The logins of a front with more users than that are
/// logged more often.
const MAX_LOGGED: usize = 64;

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
        let http = &plan.plan.http;
        let network = if listener.is_trusted_proxy(client.ip()) { None } else { Some(client.ip()) };
        let limiter = Arc::clone(&service.memory);
        let memory = ConnectionMemory::new(limiter, network, http.max_head_size, http.body_extract_cap);
        Self {
            service,
            plan,
            listener,
            id,
            client,
            local,
            tls,
            memory: Arc::new(memory),
            logged_in: Arc::default(),
            logged: Arc::default(),
        }
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

    /// Writes the log line of a failed login.
    pub(crate) fn log_failure(&self, account: &[u8], reason: LoginResult) {
        self.service.recorder.log_failure(self.id, &self.listener, self.client.ip(), account, reason);
    }

    /// Counts a request in progress, under the listener's limits on connections: over HTTP/2, too, a client network
    /// gets no more connections to backends than it may have connections here.
    ///
    /// # Errors
    /// Returns the limit that is reached.
    pub(crate) fn admit_request(&self) -> Result<Permit, ConnectionRefusal> {
        let client = self.client.ip();
        let per_ip =
            if self.listener.is_trusted_proxy(client) { 0 } else { self.listener.max_connections_per_ip };
        self.service.requests.take(client, self.listener.max_connections, per_ip)
    }

    /// Logs that a request may not hold more memory.
    pub(crate) fn log_full(&self, full: MemoryFull) {
        self.log_refusal(&full.to_string());
    }

    /// Writes the log line of a refused request, within the listener's budget of lines.
    pub(crate) fn log_refusal(&self, reason: &str) {
        if let Some(suppressed) = self.plan.meters.listener(&self.listener.name).allow() {
            tracing::info!(reason, suppressed, "request refused");
        }
    }

    /// Notes that `destination` has accepted a credential of `account`, and returns whether that is the account's first
    /// login there on this connection.
    pub(crate) fn is_first_login(&self, account: &Arc<str>, destination: &Name, credential: u64) -> bool {
        let mut logged = self.logged();
        let known = logged.iter_mut().find(|it| it.account == *account && it.destination == *destination);
        if let Some(known) = known {
            known.credential = credential;
            return false;
        }
        if logged.len() >= MAX_LOGGED {
            logged.remove(0);
        }
        let account = Arc::clone(account);
        logged.push(LoggedAccount { account, destination: Name::clone(destination), credential });
        true
    }

    /// Returns whether a destination has accepted the credential on this connection: then it is not a guess.
    pub(crate) fn has_verified(&self, credential: u64) -> bool {
        self.logged().iter().any(|it| it.credential == credential)
    }

    fn logged(&self) -> MutexGuard<'_, Vec<LoggedAccount>> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
