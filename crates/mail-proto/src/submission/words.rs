//! What submission clients are told, in SMTP's words (RFC 5321 section 4.2, RFC 4954 section 6, RFC 3463).

use crate::dialogue::{CommandOutcome, StandardReply};
use crate::step::Channel;
use crate::verdict::{CloseReason, Verdict};

const CANCELLED: &str = "501 5.7.0 Authentication cancelled";
const UNAVAILABLE: &str = "454 4.7.0 The mail server cannot be reached right now, try again later";

/// A reply of one line.
pub(super) fn line(words: &str) -> Vec<u8> {
    format!("{words}\r\n").into_bytes()
}

/// A 250 of several lines (RFC 5321 section 4.2.1). Without enhanced codes: RFC 2034 section 3 has none in
/// the answer to `EHLO`.
pub(super) fn listing(words: &[String]) -> Vec<u8> {
    let mut out = String::new();
    for (index, word) in words.iter().enumerate() {
        let mark = if index + 1 == words.len() { ' ' } else { '-' };
        out.push_str(&format!("250{mark}{word}\r\n"));
    }
    out.into_bytes()
}

/// The answer to a command of a login or of STARTTLS.
pub(super) fn said(what: StandardReply) -> Vec<u8> {
    line(match what {
        StandardReply::Unsupported => "504 5.5.4 Unsupported authentication mechanism",
        StandardReply::NoPassword(Channel::Upgradable) => "538 5.7.11 Use STARTTLS first",
        StandardReply::NoPassword(Channel::Plain | Channel::Encrypted) => {
            "538 5.7.11 Password login needs an encrypted connection"
        }
        StandardReply::BadInitial => "501 5.5.2 Invalid base64 in the initial response",
        StandardReply::BadAnswer => "501 5.5.2 Invalid base64 in the response",
        StandardReply::Cancelled => CANCELLED,
        StandardReply::StartTls => "220 2.0.0 Begin TLS negotiation now",
        StandardReply::Encrypted => "503 5.5.1 The connection is encrypted already",
        StandardReply::NoStartTls => "502 5.5.1 STARTTLS is not available",
    })
}

/// The end of a login.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted(reply) => [reply.before, reply.last].concat(),
        // 421 means that the connection closes (RFC 5321 section 3.8). The client's does not, so the backend's text
        // goes out under the code of a temporary failure (RFC 4954 section 6).
        Verdict::NotNow(reply) if reply.last.starts_with(b"421") => with_code(&reply.last, b"454"),
        Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => reply.last,
        Verdict::Refused(None) => line("535 5.7.8 Authentication failed"),
        Verdict::Unavailable => line(UNAVAILABLE),
        Verdict::Cancelled => line(CANCELLED),
    }
}

/// Replaces the code of every line of a reply. The enhanced code stays.
fn with_code(reply: &[u8], code: &[u8; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(reply.len());
    for line in reply.split_inclusive(|&byte| byte == b'\n') {
        out.extend_from_slice(code);
        out.extend_from_slice(line.get(code.len()..).unwrap_or_default());
    }
    out
}

/// Goodbye (RFC 5321 section 3.8).
pub(super) fn farewell(why: CloseReason) -> Vec<u8> {
    line(match why {
        CloseReason::TimedOut => "421 4.4.2 Login took too long",
        CloseReason::TooManyFailures => "421 4.7.0 Too many failed logins",
        CloseReason::TooBusy => "421 4.3.2 Too many connections, try again later",
        CloseReason::ShuttingDown => "421 4.3.2 The server is shutting down, connect again",
        CloseReason::Ended => "421 4.3.2 The session was ended, connect again",
        CloseReason::Unavailable => "421 4.3.2 The mail server cannot be reached right now",
    })
}

pub(super) fn say(words: &str) -> CommandOutcome {
    CommandOutcome::Say(line(words))
}
