//! Describes facts of the TLS engine to operators: RFC names, durations, lists of names.
//!
//! Text that comes from a peer is shortened and escaped, because it is printed to terminals and logs. It must never be
//! able to forge a log line.

use std::fmt::Write as _;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, PeerIncompatible};

/// Returns what the two sides of a handshake do not have in common.
pub(crate) fn incompatibility(reason: &PeerIncompatible) -> String {
    match reason {
        PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::ServerDoesNotSupportTls12Or13 => "no TLS version in common".to_owned(),
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite in common".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Returns the name of an alert in RFC 8446 section 6: `unknown_ca`, where the engine writes `UnknownCA`.
pub(crate) fn alert_name(alert: AlertDescription) -> String {
    if alert == AlertDescription::UnrecognisedName {
        return "unrecognized_name".to_owned();
    }
    let Some(name) = alert.as_str() else {
        return u8::from(alert).to_string();
    };
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_lowercase = false;
    for letter in name.chars() {
        if after_lowercase && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        after_lowercase = letter.is_ascii_lowercase();
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Returns how to fix the cause of an alert, to be appended to a message; empty when the cause is unknown.
pub(crate) fn remedy(alert: &str) -> &'static str {
    match alert {
        "certificate_required" => {
            "; it requires a client certificate: set tls_client_cert and tls_client_key"
        }
        "unknown_ca"
        | "bad_certificate"
        | "certificate_unknown"
        | "certificate_expired"
        | "access_denied" => {
            "; it does not accept our client certificate: check tls_client_cert and the server's authorities"
        }
        "unrecognized_name" => "; it does not know the host name: check tls_server_name",
        "protocol_version" | "insufficient_security" => "; the server must offer TLS 1.2 or 1.3",
        "handshake_failure" => {
            "; the server may require a client certificate, or offer only outdated cipher suites"
        }
        _ => "",
    }
}

/// Returns the names of a certificate as a list.
pub(crate) fn name_list(names: &[String]) -> String {
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

/// Returns the name inside the engine's notation, `DnsName("mail.example.org")` or `IpAddress(192.0.2.1)`.
pub(crate) fn strip_notation(presented: &str) -> &str {
    for (prefix, suffix) in [("DnsName(\"", "\")"), ("IpAddress(", ")")] {
        if let Some(name) = presented.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)) {
            return name;
        }
    }
    presented
}

/// Returns the seconds from `earlier` to `later`, 0 when they are not in this order.
pub(crate) fn seconds_between(earlier: UnixTime, later: UnixTime) -> u64 {
    later.as_secs().saturating_sub(earlier.as_secs())
}

/// Returns a duration in the unit that fits: `less than a minute`, `1 minute`, `47 hours`, `3 days`.
pub(crate) fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => return "less than a minute".to_owned(),
        60..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Returns lower-case hex, the form of `tls_pinned_cert_sha256`.
pub(crate) fn hex(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(64);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_one_unit_that_agrees_in_number() {
        for (seconds, expected) in [
            (0, "less than a minute"),
            (59, "less than a minute"),
            (60, "1 minute"),
            (119, "1 minute"),
            (120, "2 minutes"),
            (7_199, "119 minutes"),
            (7_200, "2 hours"),
            (172_799, "47 hours"),
            (172_800, "2 days"),
            (u64::MAX, "213503982334601 days"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn a_list_of_names_is_short_and_escaped() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(name_list(&names(&[])), "no host name at all");
        assert_eq!(name_list(&names(&["a.test", "\u{1b}[2J\n"])), "a.test, \\u{1b}[2J\\n");
        assert_eq!(name_list(&names(&["n"; 10])), "n, n, n, n, n, n, n, n, 2 more");
    }

    #[test]
    fn only_the_engines_notation_is_stripped() {
        for (presented, expected) in [
            ("DnsName(\"*.example.org\")", "*.example.org"),
            ("IpAddress(2001:db8::1)", "2001:db8::1"),
            ("UniformResourceIdentifier(\"x\")", "UniformResourceIdentifier(\"x\")"),
            ("DnsName(\"cut", "DnsName(\"cut"),
        ] {
            assert_eq!(strip_notation(presented), expected);
        }
    }
}
