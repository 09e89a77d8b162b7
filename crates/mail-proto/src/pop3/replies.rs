//! The replies to POP3 clients (RFC 1939 section 3, RFC 2449 section 8, RFC 3206).

use crate::dialogue::{CommandOutcome, StandardReply};
use crate::step::Channel;
use crate::verdict::{CloseReason, Verdict};

const CANCELLED: &str = "Authentication cancelled";

/// Returns a status line.
pub(super) fn line(status: &str, text: &str) -> Vec<u8> {
    format!("{status} {text}\r\n").into_bytes()
}

/// Returns a multi-line response (RFC 1939 section 3). No `item` begins with a dot.
pub(super) fn listing<'a>(title: &str, items: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = line("+OK", title);
    for item in items {
        out.extend_from_slice(item.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// Returns the reply to `LANG` (RFC 6856 section 3): English is the only language.
pub(super) fn language(range: Option<&[u8]>) -> CommandOutcome {
    match range {
        None => CommandOutcome::Reply(listing("Language listing follows", ["en English"].into_iter())),
        Some(range) if range == b"*" || range.eq_ignore_ascii_case(b"en") => {
            ok("en Language changed to English")
        }
        Some(_) => err("Unknown language"),
    }
}

/// Returns the reply to a login command or to STLS.
pub(super) fn standard(reply: StandardReply) -> Vec<u8> {
    match reply {
        StandardReply::UnknownMechanism => line("-ERR", "Unsupported authentication mechanism"),
        StandardReply::CleartextRefused(Channel::Encrypted) => {
            line("-ERR", "Password login is not offered here")
        }
        StandardReply::CleartextRefused(Channel::Upgradable) => line("-ERR", "Use STLS first"),
        StandardReply::CleartextRefused(Channel::Plain) => {
            line("-ERR", "Password login needs an encrypted connection")
        }
        StandardReply::InvalidInitialResponse => line("-ERR", "Invalid base64 in the initial response"),
        StandardReply::InvalidResponse => line("-ERR", "Invalid base64 in the response"),
        StandardReply::Cancelled => line("-ERR", CANCELLED),
        StandardReply::BeginTls => line("+OK", "Begin TLS negotiation now"),
        StandardReply::AlreadyEncrypted => line("-ERR", "The connection is encrypted already"),
        StandardReply::StartTlsUnavailable => line("-ERR", "STLS is not available"),
    }
}

/// Returns the reply that ends a login.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted(reply) => [reply.before, reply.last].concat(),
        Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => reply.last,
        Verdict::Refused(None) => line("-ERR", "[AUTH] Authentication failed"),
        Verdict::MechanismUnavailable => standard(StandardReply::UnknownMechanism),
        Verdict::Unavailable => {
            line("-ERR", "[SYS/TEMP] The mail server cannot be reached right now, try again later")
        }
        Verdict::Cancelled => line("-ERR", CANCELLED),
    }
}

/// Returns the line before the connection is closed.
pub(super) fn farewell(why: CloseReason) -> Vec<u8> {
    let text = match why {
        CloseReason::TimedOut => "Login took too long",
        CloseReason::TooManyFailures => "Too many failed logins",
        CloseReason::TooBusy => "[SYS/TEMP] Too many connections, try again later",
        CloseReason::ShuttingDown => "[SYS/TEMP] The server is shutting down, connect again",
        CloseReason::Ended => "[SYS/TEMP] The session was ended, connect again",
        CloseReason::Unavailable => "[SYS/TEMP] The mail server cannot be reached right now",
    };
    line("-ERR", text)
}

pub(super) fn ok(text: &str) -> CommandOutcome {
    CommandOutcome::Reply(line("+OK", text))
}

pub(super) fn err(text: &str) -> CommandOutcome {
    CommandOutcome::Reply(line("-ERR", text))
}
