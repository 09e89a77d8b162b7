//! What goes wrong in TLS, in words: what was found, what was expected, how to mend it.
//!
//! The person who reads these lines has a backend's certificate to judge and seldom a packet dump. An error
//! must never hold anything but public facts: names, hashes of certificates, alerts.

use std::fmt::{self, Write as _};
use std::io;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

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

/// Why a TLS handshake with a backend failed. Nothing but the handshake has been sent to it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS was to be started twice: a mistake of this program.
    #[error("the connection is encrypted already")]
    AlreadyEncrypted,
    /// The host is neither a DNS name nor an address.
    #[error(
        "`{host}` cannot be a server name: it is neither a DNS name nor an IP address; set tls_server_name \
         (internationalised names in their xn-- form)"
    )]
    BadName {
        /// As given.
        host: String,
    },
    /// The chain does not lead to a root.
    #[error(
        "the certificate is not issued by a known authority; name its authority with tls_ca, or, if SHA-256 \
         {sha256} is what the server shows on its own host, pin it with tls_pinned_cert_sha256"
    )]
    UnknownIssuer {
        /// Of the leaf, in lower-case hex.
        sha256: String,
    },
    /// The certificate is for other names.
    #[error(
        "the certificate is not for `{expected}` but for {}; set tls_server_name to a name it has, or renew it \
         with this one",
        list(found)
    )]
    NameMismatch {
        /// What was asked for.
        expected: String,
        /// Its subject alternative names, perhaps none.
        found: Vec<String>,
    },
    /// Not one of the pinned certificates.
    #[error(
        "the certificate's SHA-256 is {found}, which is not pinned; if it was renewed, add that to \
         tls_pinned_cert_sha256, else somebody stands in between"
    )]
    PinMismatch {
        /// Of the leaf, in lower-case hex.
        found: String,
    },
    /// Past its validity.
    #[error("the certificate expired {} ago; renew it on the backend (or set this host's clock)", span(*seconds))]
    Expired {
        /// Since when.
        seconds: u64,
    },
    /// Before its validity.
    #[error("the certificate becomes valid only in {}; check the clocks of both hosts", span(*seconds))]
    NotValidYet {
        /// Until then.
        seconds: u64,
    },
    /// Another reason to refuse the certificate.
    #[error(
        "the certificate cannot be accepted: {reason}; replace it, or, if SHA-256 {sha256} is what the server \
         shows on its own host, pin it with tls_pinned_cert_sha256"
    )]
    BadCertificate {
        /// The engine's words.
        reason: String,
        /// Of the leaf, in lower-case hex.
        sha256: String,
    },
    /// The backend's signature in the handshake is wrong: it does not have the certificate's key.
    #[error("the server could not prove that it has its certificate's key: {reason}; check its key file")]
    BadSignature {
        /// The engine's words.
        reason: String,
    },
    /// Something else than TLS came.
    #[error(
        "what the server sent is not TLS; is the port one for cleartext or STARTTLS? Then set \
         tls = \"starttls\""
    )]
    NotTls,
    /// The backend refused the handshake.
    #[error("the server refused the handshake with the alert {alert}{}", remedy(alert))]
    Refused {
        /// The alert's name (RFC 8446 section 6), e.g. `CertificateRequired`.
        alert: String,
    },
    /// No version, suite or algorithm in common.
    #[error(
        "nothing in common with the server: {reason}; it has to offer TLS 1.2 or 1.3 with forward secrecy"
    )]
    Incompatible {
        /// The engine's words.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection broke in the handshake: {0}")]
    Io(io::Error),
    /// A breach of the protocol.
    #[error("the handshake failed: {0}")]
    Protocol(rustls::Error),
}

/// A verdict that rustls has no room for, carried through it to [`TlsError`].
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The leaf is not pinned.
    Pin { found: [u8; 32] },
    /// The chain was refused for `cause`.
    Chain { cause: CertificateError, sha256: [u8; 32] },
}

// === impl TlsError ===

