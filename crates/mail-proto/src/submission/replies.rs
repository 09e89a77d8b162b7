//! The replies to submission clients (RFC 5321 section 4.2, RFC 4954 section 6, RFC 3463).

use crate::dialogue::{CommandOutcome, StandardReply};
use crate::step::Channel;
use crate::verdict::{CloseReason, Verdict};

const CANCELLED: &str = "501 5.7.0 Authentication cancelled";
const UNAVAILABLE: &str = "454 4.7.0 The mail server cannot be reached right now, try again later";

/// Returns a reply of one line.
pub(super) fn line(text: &str) -> Vec<u8> {
    format!("{text}\r\n").into_bytes()
}

/// Returns a 250 of several lines (RFC 5321 section 4.2.1), without enhanced codes, which RFC 2034 section 3 excludes from
/// the reply to `EHLO`.
pub(super) fn listing(lines: &[String]) -> Vec<u8> {
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        let separator = if index + 1 == lines.len() { ' ' } else { '-' };
        out.push_str(&format!("250{separator}{line}\r\n"));
    }
    out.into_bytes()
}

/// Returns the reply to a login command or to STARTTLS.
pub(super) fn standard(reply: StandardReply) -> Vec<u8> {
    line(match reply {
        StandardReply::UnknownMechanism => "504 5.5.4 Unsupported authentication mechanism",
        StandardReply::CleartextRefused(Channel::Upgradable) => "538 5.7.11 Use STARTTLS first",
        StandardReply::CleartextRefused(Channel::Plain | Channel::Encrypted) => {
            "538 5.7.11 Password login needs an encrypted connection"
        }
        StandardReply::InvalidInitialResponse => "501 5.5.2 Invalid base64 in the initial response",
        StandardReply::InvalidResponse => "501 5.5.2 Invalid base64 in the response",
        StandardReply::Cancelled => CANCELLED,
        StandardReply::BeginTls => "220 2.0.0 Begin TLS negotiation now",
        StandardReply::AlreadyEncrypted => "503 5.5.1 The connection is encrypted already",
        StandardReply::StartTlsUnavailable => "502 5.5.1 STARTTLS is not available",
    })
}

/// Returns the reply that ends a login.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted(reply) => [reply.before, reply.last].concat(),
        // 421 means that the connection closes (RFC 5321 section 3.8). The client's does not, so the backend's text
        // is sent with the code of a temporary failure (RFC 4954 section 6).
        Verdict::NotNow(reply) if reply.last.starts_with(b"421") => with_code(&reply.last, b"454"),
        Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => reply.last,
        Verdict::Refused(None) => line("535 5.7.8 Authentication failed"),
        Verdict::MechanismUnavailable => standard(StandardReply::UnknownMechanism),
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

/// Returns the line before the connection is closed (RFC 5321 section 3.8).
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

pub(super) fn reply(text: &str) -> CommandOutcome {
    CommandOutcome::Reply(line(text))
}
