//! Errors of the TLS configuration.
//!
//! The operator fixes them, at start or at a reload. They must never occur in a session.

use crate::error::TlsError;

/// Why an [`Acceptor`](crate::Acceptor), a [`Connector`](crate::Connector) or a table of certificates could
/// not be built.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `tls_ca` is unset, and the platform has no readable roots.
    #[error(
        "no root certificates were found on this host ({reason}), so no backend can be verified; install the \
         package ca-certificates, or set tls_ca"
    )]
    NoPlatformRoots {
        /// The cause.
        reason: String,
    },
    /// A certificate of `tls_ca` cannot be used as a root.
    #[error("a certificate of tls_ca cannot be used as a root: {reason}; remove it from the file")]
    BadRoot {
        /// The engine's message.
        reason: String,
    },
    /// `tls_client_cert` and `tls_client_key` cannot be used.
    #[error(
        "tls_client_cert and tls_client_key cannot be used: {reason}; expected a chain, leaf first, and its key"
    )]
    ClientCertificate {
        /// The engine's message.
        reason: String,
    },
    /// `[tls.protocols]` leaves no cipher suite.
    #[error(
        "no cipher suite is left for the configured TLS versions: {reason}; shorten \
         tls.protocols.disable_cipher_suites or lower tls.protocols.min_version"
    )]
    NoCipherSuite {
        /// The engine's message.
        reason: String,
    },
    /// There is no certificate of that name.
    #[error("[tls.certificate.{name}] does not exist; add it, or use the name of one that does")]
    NoSuchCertificate {
        /// The configured name.
        name: String,
    },
    /// The self-signed certificate could not be generated.
    #[error("the self-signed certificate could not be generated: {reason}; configure a [tls.certificate]")]
    SelfSigned {
        /// The generator's message.
        reason: String,
    },
    /// `tls_server_name` is not a server name.
    #[error(transparent)]
    BadName(#[from] TlsError),
    /// The system's random number generator failed.
    #[error(
        "the system's random number generator failed, so no session tickets can be issued; check /dev/urandom"
    )]
    NoRandomness,
}