impl TlsError {
    /// Puts into words what a handshake with a backend ended with, or the first read after it: in TLS 1.3 a
    /// server judges our certificate when the handshake is over for us (RFC 8446 section 4.4.2.4).
    #[must_use]
    pub fn of_backend(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(error) => Self::of_engine(error),
            Err(error) => Self::Io(error),
        }
    }

    fn of_engine(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(cause) => Self::of_certificate(cause),
            rustls::Error::InvalidMessage(_) | rustls::Error::PeerSentOversizedRecord => Self::NotTls,
            rustls::Error::AlertReceived(alert) => Self::Refused { alert: alert_name(alert) },
            rustls::Error::PeerIncompatible(reason) => Self::Incompatible { reason: incompatible(&reason) },
            other => Self::Protocol(other),
        }
    }

    fn of_certificate(cause: CertificateError) -> Self {
        match cause {
            CertificateError::NotValidForNameContext { expected, presented } => {
                Self::NameMismatch { expected: expected.to_str().into_owned(), found: presented }
            }
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { seconds: between(not_after, time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotValidYet { seconds: between(time, not_before) }
            }
            CertificateError::Other(other) => match other.0.downcast_ref::<Refusal>() {
                Some(Refusal::Pin { found }) => Self::PinMismatch { found: hex(found) },
                Some(Refusal::Chain { cause: CertificateError::UnknownIssuer, sha256 }) => {
                    Self::UnknownIssuer { sha256: hex(sha256) }
                }
                Some(Refusal::Chain { cause, sha256 }) => {
                    Self::BadCertificate { reason: cause.to_string(), sha256: hex(sha256) }
                }
                None => Self::BadSignature { reason: other.to_string() },
            },
            // Every verdict on the chain comes as a `Refusal`: what is left is about the handshake.
            other => Self::BadSignature { reason: other.to_string() },
        }
    }
}

// === impl Refusal ===

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pin { found } => write!(f, "the certificate {} is not pinned", hex(found)),
            Self::Chain { cause, sha256 } => write!(f, "the certificate {}: {cause}", hex(sha256)),
        }
    }
}

impl std::error::Error for Refusal {}

/// Puts into words what a handshake as server ended with.
pub(crate) fn of_client(error: io::Error) -> io::Error {
    let kind = error.kind();
    let Ok(error) = error.downcast::<rustls::Error>() else {
        return io::Error::new(kind, "the client closed the connection in the TLS handshake");
    };
    let words = match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | rustls::Error::InappropriateMessage { .. } => {
            "the client does not speak TLS here; is it set to cleartext or STARTTLS?".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the client refused the handshake with the alert {}", alert_name(alert))
        }
        rustls::Error::PeerIncompatible(reason) => {
            format!("nothing in common with the client: {}", incompatible(&reason))
        }
        other => format!("the TLS handshake failed: {other}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn incompatible(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::ServerDoesNotSupportTls12Or13 => format!("TLS version ({reason:?})"),
        PeerIncompatible::NoCipherSuitesInCommon => "cipher suites".to_owned(),
        other => format!("{other:?}"),
    }
}

fn alert_name(alert: AlertDescription) -> String {
    alert.as_str().map_or_else(|| u8::from(alert).to_string(), str::to_owned)
}

/// What to do about an alert, where it is known.
fn remedy(alert: &str) -> &'static str {
    match alert {
        "CertificateRequired" => "; it wants a client certificate: set tls_client_cert and tls_client_key",
        "UnknownCA" | "BadCertificate" | "CertificateUnknown" | "CertificateExpired" | "AccessDenied" => {
            "; it does not accept our client certificate: check tls_client_cert and the server's authorities"
        }
        "UnrecognisedName" => "; it does not know the host name: check tls_server_name",
        "ProtocolVersion" | "InsufficientSecurity" => "; it has to offer TLS 1.2 or 1.3",
        "HandshakeFailure" => {
            "; perhaps it wants a client certificate, or offers only outdated cipher suites"
        }
        _ => "",
    }
}

fn list(names: &[String]) -> String {
    /// Names shown; a certificate may have hundreds.
    const SHOWN: usize = 8;
    if names.is_empty() {
        return "no host name at all".to_owned();
    }
    let mut text = names.iter().take(SHOWN).map(|name| name.escape_default().to_string()).collect::<Vec<_>>();
    if names.len() > SHOWN {
        text.push(format!("{} more", names.len() - SHOWN));
    }
    text.join(", ")
}

fn between(earlier: UnixTime, later: UnixTime) -> u64 {
    later.as_secs().saturating_sub(earlier.as_secs())
}

fn span(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} minutes", seconds / 60),
        7_200..172_800 => format!("{} hours", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Lower-case hex, as `tls_pinned_cert_sha256` takes it.
pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
