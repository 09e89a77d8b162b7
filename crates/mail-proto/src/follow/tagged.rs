//! Follows IMAP and ManageSieve, whose lines contain literals.
//!
//! Commands are counted as they end, and completed responses as they come. An IDLE is a command without a response that
//! may end at any time. After `COMPRESS DEFLATE` (RFC 4978) both directions are opaque.

use std::marker::PhantomData;

use super::lines::LiteralLines;
use super::position::{Follow, Position, Side};

/// Follows a session of one of the two protocols.
#[derive(Debug)]
pub(super) struct Follower<P> {
    client: LiteralLines,
    backend: LiteralLines,
    /// Commands without a completed response.
    pending: u32,
    /// The client waits in IDLE.
    is_idle: bool,
    /// The client has asked for compression.
    wants_compression: bool,
    is_opaque: bool,
    protocol: PhantomData<fn() -> P>,
}

/// IMAP: responses are completed by a tagged line.
#[derive(Debug)]
pub(super) struct Imap;

/// ManageSieve: responses are completed by `OK`, `NO` or `BYE`.
#[derive(Debug)]
pub(super) struct ManageSieve;

/// What differs between the two protocols.
pub(super) trait Words: Send {
    /// Returns the word of a command that tells what it does.
    fn verb(command: &LiteralLines) -> Option<&[u8]>;

    /// Returns whether a response of the server is complete with this line.
    fn completes(response: &LiteralLines) -> bool;

    /// Returns whether a line that completes a response reports success. Asked after [`Words::completes`].
    fn succeeds(response: &LiteralLines) -> bool;
}

// === impl Follower ===

impl<P> Default for Follower<P> {
    fn default() -> Self {
        Self {
            client: LiteralLines::default(),
            backend: LiteralLines::default(),
            pending: 0,
            is_idle: false,
            wants_compression: false,
            is_opaque: false,
            protocol: PhantomData,
        }
    }
}

impl<P: Words> Follower<P> {
    fn command(&mut self) {
        // The line that ends an IDLE (RFC 2177: DONE) is not a command.
        if std::mem::take(&mut self.is_idle) || self.client.head().is_empty() {
            return;
        }
        self.pending = self.pending.saturating_add(1);
        match P::verb(&self.client) {
            Some(verb) if verb.eq_ignore_ascii_case(b"IDLE") => self.is_idle = true,
            Some(verb) if verb.eq_ignore_ascii_case(b"COMPRESS") => self.wants_compression = true,
            _ => {}
        }
    }

    fn response(&mut self) {
        if !P::completes(&self.backend) {
            return;
        }
        // Every command before it has its response: this is the refusal of a literal that the client has announced. The
        // command ends with it, and was not counted.
        if self.pending == 0 && self.client.refuse_literal() {
            return;
        }
        self.pending = self.pending.saturating_sub(1);
        if self.pending > 0 {
            return;
        }
        self.is_idle = false;
        // No command may follow COMPRESS before its response, so the last response is that of COMPRESS.
        self.is_opaque = std::mem::take(&mut self.wants_compression) && P::succeeds(&self.backend);
    }
}

impl<P: Words> Follow for Follower<P> {
    fn see(&mut self, from: Side, mut bytes: &[u8]) {
        while !self.is_opaque {
            let next = match from {
                Side::Client => self.client.next(bytes),
                Side::Backend => self.backend.next(bytes),
            };
            let Some(rest) = next else { return };
            bytes = rest;
            match from {
                Side::Client => self.command(),
                Side::Backend => self.response(),
            }
        }
    }

    fn position(&self) -> Position {
        if self.is_opaque {
            return Position::Opaque;
        }
        if !self.backend.at_start() {
            return Position::InResponse;
        }
        if !self.client.at_start() {
            return Position::InCommand;
        }
        if self.pending > u32::from(self.is_idle) {
            return Position::InResponse;
        }
        Position::Boundary
    }

    fn unseen(&self, from: Side) -> u64 {
        match from {
            _ if self.is_opaque => u64::MAX,
            Side::Client => self.client.literal(),
            Side::Backend => self.backend.literal(),
        }
    }

