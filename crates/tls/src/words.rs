//! Facts of the TLS engine in words that operators know: RFC names, units, lists of names.
//!
//! What comes from a peer is shortened and escaped: it ends up in terminals and logs, and must never be
//! able to forge a line there.

use std::fmt::Write as _;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, PeerIncompatible};

/// What is missing on the other side.
pub(crate) fn incompatible(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::ServerDoesNotSupportTls12Or13 => "no TLS version".to_owned(),
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite".to_owned(),
        other => format!("{other:?}"),
    }
}

/// The name in RFC 8446 section 6; the engine writes `UnknownCA` where that has `unknown_ca`.
pub(crate) fn alert_name(alert: AlertDescription) -> String {
    if alert == AlertDescription::UnrecognisedName {
        return "unrecognized_name".to_owned();
    }
    let Some(name) = alert.as_str() else {
        return u8::from(alert).to_string();
    };
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for letter in name.chars() {
        if after_small && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        after_small = letter.is_ascii_lowercase();
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// What to do about an alert, where it is known.
pub(crate) fn remedy(alert: &str) -> &'static str {
    match alert {
        "certificate_required" => "; it wants a client certificate: set tls_client_cert and tls_client_key",
        "unknown_ca"
        | "bad_certificate"
        | "certificate_unknown"
        | "certificate_expired"
        | "access_denied" => {
            "; it does not accept our client certificate: check tls_client_cert and the server's authorities"
        }
        "unrecognized_name" => "; it does not know the host name: check tls_server_name",
        "protocol_version" | "insufficient_security" => "; it has to offer TLS 1.2 or 1.3",
        "handshake_failure" => {
            "; perhaps it wants a client certificate, or offers only outdated cipher suites"
        }
        _ => "",
    }
}

/// The names of a certificate.
pub(crate) fn list(names: &[String]) -> String {
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

/// The engine writes names as `DnsName("mail.example.org")` and `IpAddress(192.0.2.1)`.
pub(crate) fn bare(presented: &str) -> &str {
    let inner = |start: &str, end: &str| presented.strip_prefix(start)?.strip_suffix(end);
    inner("DnsName(\"", "\")").or_else(|| inner("IpAddress(", ")")).unwrap_or(presented)
}

/// Seconds.
pub(crate) fn between(earlier: UnixTime, later: UnixTime) -> u64 {
    later.as_secs().saturating_sub(earlier.as_secs())
}

/// How long, in the unit that fits.
pub(crate) fn span(seconds: u64) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_one_unit() {
        for (seconds, expected) in [
            (0, "0 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
            (u64::MAX, "213503982334601 days"),
        ] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn found_names_are_few_and_harmless() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(list(&names(&[])), "no host name at all");
        assert_eq!(list(&names(&["a.test", "\u{1b}[2J\n"])), "a.test, \\u{1b}[2J\\n");
        assert_eq!(list(&names(&["n"; 10])), "n, n, n, n, n, n, n, n, 2 more");
    }

    #[test]
    fn names_lose_the_engines_wrapping_alone() {
        for (presented, expected) in [
            ("DnsName(\"*.example.org\")", "*.example.org"),
            ("IpAddress(2001:db8::1)", "2001:db8::1"),
            ("UniformResourceIdentifier(\"x\")", "UniformResourceIdentifier(\"x\")"),
            ("DnsName(\"cut", "DnsName(\"cut"),
        ] {
            assert_eq!(bare(presented), expected);
        }
    }
}
