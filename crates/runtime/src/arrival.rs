//! From an accepted socket to the client's stream: the client's address, the limit of its network, and TLS.
//!
//! What must never happen here: an address is believed from a peer that may not report one, or a balancer is counted as
//! the client of the connections that it forwards.

use listen::{Accepted, Permit};
use observe::metrics::ListenerMeter;
use plan::{Listener, TlsMode};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tls::Stream;
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout_at};
use tracing::Span;
use types::outcome::ConnectionRefusal;
use types::session_id::SessionId;

use crate::ActivePlan;
use crate::handshakes::Handshakes;

/// Receives clients on behalf of every protocol. Clones share the permits for TLS handshakes.
#[derive(Clone, Debug)]
pub struct Arrival {
    handshakes: Handshakes,
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
    /// The connection's permit, which now counts for the client's network.
    pub permit: Permit,
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
    /// Allows `handshakes` TLS handshakes to compute at once.
    #[must_use]
    pub fn new(handshakes: usize) -> Self {
        Self { handshakes: Handshakes::new(handshakes) }
    }

    /// Reads the PROXY header where `listener` expects one, and counts the connection for the client that it reports.
    /// Returns `None` when the connection must not be served; that is counted and logged. A client that has reached its
    /// limit is sent `farewell`, in the protocol's words.
    pub async fn receive(
        &self,
        listener: &Listener,
        meter: &ListenerMeter,
        accepted: Accepted,
        deadline: Instant,
        farewell: impl FnOnce() -> Vec<u8> + Send,
    ) -> Option<Arrived> {
        let Accepted { mut stream, peer, local, permit, .. } = accepted;
        let mut permit = permit.ok()?;
        listen::socket::tune(&stream).ok()?;
        let reason = match timeout_at(deadline, listen::origin(&mut stream, listener, peer, local)).await {
            Ok(Ok(origin)) => {
                let counted = if origin.is_reported {
                    count_for(&mut permit, listener, origin.client.ip())
                } else {
                    Ok(())
                };
                let mut stream = Stream::plain(stream, origin.already_read);
                if let Err(refusal) = counted {
                    log_refusal(listener, meter, origin.client, refusal);
                    if listener.tls != TlsMode::Implicit {
                        // The connection is closed whether the farewell arrives or not.
                        let _ = timeout_at(deadline, stream.write_all(&farewell())).await;
                    }
                    return None;
                }
                return Some(Arrived { client: origin.client, local: origin.local, stream, permit });
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
        client: IpAddr,
        stream: Stream,
        deadline: Instant,
    ) -> Result<Stream, NoTls> {
        if listener.tls != TlsMode::Implicit {
            return Ok(stream);
        }
        // Boxed: clippy::large_futures; the handshake's state would be part of every session's future.
        let handshake = timeout_at(deadline, Box::pin(self.handshake(plan, listener, client, stream)));
        let error = match handshake.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => NoTls::Failed(error),
            Err(_) => NoTls::Late,
        };
        plan.meters.listener(&listener.name).refused(ConnectionRefusal::Tls);
        tracing::debug!(reason = %error, "no TLS session with the client");
        Err(error)
    }

    /// Does the TLS handshake with the client at `client` as the server. It waits for the client's first byte without
    /// any state of the TLS engine, and computes while the permits of its network allow it.
    ///
    /// # Errors
    /// The handshake's; the client is gone.
    pub async fn handshake(
        &self,
        plan: &ActivePlan,
        listener: &Listener,
        client: IpAddr,
        stream: Stream,
    ) -> io::Result<Stream> {
        stream.readable().await?;
        self.handshakes.run(client, stream.accept(plan.acceptor(listener))).await
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

/// Counts a connection for the client, or for the front, that a trusted peer has reported.
fn count_for(permit: &mut Permit, listener: &Listener, client: IpAddr) -> Result<(), ConnectionRefusal> {
    if listener.is_trusted_proxy(client) {
        permit.count_for_front(client, listener.max_connections_per_front)
    } else {
        permit.count_for_client(client, listener.max_connections_per_ip)
    }
}

/// Counts and logs a connection that is refused by a limit.
pub fn log_refusal(
    listener: &Listener,
    meter: &ListenerMeter,
    client: SocketAddr,
    refusal: ConnectionRefusal,
) {
    meter.refused(refusal);
    if let Some(suppressed) = meter.allow() {
        let reason = refusal.label();
        tracing::warn!(listener = %listener.name, peer = %client, reason, suppressed, "connection turned away");
    }
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
    log_refusal(listener, plan.meters.listener(&listener.name), accepted.peer, refusal);
    if listener.tls == TlsMode::Implicit {
        return;
    }
    // A fresh socket accepts a line at once; one that does not is closed without it.
    let _ = accepted.stream.try_write(&farewell());
}
