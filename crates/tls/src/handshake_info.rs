//! What a handshake negotiated, as plain data for logs, forwarding and metrics.
//!
//! It must never hold a secret: no keys, no tickets.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

/// The outcome of a TLS handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// As OpenSSL and the PROXY protocol's `PP2_SUBTYPE_SSL_VERSION` spell it: `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The suite's name in the IANA registry, e.g. `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The host name that the client asked for (RFC 6066 section 3), if any.
    pub sni: Option<String>,
    /// The negotiated application protocol (RFC 7301), if any.
    pub alpn: Option<Vec<u8>>,
    /// Whether an earlier session was resumed: then no certificate was sent or verified in this handshake.
    pub resumed: bool,
}

// === impl TlsInfo ===

impl TlsInfo {
    pub(crate) fn of(connection: &CommonState, sni: Option<String>) -> Self {
        Self {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
                Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
                // No other version is compiled in.
                _ => "unknown",
            },
            cipher: connection
                .negotiated_cipher_suite()
                .map(|suite| suite_name(suite.suite()))
                .unwrap_or_default(),
            sni,
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

/// Returns the name in the IANA registry: `TLS_…`, where the engine writes `TLS13_…`.
fn suite_name(suite: rustls::CipherSuite) -> String {
    match suite.as_str() {
        Some(name) => name.replacen("TLS13_", "TLS_", 1),
        None => format!("0x{:04X}", u16::from(suite)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_have_the_names_of_the_registry() {
        for (suite, name) in [
            (rustls::CipherSuite::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
            (
                rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            ),
            (rustls::CipherSuite::Unknown(0xfafa), "0xFAFA"),
        ] {
            assert_eq!(suite_name(suite), name);
        }
    }
}
