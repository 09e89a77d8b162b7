//! The capabilities that a backend announces, and the logins that they allow.

use credentials::attempt::Mechanism;
use plan::Capabilities;
use types::protocol::Protocol;

/// Returns the capabilities that were announced last: one word each for IMAP, one line each for the others.
pub(super) fn announced(protocol: Protocol, received: &[u8]) -> Vec<String> {
    let received = String::from_utf8_lossy(received);
    let lines = received.lines().map(str::trim);
    match protocol {
        Protocol::Imap => lines.filter_map(imap_capabilities).next_back().unwrap_or_default(),
        Protocol::Pop3 => lines
            .filter(|line| !line.is_empty() && !line.starts_with(['+', '-', '.']))
            .map(str::to_owned)
            .collect(),
        Protocol::ManageSieve => lines.filter(|line| line.starts_with('"')).map(str::to_owned).collect(),
        Protocol::Submission => lines
            .filter_map(|line| line.strip_prefix("250-").or_else(|| line.strip_prefix("250 ")))
            .map(str::to_owned)
            .collect(),
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => Vec::new(),
    }
}

/// Returns the words of a `CAPABILITY` response or response code.
fn imap_capabilities(line: &str) -> Option<Vec<String>> {
    const KEYWORD: &str = "CAPABILITY ";
    let start = line.to_ascii_uppercase().find(KEYWORD)? + KEYWORD.len();
    let words = line.get(start..)?.split(']').next()?;
    Some(words.split_whitespace().map(str::to_ascii_uppercase).collect())
}

/// Returns the SASL mechanisms among `capabilities`.
pub(super) fn mechanisms(protocol: Protocol, capabilities: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for capability in capabilities {
        let upper = capability.to_ascii_uppercase().replace('"', " ");
        let mut words = upper.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        match protocol {
            Protocol::Imap => found.extend(keyword.strip_prefix("AUTH=").map(str::to_owned)),
            Protocol::Pop3 | Protocol::ManageSieve if keyword == "SASL" => {
                found.extend(words.map(str::to_owned));
            }
            Protocol::Submission if keyword == "AUTH" => found.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    found.dedup();
    found
}

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
    // POP3 capabilities are whole lines and ManageSieve's are pairs: only these two can be compared by keyword.
    if matches!(protocol, Protocol::Imap | Protocol::Submission) {
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
