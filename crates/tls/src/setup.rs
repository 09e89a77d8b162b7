//! What keeps an acceptor, a connector or a table of certificates from being built, in words.
//!
//! These errors are the operator's to mend, at start or at a reload. They must never be met in a session.

use crate::error::TlsError;

/// Why an [`Acceptor`](crate::Acceptor), a [`Connector`](crate::Connector) or a table of certificates could
/// not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `tls_ca` is unset, and the platform has no roots that can be read.
    #[error(
        "no root certificates were found on this host ({reason}), so that no backend could be verified; \
         install the package ca-certificates, or name the roots with tls_ca"
    )]
    NoPlatformRoots {
        /// What the search found.
        reason: String,
    },
    /// A certificate of `tls_ca` cannot be a root.
    #[error("a certificate of tls_ca cannot be used as a root: {reason}; leave it out of the file")]
    BadRoot {
        /// The engine's words.
        reason: String,
    },
    /// `tls_client_cert` and `tls_client_key` cannot be used.
    #[error(
        "tls_client_cert and tls_client_key cannot be used: {reason}; give a chain, leaf first, and its key"
    )]
    ClientCertificate {
        /// The engine's words.
        reason: String,
    },
    /// The versions and cipher suites of `[tls.protocols]` leave nothing to agree on.
    #[error(
        "no cipher suite is left for the TLS versions in use: {reason}; shorten \
         tls.protocols.disable_cipher_suites or lower min_version"
    )]
    NoCipherSuite {
        /// The engine's words.
        reason: String,
    },
    /// There is no certificate of that name.
    #[error("there is no [tls.certificate.{name}]; add it, or name one that exists")]
    NoSuchCertificate {
        /// As asked for.
        name: String,
    },
    /// The self-signed certificate could not be made.
    #[error("the self-signed certificate could not be made: {reason}; configure a [tls.certificate]")]
    SelfSigned {
        /// The generator's words.
        reason: String,
    },
    /// `tls_server_name` cannot be a server's name.
    #[error(transparent)]
    BadName(#[from] TlsError),
    /// The system gave no randomness.
    #[error("the system gave no randomness for session tickets; is /dev/urandom there?")]
    NoRandomness,
}
