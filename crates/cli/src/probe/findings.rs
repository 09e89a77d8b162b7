//! From what a backend said to what it means for those who will log in there.

use std::time::{SystemTime, UNIX_EPOCH};

use ::probe::{Failure, Findings};
use credentials::attempt::Mechanism;
use plan::{Capabilities, Forwarding, TlsMode, Verify};
use tls::certificate::Leaf;
use types::protocol::Protocol;
use upstream::Backend;

use super::{Certificate, Row, words};

/// Days before the end of a certificate from which on it is spoken of.
const SOON: i64 = 21;

/// The row of what was found.
pub(super) fn row(
    backend: &Backend,
    offer: &Capabilities,
    (protocol, host): (Protocol, &str),
    found: &Findings,
) -> Row {
    let destination = backend.destination();
    let mut row = Row {
        destination: destination.name.to_string(),
        protocol: protocol.name().to_owned(),
        host: host.to_owned(),
        greeting: text(&found.greeting),
        tls: found.tls.as_ref().map(|info| info.version.to_owned()),
        ..Row::default()
    };
    let Some(leg) = destination.leg(protocol) else { return row };
    row.port = leg.port;
    certificate(&mut row, found);
    match &found.failure {
        Some(Failure::Tls(error)) => row.problems.push(error.to_string()),
        Some(Failure::Fault(fault)) => row.problems.push(words::of(*fault).to_owned()),
        None => {}
    }
    let has_answered = found.failure.is_none();
    if matches!(protocol, Protocol::Imap | Protocol::Pop3 | Protocol::ManageSieve | Protocol::Submission) {
        row.capabilities = capabilities(protocol, &found.received);
        row.mechanisms = mechanisms(protocol, &row.capabilities);
        if has_answered && !row.capabilities.is_empty() {
            let lacking = lacking(offer, protocol, &row);
            if !lacking.is_empty() {
                row.remarks.push(format!(
                    "clients are offered {}, which it lacks: take that out of [capabilities.{protocol}], or enable it there",
                    lacking.join(", ")
                ));
            }
        }
        if has_answered && !row.capabilities.is_empty() && !takes_passwords(protocol, &row) {
            row.problems.push(
                "it takes no passwords on this connection (neither PLAIN nor LOGIN): allow them there, for the proxy's \
                 address or behind TLS"
                    .to_owned(),
            );
        }
    }
    row.forwarding = match (leg.forwarding, has_answered, found.introduced) {
        (Forwarding::None, ..) => "none",
        (Forwarding::Proxy, true, _) => "PROXY taken",
        (Forwarding::Proxy, false, _) => "PROXY ?",
        (Forwarding::Xclient, true, true) => "XCLIENT/ID taken",
        (Forwarding::Xclient, true, false) => "XCLIENT/ID not taken",
        (Forwarding::Xclient, false, _) => "XCLIENT/ID ?",
    }
    .to_owned();
    if has_answered && !found.introduced {
        row.remarks.push(
            "it takes neither XCLIENT nor ID from us, so it would see the proxy's address in place of the client's: add the \
             proxy to its trusted networks, or set forwarding = \"none\""
                .to_owned(),
        );
    }
    if leg.tls != TlsMode::Plain && destination.verify == Verify::Nothing {
        row.remarks
            .push("its certificate is not verified (tls_allow_invalid_certs): pin it instead".to_owned());
    }
    row.state = match (row.problems.is_empty(), row.remarks.is_empty()) {
        (false, _) => "failed",
        (true, false) => "warning",
        (true, true) => "ok",
    };
    row
}

