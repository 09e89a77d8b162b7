//! What goes wrong in TLS, in words: what was found, what was expected, how to mend it.
//!
//! The person who reads these lines has a backend's certificate to judge and seldom a packet dump. An error
//! must never hold anything but public facts: names, hashes of certificates, alerts.

use std::fmt;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use crate::words::{alert_name, bare, between, hex, incompatible, list, remedy, span};

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
        /// The alert's name (RFC 8446 section 6), e.g. `certificate_required`.
        alert: String,
    },
    /// No version, suite or algorithm in common.
    #[error(
        "too little in common with the server: {reason}; it has to offer TLS 1.2 or 1.3 with forward secrecy"
    )]
    Incompatible {
        /// The engine's words.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection broke in the handshake: {0}")]
    Io(io::Error),
    /// A breach of the protocol.
    #[error("the handshake failed: {reason}")]
    Protocol {
        /// The engine's words.
        reason: String,
    },
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
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Self::NotTls,
            rustls::Error::AlertReceived(alert) => Self::Refused { alert: alert_name(alert) },
            rustls::Error::PeerIncompatible(reason) => Self::Incompatible { reason: incompatible(&reason) },
            other => Self::Protocol { reason: other.to_string() },
        }
    }

    fn of_certificate(cause: CertificateError) -> Self {
        match cause {
            CertificateError::NotValidForNameContext { expected, presented } => Self::NameMismatch {
                expected: expected.to_str().into_owned(),
                found: presented.iter().map(|name| bare(name).to_owned()).collect(),
            },
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
            format!("too little in common with the client: {}", incompatible(&reason))
        }
        other => format!("the TLS handshake failed: {other}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, words)
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn alerts_have_their_rfc_names_and_a_remedy() {
        for (alert, expected) in [
            (AlertDescription::ProtocolVersion, "protocol_version; it has to offer TLS 1.2 or 1.3"),
            (
                AlertDescription::UnrecognisedName,
                "unrecognized_name; it does not know the host name: check tls_server_name",
            ),
            (
                AlertDescription::UnknownCA,
                "unknown_ca; it does not accept our client certificate: check tls_client_cert and the server's \
                 authorities",
            ),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
            (AlertDescription::Unknown(200), "200"),
        ] {
            let error = TlsError::of_engine(rustls::Error::AlertReceived(alert));
            assert_eq!(
                error.to_string(),
                format!("the server refused the handshake with the alert {expected}")
            );
        }
    }
}
