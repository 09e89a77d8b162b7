//! `[listener.*]`: where clients connect.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use types::protocol::Protocol;

use crate::name::Name;
use types::network::Network;

/// `[listener.NAME]`.
#[derive(Debug)]
pub struct Listener {
    /// The table's name.
    pub name: Name,
    /// The protocol.
    pub protocol: Protocol,
    /// The addresses to listen on; at least one.
    pub bind: Vec<SocketAddr>,
    /// How it is encrypted.
    pub tls: TlsMode,
    /// Whether a PROXY header is accepted.
    pub proxy_protocol: ProxyIn,
    /// The networks that may send one.
    pub proxy_trusted: Vec<Network>,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once of one address (/64 for IPv6); 0 = no limit.
    pub max_connections_per_ip: usize,
    /// Connections at once of one trusted peer that has not reported the client yet; 0 = no limit.
    pub max_connections_per_front: usize,
    /// From accept to authenticated.
    pub preauth_timeout: Duration,
    /// Failures after which the connection is closed.
    pub max_auth_attempts: u32,
    /// Networks of trusted proxies, which report the real client.
    pub trusted_fronts: Vec<Network>,
    /// HTTP: keep and extend inbound `Forwarded` headers.
    pub trusts_forwarded: bool,
}

/// Encryption of a listener or of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first byte.
    Implicit,
    /// After the protocol's STARTTLS.
    StartTls,
    /// Never.
    Plain,
}

/// `listener.*.proxy_protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyIn {
    /// Not read.
    Off,
    /// Read from trusted peers if there is one.
    Optional,
    /// Required.
    Required,
}

// === impl Listener ===

impl Listener {
    /// Returns whether `peer` may send a PROXY header.
    #[must_use]
    pub fn trusts_balancer(&self, peer: IpAddr) -> bool {
        self.proxy_trusted.iter().any(|network| network.contains(peer))
    }

    /// Returns whether `peer` is a trusted proxy, whose report about the real client is believed.
    #[must_use]
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        self.trusted_fronts.iter().any(|network| network.contains(peer))
    }

    /// Returns whether `peer` may report the client of a connection, by a PROXY header or in the protocol.
    #[must_use]
    pub fn trusts_peer(&self, peer: IpAddr) -> bool {
        (self.proxy_protocol != ProxyIn::Off && self.trusts_balancer(peer)) || self.is_trusted_proxy(peer)
    }

    /// Returns the client that a failed login slows down. A trusted proxy that does not report its client is not
    /// returned: the delay would apply to all of its clients.
    #[must_use]
    pub fn suspect(&self, client: IpAddr) -> Option<IpAddr> {
        let ip = client.to_canonical();
        (!ip.is_loopback() && !self.is_trusted_proxy(ip)).then_some(ip)
    }
}