fn certificate(row: &mut Row, found: &Findings) {
    let Some(leaf) = found.certificate.as_ref().and_then(|der| Leaf::of(&der.as_slice().into()).ok()) else {
        return;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let left = leaf.not_after.saturating_sub(i64::try_from(now).unwrap_or(i64::MAX));
    let days_left = left.div_euclid(86_400);
    if left < 0 {
        row.remarks
            .push("its certificate has expired, which only the configured verification lets pass".to_owned());
    } else if days_left < SOON {
        row.remarks.push(format!("its certificate ends in {days_left} days: renew it on the backend"));
    }
    let sha256 = leaf.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    row.certificate =
        Some(Certificate { names: leaf.subjects, sha256, not_after: leaf.not_after, days_left });
}

/// What it announced last, word by word for IMAP and line by line for the others.
fn capabilities(protocol: Protocol, heard: &[u8]) -> Vec<String> {
    let heard = String::from_utf8_lossy(heard);
    let lines = heard.lines().map(str::trim);
    match protocol {
        Protocol::Imap => {
            let announced = |line: &str| {
                let upper = line.to_ascii_uppercase();
                let after = upper.find("CAPABILITY ").map(|at| at + "CAPABILITY ".len())?;
                let words = line.get(after..)?.split(']').next()?;
                Some(words.split_whitespace().map(str::to_ascii_uppercase).collect())
            };
            lines.filter_map(announced).next_back().unwrap_or_default()
        }
        Protocol::Pop3 => {
            let is_answer = |line: &&str| !line.starts_with(['+', '-', '.']) && !line.is_empty();
            lines.filter(is_answer).map(str::to_owned).collect()
        }
        Protocol::ManageSieve => lines.filter(|line| line.starts_with('"')).map(str::to_owned).collect(),
        Protocol::Submission => lines
            .filter_map(|line| line.strip_prefix("250-").or_else(|| line.strip_prefix("250 ")))
            .map(str::to_owned)
            .collect(),
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => Vec::new(),
    }
}

fn mechanisms(protocol: Protocol, capabilities: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for capability in capabilities {
        let upper = capability.to_ascii_uppercase().replace('"', " ");
        let mut words = upper.split_whitespace();
        let first = words.next().unwrap_or_default();
        match protocol {
            Protocol::Imap => found.extend(first.strip_prefix("AUTH=").map(str::to_owned)),
            Protocol::Pop3 | Protocol::ManageSieve if first == "SASL" => {
                found.extend(words.map(str::to_owned));
            }
            Protocol::Submission if first == "AUTH" => found.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    found.dedup();
    found
}

/// What clients are offered before their backend is known, and will not find there.
fn lacking<'a>(offer: &'a Capabilities, protocol: Protocol, row: &Row) -> Vec<&'a str> {
    // A password is replayed by whatever way there is; of the others only those that somebody has asked for: who
    // has a token knows where it is good.
    let is_other = |mechanism: &&Mechanism| !matches!(mechanism, Mechanism::Plain | Mechanism::Login);
    let others =
        offer.sasl.iter().filter(|_| offer.sasl_is_set).filter(is_other).map(|mechanism| mechanism.name());
    let mut lacking: Vec<&str> =
        others.filter(|name| !row.mechanisms.iter().any(|mechanism| mechanism == name)).collect();
    // POP3's are lines of several words each, ManageSieve's are another list: only these two can be compared.
    if matches!(protocol, Protocol::Imap | Protocol::Submission) {
        let word = |line: &str| line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let has = |offered: &str| row.capabilities.iter().any(|there| word(there) == word(offered));
        lacking.extend(offer.advertise.iter().map(String::as_str).filter(|offered| !has(offered)));
    }
    lacking
}

/// Whether a user name and a password could be used.
fn takes_passwords(protocol: Protocol, row: &Row) -> bool {
    let has = |mechanism: Mechanism| row.mechanisms.iter().any(|name| name == mechanism.name());
    let says = |word: &str| row.capabilities.iter().any(|capability| capability.eq_ignore_ascii_case(word));
    let native = match protocol {
        Protocol::Imap => !says("LOGINDISABLED"),
        Protocol::Pop3 => says("USER"),
        _ => false,
    };
    native || has(Mechanism::Plain) || has(Mechanism::Login)
}

/// A line of a stranger's, as text.
fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_what_can_be_used() {
        for (protocol, heard, mechanisms_found, passwords) in [
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
            let mut row = Row { capabilities: capabilities(protocol, heard.as_bytes()), ..Row::default() };
            row.mechanisms = mechanisms(protocol, &row.capabilities);
            assert_eq!(row.mechanisms.join(" "), mechanisms_found, "{heard}");
            assert_eq!(takes_passwords(protocol, &row), passwords, "{heard}");
        }
    }
}