    fn skip(&mut self, from: Side, count: u64) {
        match from {
            Side::Client => self.client.skip(count),
            Side::Backend => self.backend.skip(count),
        }
    }
}

// === impl Imap ===

impl Words for Imap {
    fn verb(command: &LiteralLines) -> Option<&[u8]> {
        command.words().nth(1)
    }

    fn completes(response: &LiteralLines) -> bool {
        !matches!(response.head().first(), None | Some(b'*' | b'+'))
    }

    fn succeeds(response: &LiteralLines) -> bool {
        match response.words().nth(1) {
            Some(word) => word.eq_ignore_ascii_case(b"OK"),
            // The tag is longer than what is kept of a line. Nothing is inserted when it is not known.
            None => true,
        }
    }
}

// === impl ManageSieve ===

impl Words for ManageSieve {
    fn verb(_: &LiteralLines) -> Option<&[u8]> {
        None
    }

    fn completes(response: &LiteralLines) -> bool {
        let head = response.head();
        let length = head.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(head.len());
        ["OK", "NO", "BYE"].iter().any(|word| head[..length].eq_ignore_ascii_case(word.as_bytes()))
    }

    fn succeeds(_: &LiteralLines) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use types::protocol::Protocol;

    use super::super::transcript::play;

    #[test]
    fn imap_ends_between_commands() {
        play(
            Protocol::Imap,
            "= boundary
             C: a SELECT INBOX
             = response
             S: * 3 EXISTS
             = response
             S: a OK done
             = boundary
             C: b NOOP
             C: c NOOP
             S: b OK
             = response
             S: c OK
             = boundary
             S: * 4 EXISTS
             = boundary",
        );
    }

    #[test]
    fn imap_ends_while_the_client_is_idle() {
        play(
            Protocol::Imap,
            "C: a IDLE
             = boundary
             S: + idling
             S: * 4 EXISTS
             = boundary
             C: DONE
             = response
             S: a OK
             = boundary
             C: b idle
             C: DONE
             C: c NOOP
             S: b OK
             = response
             S: c OK
             = boundary
             C: d IDLE
             S: d BAD not here
             = boundary
             C: e NOOP
             = response",
        );
    }

    #[test]
    fn imap_waits_for_the_response_to_an_append() {
        play(
            Protocol::Imap,
            "C: a APPEND x {10}
             = command
             S: + go on
             = command
             c: 0123456789
             = command
             C: 
             = response
             S: a OK
             = boundary
             C: b APPEND x {3+}
             c: abc
             C:  {2+}
             c: de
             C: 
             = response
             S: b NO full
             = boundary
             C: c APPEND x {100000000000}
             = command
             S: c NO [TOOBIG] no
             = boundary
             C: d NOOP
             = response
             S: d OK
             = boundary
             C: e NOOP
             C: f APPEND x {3}
             S: e OK
             = command
             S: + go on
             c: abc
             C: 
             = response
             S: f OK
             = boundary",
        );
    }

    #[test]
    fn compression_makes_a_session_opaque() {
        play(
            Protocol::Imap,
            "C: a COMPRESS DEFLATE
             S: a BAD what
             = boundary
             C: b NOOP
             C: c compress deflate
             S: b OK
             = response
             S: c OK active
             = opaque
             S: a NO
             = opaque",
        );
        let tag = "x".repeat(60);
        play(Protocol::Imap, &format!("C: {tag} NOOP\nS: {tag} OK\n= boundary"));
    }

    #[test]
    fn managesieve_waits_for_the_response_to_a_script() {
        play(
            Protocol::ManageSieve,
            "= boundary
             C: PUTSCRIPT \"x\" {5+}
             = command
             c: stop;
             = command
             C: 
             = response
             S: NO (QUOTA) {4}
             s: full
             = response
             S: 
             = boundary
             C: LISTSCRIPTS
             S: \"OK\" ACTIVE
             = response
             S: ok
             = boundary
             C: GETSCRIPT \"x\"
             S: {4}
             s: OK
             = response
             S: 
             = response
             S: 
             S: OK \"done\"
             = boundary",
        );
    }
}
