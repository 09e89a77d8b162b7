//! The client's side of TLS towards one destination.
//!
//! It exists so that a destination's rule of verification, its names and its resumable sessions stay
//! together. Sessions must never be shared between destinations: a resumed session is not verified again,
//! so it may only ever be used under the rule that it was made under.

use std::fmt;
use std::sync::Arc;

use plan::Destination;
use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::error::TlsError;
use crate::roots::PlatformRoots;
use crate::setup::SetupError;
use crate::verify::Verifier;

/// Does handshakes with one destination. Cheap to clone; clones share their resumable sessions.
#[derive(Clone)]
pub struct Connector {
    pub(crate) tls: TlsConnector,
    /// `tls_server_name`, which wins over the host.
    server_name: Option<ServerName<'static>>,
}

/// Resumable sessions kept per connector: eight tickets for each of eight hosts (the engine's grouping).
const SESSIONS: usize = 64;

// === impl Connector ===

impl Connector {
    /// Builds what `destination` asks for. `alpn` lists application protocols in order of preference; empty
    /// means that the extension is not sent, as mail protocols have it.
    ///
    /// Build one for each leg: services of one host seldom accept each other's session tickets.
    ///
    /// # Errors
    /// When there are no roots to verify by, when roots or client certificate cannot be used, or when
    /// `tls_server_name` cannot be a server's name.
    pub fn new(
        destination: &Destination,
        platform: &PlatformRoots,
        alpn: &[&[u8]],
    ) -> Result<Self, SetupError> {
        // Never the process's default: a library that sets another must not change what is verified here.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new(&destination.verify, platform, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| SetupError::NoCipherSuite { reason: error.to_string() })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &destination.client_certificate {
            Some(own) => builder
                .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
                .map_err(|error| SetupError::ClientCertificate { reason: error.to_string() })?,
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SESSIONS)));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let server_name = destination.tls_server_name.as_deref().map(parse).transpose()?;
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), server_name })
    }

    /// The name for SNI and verification when `host` was connected to.
    pub(crate) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => parse(host),
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn parse(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::BadName { host: host.to_owned() })
}
