//! `[destination.*]`: the mail servers, and how each of their protocols is reached.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use types::protocol::Protocol;

use crate::listener::TlsMode;
use crate::name::Name;

/// `[destination.NAME]`.
#[derive(Debug)]
pub struct Destination {
    /// The table's name.
    pub name: Name,
    /// Host names or addresses, tried in order; at least one.
    pub hosts: Vec<String>,
    /// Name for SNI and verification; `None` = the host (a name, then).
    pub tls_server_name: Option<String>,
    /// How its certificate is verified.
    pub verify: Verify,
    /// The client certificate for servers that require one.
    pub client_certificate: Option<Arc<ClientCertificate>>,
    /// HTTP: add `Forwarded` headers.
    pub adds_forwarded: bool,
    /// Credentials may cross a plain leg.
    pub allow_plaintext_auth: bool,
    /// Replace the text of the backend for a failed login.
    pub hide_auth_errors: bool,
    /// What the server accepts in login names in place of `@`.
    pub login_domain_separator: Option<String>,
    /// Local addresses to connect from.
    pub source_ips: Vec<IpAddr>,
    /// Add TLVs to the PROXY header.
    pub proxy_tlvs: bool,
    /// Active checks; `None` = off.
    pub health_interval: Option<Duration>,
    /// `protocol.*`, by [`Protocol::index`].
    pub legs: [Option<Leg>; Protocol::ALL.len()],
}

/// How a destination's certificate is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// By the platform's roots.
    Platform,
    /// By these roots alone.
    Roots(Vec<CertificateDer<'static>>),
    /// Exactly one of these leaf certificates, by SHA-256.
    Pins(Vec<[u8; 32]>),
    /// None.
    Nothing,
}

/// `tls_client_cert` and `tls_client_key`.
#[derive(Debug)]
pub struct ClientCertificate {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Belongs to the leaf. (rustls redacts its debug form.)
    pub key: PrivateKeyDer<'static>,
}

/// `[destination.NAME.protocol.PROTO]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leg {
    /// TCP port.
    pub port: u16,
    /// Encryption.
    pub tls: TlsMode,
    /// How client data is forwarded, with the override resolved.
    pub forwarding: Forwarding,
    /// HTTP: speak HTTP/2.
    pub http2: bool,
}

/// How a backend learns who the client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// PROXY v2 before any other byte.
    Proxy,
    /// XCLIENT, IMAP `ID`.
    Xclient,
    /// None.
    None,
}

// === impl Destination ===

impl Destination {
    /// Returns a server that is not in a configuration, at `host`, without forwarding and without legs.
    #[must_use]
    pub fn outside(name: impl Into<Name>, host: impl Into<String>, verify: Verify) -> Self {
        Self {
            name: name.into(),
            hosts: vec![host.into()],
            tls_server_name: None,
            verify,
            client_certificate: None,
            adds_forwarded: false,
            allow_plaintext_auth: false,
            hide_auth_errors: false,
            login_domain_separator: None,
            source_ips: Vec::new(),
            proxy_tlvs: false,
            health_interval: None,
            legs: [None; Protocol::ALL.len()],
        }
    }

    /// Returns the leg for a protocol, if the destination has one.
    #[must_use]
    pub fn leg(&self, protocol: Protocol) -> Option<&Leg> {
        self.legs[protocol.index()].as_ref()
    }
}
