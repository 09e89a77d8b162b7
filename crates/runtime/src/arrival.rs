//! From an accepted socket to the client's stream: whose connection it is, and TLS.
//!
//! What must never happen here: an address that is believed from a peer which may not report one, or more TLS
//! handshakes at once than the processors can carry.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use listen::Accepted;
use observe::metrics::ListenerMeter;
use plan::{Listener, TlsMode};
use tls::Stream;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tracing::Span;
use types::outcome::ConnectionRefusal;
use types::session_id::SessionId;

use crate::ActivePlan;

/// Receives clients on behalf of every protocol. Clones share the bound on TLS handshakes.
#[derive(Clone, Debug)]
pub struct Arrival {
    handshakes: Arc<Semaphore>,
}

/// A client whose address is known.
#[derive(Debug)]
pub struct Arrived {
    /// The client's address: the socket's, or the one in the PROXY header of a trusted proxy.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The stream, after the PROXY header.
    pub stream: Stream,
}

/// Why there is no TLS session with a client. The client is gone.
#[derive(Debug, thiserror::Error)]
pub enum NoTls {
    /// The handshake failed.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// The handshake was not complete at the deadline.
    #[error("the TLS handshake was not complete within preauth_timeout")]
    Late,
}

// === impl Arrival ===

impl Arrival {
    /// Allows `handshakes` TLS handshakes at once.
    #[must_use]
    pub fn new(handshakes: usize) -> Self {
        Self { handshakes: Arc::new(Semaphore::new(handshakes)) }
    }

    /// Reads the PROXY header where `listener` expects one. Returns `None` when the connection must not be served;
    /// that is counted and logged.
    pub async fn receive(
        &self,
        listener: &Listener,
        meter: &ListenerMeter,
        mut stream: TcpStream,
        peer: SocketAddr,
        local: SocketAddr,
        deadline: Instant,
    ) -> Option<Arrived> {
        listen::socket::tune(&stream).ok()?;
        let reason = match timeout_at(deadline, listen::origin(&mut stream, listener, peer, local)).await {
            Ok(Ok(origin)) => {
                let stream = Stream::plain(stream, origin.already_read);
                return Some(Arrived { client: origin.client, local: origin.local, stream });
            }
            Ok(Err(reason)) => Some(reason),
            Err(_) => None,
        };
        meter.refused(ConnectionRefusal::ProxyHeader);
        if let Some(suppressed) = meter.allow() {
            match reason {
                Some(reason) => tracing::warn!(%reason, suppressed, "connection refused: PROXY header"),
                None => {
                    tracing::warn!(suppressed, "connection refused: no PROXY header within preauth_timeout");
                }
            }
        }
        None
    }

    /// Does the TLS handshake of a listener with implicit TLS; other listeners' streams are returned as they are.
    /// A failure is counted and logged.
    ///
    /// # Errors
    /// See [`NoTls`].
    pub async fn secure_implicit(
        &self,
        plan: &ActivePlan,
        listener: &Listener,
        stream: Stream,
        deadline: Instant,
    ) -> Result<Stream, NoTls> {
        if listener.tls != TlsMode::Implicit {
            return Ok(stream);
        }
        // Boxed: clippy::large_futures; the handshake's state would be part of every session's future.
        let handshake = timeout_at(deadline, Box::pin(self.handshake(plan, listener, stream)));
        let error = match handshake.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => NoTls::Failed(error),
            Err(_) => NoTls::Late,
        };
        plan.meters.listener(&listener.name).refused(ConnectionRefusal::Tls);
        tracing::debug!(reason = %error, "no TLS session with the client");
        Err(error)
    }

    /// Does the TLS handshake as the server, once one of the bounded places for handshakes is free.
    ///
    /// # Errors
    /// The handshake's; the client is gone.
    pub async fn handshake(
        &self,
        plan: &ActivePlan,
        listener: &Listener,
        stream: Stream,
    ) -> io::Result<Stream> {
        // The semaphore is never closed; if it were, going on without a permit would do no harm.
        let _permit = self.handshakes.acquire().await;
        stream.accept(plan.acceptor(listener)).await
    }
}

/// Returns the span that every log line about a connection carries.
#[must_use]
pub fn span(id: SessionId, listener: &Listener, peer: SocketAddr) -> Span {
    tracing::info_span!(
        "session",
        %id,
        listener = %listener.name,
        protocol = %listener.protocol,
        %peer
    )
}

/// Refuses a connection for lack of room, with `farewell` in the protocol's words, without waiting for anything. On an
/// encrypted connection nothing is sent: a handshake is the very work that there is no room for.
pub fn turn_away(
    plan: &ActivePlan,
    listener: &Listener,
    accepted: &Accepted,
    farewell: impl FnOnce() -> Vec<u8>,
) {
    let refusal = match &accepted.permit {
        Ok(_) => ConnectionRefusal::Draining,
        Err(refusal) => *refusal,
    };
    let meter = plan.meters.listener(&listener.name);
    meter.refused(refusal);
    if let Some(suppressed) = meter.allow() {
        let reason = refusal.label();
        tracing::warn!(listener = %listener.name, peer = %accepted.peer, reason, suppressed, "connection turned away");
    }
    if listener.tls == TlsMode::Implicit {
        return;
    }
    // A fresh socket accepts a line at once; one that does not is closed without it.
    let _ = accepted.stream.try_write(&farewell());
}
