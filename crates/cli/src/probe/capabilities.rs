//! What follows from the capabilities that a backend announces: what it lacks, and whether passwords can be used.

use credentials::attempt::Mechanism;
use plan::Capabilities;
use types::protocol::Protocol;

/// Returns what the proxy offers to clients before it knows their backend, and this backend lacks.
pub(super) fn missing<'a>(
    offered: &'a Capabilities,
    protocol: Protocol,
    capabilities: &[String],
    mechanisms: &[String],
) -> Vec<&'a str> {
    let mut missing = Vec::new();
    // A password can be replayed by any login command, so PLAIN and LOGIN are never missing. The other mechanisms count
    // only if the configuration names them: the default list is not a promise.
    if offered.sasl_is_set {
        for mechanism in &offered.sasl {
            let is_password = matches!(mechanism, Mechanism::Plain | Mechanism::Login);
            if !is_password && !mechanisms.iter().any(|name| name == mechanism.name()) {
                missing.push(mechanism.name());
            }
        }
    }
    // What is learnt, every server has; a list, or the default without learning, is offered whatever they have.
    let is_fixed = offered.advertise_is_set || !offered.learn;
    // POP3 capabilities are whole lines and ManageSieve's are pairs: only these two can be compared by keyword.
    if is_fixed && matches!(protocol, Protocol::Imap | Protocol::Submission) {
        for advertised in &offered.advertise {
            if !capabilities.iter().any(|capability| keyword(capability) == keyword(advertised)) {
                missing.push(advertised);
            }
        }
    }
    missing
}

fn keyword(capability: &str) -> String {
    capability.split_whitespace().next().unwrap_or_default().to_ascii_uppercase()
}

/// Returns whether the backend accepts a login with user name and password.
pub(super) fn accepts_passwords(protocol: Protocol, capabilities: &[String], mechanisms: &[String]) -> bool {
    let announces = |name: &str| capabilities.iter().any(|capability| capability.eq_ignore_ascii_case(name));
    let has_login_command = match protocol {
        Protocol::Imap => !announces("LOGINDISABLED"),
        Protocol::Pop3 => announces("USER"),
        _ => false,
    };
    has_login_command
        || mechanisms.iter().any(|name| *name == Mechanism::Plain.name() || *name == Mechanism::Login.name())
}

#[cfg(test)]
mod tests {
    use probe::{announced, mechanisms};

    use super::*;

    #[test]
    fn mechanisms_are_read_from_the_capabilities() {
        for (protocol, received, expected_mechanisms, accepts) in [
            (
                Protocol::Imap,
                "* OK [CAPABILITY IMAP4rev1 ID AUTH=PLAIN AUTH=LOGIN] hi\r\n",
                "PLAIN LOGIN",
                true,
            ),
            (Protocol::Imap, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hi\r\n", "", false),
            (Protocol::Imap, "* OK hi\r\n* CAPABILITY IMAP4rev1\r\nA1 OK done\r\n", "", true),
            (
                Protocol::Imap,
                "* OK [CAPABILITY LOGINDISABLED]\r\n* CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2\r\n",
                "XOAUTH2",
                false,
            ),
            (Protocol::Pop3, "+OK hi\r\n+OK\r\nTOP\r\nSASL PLAIN\r\n.\r\n", "PLAIN", true),
            (Protocol::Pop3, "+OK hi\r\n+OK\r\nUSER\r\n.\r\n", "", true),
            (Protocol::Pop3, "+OK hi\r\n+OK\r\nTOP\r\n.\r\n", "", false),
            (Protocol::ManageSieve, "\"SASL\" \"PLAIN LOGIN\"\r\nOK\r\n", "PLAIN LOGIN", true),
            (Protocol::ManageSieve, "\"SASL\" \"\"\r\nOK\r\n", "", false),
            (Protocol::Submission, "220 hi\r\n250-a\r\n250-AUTH LOGIN\r\n250 SIZE\r\n", "LOGIN", true),
            (Protocol::Submission, "220 hi\r\n250-a\r\n250 SIZE\r\n", "", false),
        ] {
            let capabilities = announced(protocol, received.as_bytes());
            let mechanisms = mechanisms(protocol, &capabilities);
            assert_eq!(mechanisms.join(" "), expected_mechanisms, "{received}");
            assert_eq!(accepts_passwords(protocol, &capabilities, &mechanisms), accepts, "{received}");
        }
    }
}
