//! What a backend may learn of a client, and how long each step towards the backend took.

use std::net::SocketAddr;
use std::time::Duration;

use tls::TlsInfo;

/// The client, as far as a backend may learn of it.
#[derive(Debug, Clone)]
pub struct ClientIdentity {
    /// The client's address: the real one, also behind a trusted proxy or a PROXY header.
    pub client: SocketAddr,
    /// The address that the client connected to.
    pub local: SocketAddr,
    /// The encryption of the client's connection.
    pub tls: Option<TlsInfo>,
    /// The session's id.
    pub session: String,
    /// How many more proxies the connection may pass through.
    pub ttl: u8,
}

/// How long the steps towards a backend took.
#[derive(Debug, Default, Clone, Copy)]
pub struct Steps {
    /// Resolving the name and connecting, all attempts included.
    pub connect: Duration,
    /// The TLS handshake, implicit or by STARTTLS.
    pub tls: Duration,
    /// From connected to ready for a credential, without TLS.
    pub greeting: Duration,
}
