//! What submission clients are told, in SMTP's words (RFC 5321 section 4.2, RFC 4954 section 6, RFC 3463).

use crate::attempt::{Parting, Verdict};
use crate::sasl;
use crate::secret::Secret;
use crate::step::{Asked, Step};

pub(super) const CANCELLED: &str = "501 5.7.0 Authentication cancelled";
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

/// A challenge (RFC 4954 section 4): the space stays when nothing follows.
pub(super) fn continuation(data: &[u8]) -> Vec<u8> {
    let mut out = Secret::copy_of(b"334 ");
    sasl::encode_into(&mut out, data);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

/// The end of a login.
pub(super) fn verdict(verdict: Verdict) -> Vec<u8> {
    match verdict {
        Verdict::Accepted(reply) => [reply.before, reply.last].concat(),
        // 421 tells of a connection that closes (RFC 5321 section 3.8); the client's does not.
        Verdict::NotNow(reply) if reply.last.starts_with(b"421") => line(UNAVAILABLE),
        Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => reply.last,
        Verdict::Refused(None) => line("535 5.7.8 Authentication failed"),
        Verdict::Unavailable => line(UNAVAILABLE),
        Verdict::Cancelled => line(CANCELLED),
    }
}

/// Goodbye (RFC 5321 section 3.8).
pub(super) fn farewell(why: Parting) -> Vec<u8> {
    line(match why {
        Parting::TimedOut => "421 4.4.2 Login took too long",
        Parting::TooManyFailures => "421 4.7.0 Too many failed logins",
        Parting::TooBusy => "421 4.3.2 Too many connections, try again later",
        Parting::ShuttingDown => "421 4.3.2 The server is shutting down, connect again",
        Parting::Ended => "421 4.3.2 The session was ended, connect again",
        Parting::Unavailable => "421 4.3.2 The mail server cannot be reached right now",
    })
}

pub(super) fn write_line(words: &str) -> Step<Asked> {
    write(line(words))
}

pub(super) fn write(bytes: Vec<u8>) -> Step<Asked> {
    Step::Write(Secret::new(bytes))
}
