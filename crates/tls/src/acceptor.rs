//! The server's side of TLS towards clients.
//!
//! It exists so that `[tls]` is turned into an engine's configuration in one place. Clients are never asked for a
//! certificate, so a session may be resumed on any listener. A listener that authenticates clients by certificate must
//! never share [`Tickets`] with others.

use std::fmt;
use std::sync::Arc;

use plan::Tls;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ProducesTickets, ResolvesServerCert, ServerSessionMemoryCache, StoresServerSessions};
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};

use crate::certificates::Certificates;
use crate::selection::{ByName, BySni};
use crate::setup::SetupError;

/// Performs handshakes with clients. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    pub(crate) config: Arc<ServerConfig>,
}

/// The state that lets clients resume sessions: the ticket key, which rotates by itself, and a small cache for TLS 1.2
/// clients without tickets. There is one for the whole process, so that a client can resume on every worker and
/// listener, and after a reload.
#[derive(Clone)]
pub struct Tickets {
    ticketer: Arc<dyn ProducesTickets>,
    cache: Arc<dyn StoresServerSessions>,
}

/// Sessions of TLS 1.2 clients without tickets, which are few; each takes about 200 bytes.
const CACHED_SESSIONS: usize = 1024;

// === impl Acceptor ===

impl Acceptor {
    /// Returns an acceptor that selects the certificate by SNI. `alpn` lists application protocols in order of
    /// preference. A client that offers protocols of which none is listed is refused (RFC 7301 section 3.2); a client
    /// that offers none is accepted. An empty `alpn` ignores what the client offers.
    ///
    /// # Errors
    /// When no cipher suite is left for the configured TLS versions.
    pub fn new(
        tls: &Tls,
        certificates: &Arc<Certificates>,
        tickets: &Tickets,
        alpn: &[&[u8]],
    ) -> Result<Self, SetupError> {
        Self::build(tls, Arc::new(BySni(Arc::clone(certificates))), tickets, alpn)
    }

    /// Returns an acceptor that always presents `[tls.certificate.NAME]`, for the admin listener.
    ///
    /// # Errors
    /// When there is no certificate of that name, and as [`Acceptor::new`].
    pub fn named(
        tls: &Tls,
        certificates: &Arc<Certificates>,
        name: &str,
        tickets: &Tickets,
        alpn: &[&[u8]],
    ) -> Result<Self, SetupError> {
        let by_name = ByName::new(certificates, name)?;
        Self::build(tls, Arc::new(by_name), tickets, alpn)
    }

    fn build(
        tls: &Tls,
        resolver: Arc<dyn ResolvesServerCert>,
        tickets: &Tickets,
        alpn: &[&[u8]],
    ) -> Result<Self, SetupError> {
        let provider =
            CryptoProvider { cipher_suites: tls.cipher_suites.clone(), ..aws_lc_rs::default_provider() };
        let versions: &[&SupportedProtocolVersion] =
            if tls.only_tls13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .map_err(|error| SetupError::NoCipherSuite { reason: error.to_string() })?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.ignore_client_order = tls.ignore_client_order;
        config.ticketer = Arc::clone(&tickets.ticketer);
        config.session_storage = Arc::clone(&tickets.cache);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Self { config: Arc::new(config) })
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive()
    }
}

// === impl Tickets ===

impl Tickets {
    /// Generates a ticket key.
    ///
    /// # Errors
    /// When the system's random number generator fails.
    pub fn new() -> Result<Self, SetupError> {
        let ticketer = aws_lc_rs::Ticketer::new().map_err(|_| SetupError::NoRandomness)?;
        Ok(Self { ticketer, cache: ServerSessionMemoryCache::new(CACHED_SESSIONS) })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A resumed session would not prove it: it could come from the cache, which holds few sessions.
    #[test]
    fn acceptors_share_one_ticket_key() {
        let tls = Tls {
            certificates: Vec::new(),
            only_tls13: false,
            ignore_client_order: false,
            cipher_suites: aws_lc_rs::ALL_CIPHER_SUITES.to_vec(),
        };
        let certificates = Certificates::self_signed(&[]).unwrap();
        let tickets = Tickets::new().unwrap();
        let configs = [0, 1].map(|_| {
            let acceptor = Acceptor::new(&tls, &certificates, &tickets, &[]).unwrap();
            acceptor.config
        });
        let sealed = configs[0].ticketer.encrypt(b"a session").unwrap();
        assert_eq!(configs[1].ticketer.decrypt(&sealed).as_deref(), Some(&b"a session"[..]));
        assert!(configs.iter().all(|config| config.ticketer.enabled() && config.max_early_data_size == 0));
    }
}
