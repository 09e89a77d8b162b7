//! The replies to ManageSieve clients (RFC 5804 sections 1.2 and 1.3).

use super::string::{self, Writer};
use crate::dialogue::{CommandOutcome, StandardReply};
use crate::step::Channel;
use crate::verdict::{CloseReason, Verdict};
use credentials::sasl;
use types::secret::Secret;

const CANCELLED: &str = "NO \"Authentication cancelled\"";

/// Returns one line of a capability list.
pub(super) fn capability(name: &str, value: Option<&str>) -> Vec<u8> {
    let mut out = Secret::default();
    string::push(&mut out, name.as_bytes(), Writer::Server);
    if let Some(value) = value {
        out.extend(b" ");
        string::push(&mut out, value.as_bytes(), Writer::Server);
    }
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// Returns a status, a space and a string.
pub(super) fn with_text(status: &str, text: &str) -> Vec<u8> {
    let mut out = Secret::copy_of(status.as_bytes());
    out.extend(b" ");
    string::push(&mut out, text.as_bytes(), Writer::Server);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// Returns the reply to `NOOP`, with its tag (RFC 5804 section 2.13).
pub(super) fn noop(tag: Option<&Secret>) -> Vec<u8> {
    let Some(tag) = tag else {
        return line("OK \"Nothing done\"");
    };
    let mut out = Secret::copy_of(b"OK (TAG ");
    string::push(&mut out, tag.expose(), Writer::Server);
    out.extend(b") \"Nothing done\"\r\n");
    out.expose().to_vec()
}

/// Returns a challenge: a string of base64.
pub(super) fn challenge(data: &[u8]) -> Vec<u8> {
    let mut text = Secret::default();
    sasl::encode_into(&mut text, data);
    let mut out = Secret::default();
    string::push(&mut out, text.expose(), Writer::Server);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// Returns the reply to a login command or to STARTTLS.
pub(super) fn standard(reply: StandardReply) -> Vec<u8> {
    line(match reply {
        StandardReply::UnknownMechanism => "NO \"Unsupported authentication mechanism\"",
        StandardReply::CleartextRefused(Channel::Upgradable) => "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"",
        StandardReply::CleartextRefused(Channel::Plain | Channel::Encrypted) => {
            "NO (ENCRYPT-NEEDED) \"Password login needs an encrypted connection\""
        }
        StandardReply::InvalidInitialResponse => "NO \"Invalid base64 in the initial response\"",
        StandardReply::InvalidResponse => "NO \"Invalid base64 in the response\"",
        StandardReply::Cancelled => CANCELLED,
        StandardReply::BeginTls => "OK \"Begin TLS negotiation now\"",
        StandardReply::AlreadyEncrypted => "NO \"The connection is encrypted already\"",
        StandardReply::StartTlsUnavailable => "NO \"STARTTLS is not available\"",
    })
}

/// Returns the reply that ends a login.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted(reply) => [reply.before, reply.last].concat(),
        Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => reply.last,
        Verdict::Refused(None) => line("NO \"Authentication failed\""),
        Verdict::MechanismUnavailable => standard(StandardReply::UnknownMechanism),
        Verdict::Unavailable => {
            line("NO (TRYLATER) \"The mail server cannot be reached right now, try again later\"")
        }
        Verdict::Cancelled => line(CANCELLED),
    }
}

/// Returns the line before the connection is closed.
pub(super) fn farewell(why: CloseReason) -> Vec<u8> {
    line(match why {
        CloseReason::TimedOut => "BYE \"Login took too long\"",
        CloseReason::TooManyFailures => "BYE \"Too many failed logins\"",
        CloseReason::TooBusy => "BYE (TRYLATER) \"Too many connections, try again later\"",
        CloseReason::ShuttingDown => "BYE (TRYLATER) \"The server is shutting down, connect again\"",
        CloseReason::Ended => "BYE (TRYLATER) \"The session was ended, connect again\"",
        CloseReason::Unavailable => "BYE (TRYLATER) \"The mail server cannot be reached right now\"",
    })
}

pub(super) fn line(text: &str) -> Vec<u8> {
    format!("{text}\r\n").into_bytes()
}

pub(super) fn reply(text: &str) -> CommandOutcome {
    CommandOutcome::Reply(line(text))
}
