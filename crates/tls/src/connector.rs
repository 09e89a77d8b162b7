//! The client's side of TLS towards one destination.
//!
//! It exists so that a destination's verification, its names and its resumable sessions stay together. Sessions must
//! never be shared between destinations: a resumed session is not verified again, so it may be used only under the
//! rule that it was established under.

use std::fmt;
use std::sync::Arc;

use plan::Destination;
use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, ClientConfig};

use crate::error::TlsError;
use crate::roots::PlatformRoots;
use crate::setup::SetupError;
use crate::verify::Verifier;

/// Performs handshakes with one destination. Cheap to clone; clones share their resumable sessions.
#[derive(Clone)]
pub struct Connector {
    pub(crate) config: Arc<ClientConfig>,
    /// `tls_server_name`, which overrides the host.
    server_name: Option<ServerName<'static>>,
}

/// Resumable sessions per connector: eight tickets (the engine's number) for each of eight hosts.
const SESSIONS: usize = 64;

// === impl Connector ===

impl Connector {
    /// Returns a connector with the settings of `destination`. `alpn` lists application protocols in order of
    /// preference; when it is empty, the extension is not sent.
    ///
    /// Build one for each leg: the services of a host rarely accept each other's session tickets.
    ///
    /// # Errors
    /// When there are no roots to verify with, when the roots or the client certificate cannot be used, or when
    /// `tls_server_name` is not a server name.
    pub fn new(
        destination: &Destination,
        platform: &PlatformRoots,
        alpn: &[&[u8]],
    ) -> Result<Self, SetupError> {
        // Never the process's default: a library that installs another one must not change the verification here.
        let provider = Arc::new(provider());
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
        Ok(Self { config: Arc::new(config), server_name })
    }

    /// Returns the name for SNI and verification on a connection to `host`.
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

/// Returns the provider with the suites of AES-128 and SHA-256 first: AES-128 takes 10 rounds where AES-256 takes 14, and
/// processors have instructions for SHA-256 but not for SHA-384. Most servers take the client's first suite.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| {
        !matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    });
    provider
}

fn parse(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::BadName { host: host.to_owned() })
}
