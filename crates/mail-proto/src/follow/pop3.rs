//! Follows POP3 (RFC 1939): one response for each command, in order, of one line or of many.
//!
//! The end of a message is a line with a dot, which only looking at every byte finds. Between plain sockets messages are
//! spliced, so the end may pass unseen; the next command of a client that does not pipeline shows that it has.

use std::collections::VecDeque;

use super::lines::{Lines, is_word};
use super::position::{Follow, Position, Side};

/// Follows a session.
#[derive(Debug, Default)]
pub(super) struct Follower {
    client: Lines,
    backend: Lines,
    /// For each command without a response, in order.
    pending: VecDeque<Expected>,
    /// In the lines after the first one of a response.
    is_in_body: bool,
    /// Bytes of this body passed unseen.
    was_skipped: bool,
    is_end_requested: bool,
    is_opaque: bool,
}

/// The response that a command may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    OneLine,
    /// After `+OK`, lines up to one with a dot.
    Lines,
}

/// Most commands that are followed without a response.
const MAX_PENDING: usize = 1024;

// === impl Follower ===

impl Follower {
    fn command(&mut self) {
        // Nothing else was asked for, so the client has read the end of the body.
        if self.was_skipped && self.pending.is_empty() {
            self.is_in_body = false;
            self.was_skipped = false;
            self.backend = Lines::default();
        }
        self.is_opaque |= self.was_skipped || self.pending.len() >= MAX_PENDING;
        self.pending.push_back(expected(&self.client));
    }

    fn response(&mut self) {
        if self.is_in_body {
            if self.backend.head() == b"." {
                self.is_in_body = false;
                self.was_skipped = false;
            }
            return;
        }
        let expected = self.pending.pop_front();
        if self.pending.is_empty() {
            // A session that waits holds no memory for it.
            self.pending = VecDeque::new();
        }
        let is_ok = self.backend.head().first() == Some(&b'+');
        self.is_in_body = is_ok && expected == Some(Expected::Lines);
    }
}

impl Follow for Follower {
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
        if self.is_in_body || !self.backend.at_start() {
            return Position::InResponse;
        }
        if !self.client.at_start() {
            return Position::InCommand;
        }
        if !self.pending.is_empty() {
            return Position::InResponse;
        }
        Position::Boundary
    }

    fn unseen(&self, from: Side) -> u64 {
        match from {
            _ if self.is_opaque => u64::MAX,
            Side::Backend if self.is_in_body && !self.is_end_requested => u64::MAX,
            _ => 0,
        }
    }

    fn skip(&mut self, from: Side, count: u64) {
        if from == Side::Backend && count > 0 {
            self.was_skipped = true;
            self.backend.lose_place();
            // It is not known which of several responses the bytes belong to.
            self.is_opaque |= !self.pending.is_empty();
        }
    }

    fn end_requested(&mut self) {
        self.is_end_requested = true;
    }
}

/// Returns what a command is answered with (RFC 1939 sections 5 and 7, RFC 2449 section 5).
fn expected(command: &Lines) -> Expected {
    let mut words = command.words();
    let verb = words.next().unwrap_or_default();
    let is_list = is_word(verb, "LIST") || is_word(verb, "UIDL") || is_word(verb, "LANG");
    if is_word(verb, "RETR")
        || is_word(verb, "TOP")
        || is_word(verb, "CAPA")
        || (is_list && words.next().is_none())
    {
        return Expected::Lines;
    }
    Expected::OneLine
}

#[cfg(test)]
mod tests {
    use types::protocol::Protocol;

    use super::super::position::{Follow, Position, Side};
    use super::super::transcript::play;
    use super::{Follower, MAX_PENDING};

    #[test]
    fn a_session_ends_between_responses() {
        play(
            Protocol::Pop3,
            "= boundary
             C: STAT
             = response
             S: +OK 1 100
             = boundary
             C: LIST 1
             S: +OK 1 100
             = boundary
             C: list
             S: +OK
             = response
             S: 1 100
             S: .
             = boundary
             C: RETR 9
             S: -ERR no such message
             = boundary
             C: RETR 1
             S: +OK 100 octets
             S: -ERR is text of the message
             S: ..
             S: . 
             = response
             S: .
             = boundary",
        );
    }

    #[test]
    fn pipelined_commands_have_their_responses_in_order() {
        play(
            Protocol::Pop3,
            "C: TOP 1 0
             C: NOOP
             C: UIDL
             S: +OK
             S: .
             = response
             S: +OK
             S: +OK
             = response
             S: .
             = boundary",
        );
    }

    #[test]
    fn a_message_that_was_skipped_is_over_at_the_next_command() {
        let mut follower = Follower::default();
        follower.see(Side::Client, b"RETR 1\r\n");
        follower.see(Side::Backend, b"+OK\r\npart");
        assert_eq!(follower.unseen(Side::Backend), u64::MAX);
        follower.skip(Side::Backend, 1_000_000);
        assert_eq!(follower.position(), Position::InResponse);
        follower.see(Side::Client, b"DELE 1\r\n");
        assert_eq!(follower.position(), Position::InResponse);
        follower.see(Side::Backend, b"+OK\r\n");
        assert_eq!(follower.position(), Position::Boundary);
    }

    #[test]
    fn after_an_end_was_requested_the_end_of_a_message_is_looked_for() {
        let mut follower = Follower::default();
        follower.see(Side::Client, b"RETR 1\r\n");
        follower.see(Side::Backend, b"+OK\r\npart");
        follower.skip(Side::Backend, 1_000_000);
        follower.end_requested();
        assert_eq!(follower.unseen(Side::Backend), 0);
        follower.see(Side::Backend, b".\r\n");
        assert_eq!(follower.position(), Position::InResponse, "whether a line began there is not known");
        follower.see(Side::Backend, b"more\r\n.\r\n");
        assert_eq!(follower.position(), Position::Boundary);
    }

    #[test]
    fn what_cannot_be_followed_is_opaque() {
        let mut follower = Follower::default();
        follower.see(Side::Client, b"RETR 1\r\nRETR 2\r\n");
        follower.see(Side::Backend, b"+OK\r\n");
        follower.skip(Side::Backend, 1);
        assert_eq!(follower.position(), Position::Opaque);

        let mut follower = Follower::default();
        for _ in 0..MAX_PENDING {
            follower.see(Side::Client, b"NOOP\r\n");
        }
        assert_eq!(follower.position(), Position::InResponse);
        follower.see(Side::Client, b"NOOP\r\n");
        assert_eq!(follower.position(), Position::Opaque);
        assert_eq!(follower.pending.len(), MAX_PENDING + 1);
        follower.see(Side::Client, b"NOOP\r\n");
        assert_eq!(follower.pending.len(), MAX_PENDING + 1, "nothing is remembered any more");
    }
}
