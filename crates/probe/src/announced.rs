//! The capabilities in what a backend has sent up to the credential.

use types::protocol::Protocol;

/// Returns the capabilities that were announced last: one word each for IMAP, one line each for the others. The name that
/// begins the response to EHLO is not among them.
#[must_use]
pub fn announced(protocol: Protocol, received: &[u8]) -> Vec<String> {
    let received = String::from_utf8_lossy(received);
    let lines = received.lines().map(str::trim);
    match protocol {
        Protocol::Imap => lines.filter_map(imap_capabilities).next_back().unwrap_or_default(),
        Protocol::Pop3 => lines
            .filter(|line| !line.is_empty() && !line.starts_with(['+', '-', '.']))
            .map(str::to_owned)
            .collect(),
        Protocol::ManageSieve => lines.filter(|line| line.starts_with('"')).map(str::to_owned).collect(),
        Protocol::Submission => last_ehlo_response(lines),
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => Vec::new(),
    }
}

/// Returns the words of a `CAPABILITY` response or response code.
fn imap_capabilities(line: &str) -> Option<Vec<String>> {
    const KEYWORD: &str = "CAPABILITY ";
    let start = line.to_ascii_uppercase().find(KEYWORD)? + KEYWORD.len();
    let words = line.get(start..)?.split(']').next()?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// Returns the keyword lines of the last response to EHLO: after XCLIENT it is sent again (RFC 5321 section 4.1.1.1).
fn last_ehlo_response<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut response: Vec<String> = Vec::new();
    let mut is_complete = true;
    for line in lines {
        let Some(text) = line.strip_prefix("250").filter(|text| text.starts_with([' ', '-'])) else {
            continue;
        };
        if is_complete {
            response.clear();
        }
        response.push(text[1..].to_owned());
        is_complete = text.starts_with(' ');
    }
    response.into_iter().skip(1).collect()
}

/// Returns the SASL mechanisms among `capabilities`.
#[must_use]
pub fn mechanisms(protocol: Protocol, capabilities: &[String]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_announcement_counts() {
        for (protocol, received, expected) in [
            (Protocol::Imap, "* OK [CAPABILITY IMAP4rev1 ID] hi\r\n", &["IMAP4rev1", "ID"][..]),
            (Protocol::Imap, "* OK [CAPABILITY A] hi\r\n* CAPABILITY B\r\nP1 OK done\r\n", &["B"]),
            (Protocol::Imap, "* OK hi\r\n", &[]),
            (Protocol::Submission, "220 hi\r\n250-host\r\n250-DSN\r\n250 SIZE 5\r\n", &["DSN", "SIZE 5"]),
            (
                Protocol::Submission,
                "220 hi\r\n250-host\r\n250 XCLIENT ADDR\r\n220 again\r\n250-host\r\n250 DSN\r\n",
                &["DSN"],
            ),
            (Protocol::Submission, "220 hi\r\n250 host\r\n", &[]),
        ] {
            assert_eq!(announced(protocol, received.as_bytes()), expected, "{received}");
        }
    }
}
