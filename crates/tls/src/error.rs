//! Errors of TLS handshakes: what was found, what was expected, how to fix it.
//!
//! The reader has to decide about a backend's certificate and rarely has a packet capture. An error must never hold
//! anything but public facts: names, hashes of certificates, alerts.

use std::fmt;
use std::io;

use rustls::{CertificateError, InvalidMessage};

use crate::describe::{
    alert_name, duration, hex, incompatibility, name_list, remedy, seconds_between, strip_notation,
};

/// Why a TLS handshake with a backend failed. Nothing but the handshake has been sent to it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// TLS was started twice: a bug in this program.
    #[error("the connection is already encrypted")]
    AlreadyEncrypted,
    /// The host is neither a DNS name nor an address.
    #[error(
        "`{host}` is not a server name: neither a DNS name nor an IP address; set tls_server_name \
         (internationalised names in their xn-- form)"
    )]
    BadName {
        /// As given.
        host: String,
    },
    /// The chain does not end at a trusted root.
    #[error(
        "the certificate is not issued by a trusted authority; set tls_ca to its authority, or, if the server's own \
         certificate has SHA-256 {sha256}, pin it with tls_pinned_cert_sha256"
    )]
    UnknownIssuer {
        /// Of the leaf, in lower-case hex.
        sha256: String,
    },
    /// The certificate is for other names.
    #[error(
        "the certificate is for {}, not for `{expected}`; set tls_server_name to one of its names, or issue one \
         for `{expected}`",
        name_list(found)
    )]
    NameMismatch {
        /// The expected name.
        expected: String,
        /// Its subject alternative names; may be empty.
        found: Vec<String>,
    },
    /// Not one of the pinned certificates.
    #[error(
        "the certificate has SHA-256 {found}, which is not pinned; if the server's certificate was renewed, add the \
         new hash to tls_pinned_cert_sha256, otherwise suspect an interception"
    )]
    PinMismatch {
        /// Of the leaf, in lower-case hex.
        found: String,
    },
    /// The certificate has expired.
    #[error("the certificate expired {} ago; renew it on the backend, or correct this host's clock", duration(*seconds))]
    Expired {
        /// Seconds since then.
        seconds: u64,
    },
    /// The certificate is not valid yet.
    #[error("the certificate becomes valid in {}; check the clocks of both hosts", duration(*seconds))]
    NotValidYet {
        /// Seconds until then.
        seconds: u64,
    },
    /// Another reason to refuse the certificate.
    #[error(
        "the certificate is invalid: {reason}; replace it, or, if the server's own certificate has SHA-256 \
         {sha256}, pin it with tls_pinned_cert_sha256"
    )]
    BadCertificate {
        /// The engine's message.
        reason: String,
        /// Of the leaf, in lower-case hex.
        sha256: String,
    },
    /// The signature in the handshake is wrong: the backend does not have the certificate's key.
    #[error(
        "the server did not prove that it holds the key of its certificate: {reason}; check its key file"
    )]
    BadSignature {
        /// The engine's message.
        reason: String,
    },
    /// The server does not speak TLS on this port.
    #[error(
        "the server sent data that is not TLS; if the port is for STARTTLS, set tls = \"starttls\", and if it is \
         for cleartext, tls = \"plain\""
    )]
    NotTls,
    /// The backend refused the handshake.
    #[error("the server refused the handshake with the alert {alert}{}", remedy(alert))]
    Refused {
        /// The alert's name (RFC 8446 section 6), e.g. `certificate_required`.
        alert: String,
    },
    /// No version, suite or algorithm in common.
    #[error("the server is incompatible: {reason}; it must offer TLS 1.2 or 1.3 with forward secrecy")]
    Incompatible {
        /// The engine's message.
        reason: String,
    },
    /// The connection failed.
    #[error("the connection failed during the TLS handshake: {0}")]
    Io(io::Error),
    /// The peer violated the protocol.
    #[error("the TLS handshake failed: {reason}")]
    Protocol {
        /// The engine's message.
        reason: String,
    },
}

/// Why our verifier refused a certificate, carried through the engine to [`TlsError`].
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The leaf is not pinned.
    Pin { found: [u8; 32] },
    /// The chain was refused for `cause`.
    Chain { cause: CertificateError, sha256: [u8; 32] },
}

// === impl TlsError ===

impl TlsError {
    /// Returns the reason for which a handshake with a backend failed, or the first read after it: in TLS 1.3 the
    /// server verifies our certificate after the handshake is complete for us (RFC 8446 section 4.4.2.4).
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
            rustls::Error::PeerIncompatible(reason) => {
                Self::Incompatible { reason: incompatibility(&reason) }
            }
            other => Self::Protocol { reason: other.to_string() },
        }
    }

    fn of_certificate(cause: CertificateError) -> Self {
        match cause {
            CertificateError::NotValidForNameContext { expected, presented } => Self::NameMismatch {
                expected: expected.to_str().into_owned(),
                found: presented.iter().map(|name| strip_notation(name).to_owned()).collect(),
            },
            CertificateError::ExpiredContext { time, not_after } => {
                Self::Expired { seconds: seconds_between(not_after, time) }
            }
            CertificateError::NotValidYetContext { time, not_before } => {
                Self::NotValidYet { seconds: seconds_between(time, not_before) }
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
            // Errors about the chain arrive as a `Refusal`; any other concerns the handshake's signature.
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

/// Describes why a handshake with a client failed.
pub(crate) fn of_client(error: io::Error) -> io::Error {
    let kind = error.kind();
    let Ok(error) = error.downcast::<rustls::Error>() else {
        return io::Error::new(kind, "the client closed the connection during the TLS handshake");
    };
    let message = match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
        | rustls::Error::InappropriateMessage { .. } => {
            "the client sent data that is not TLS; it may be set to cleartext or STARTTLS".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the client refused the handshake with the alert {}", alert_name(alert))
        }
        rustls::Error::PeerIncompatible(reason) => {
            format!("the client is incompatible: {}", incompatibility(&reason))
        }
        other => format!("the TLS handshake failed: {other}"),
    };
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn alerts_have_their_rfc_names_and_a_remedy() {
        for (alert, expected) in [
            (AlertDescription::ProtocolVersion, "protocol_version; the server must offer TLS 1.2 or 1.3"),
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
