//! Follows submission, SMTP and LMTP: one reply for each command, and one or more for each message.
//!
//! A message is delivered before its reply arrives, so a session must not end between the two: the client would send the
//! message again. The content of DATA need not be looked at: between the reply 354 and the next one, everything from the
//! client belongs to it. The content of BDAT is counted (RFC 3030).

use std::collections::VecDeque;

use types::protocol::Protocol;

use super::lines::{Lines, is_word};
use super::position::{Follow, Position, Side};

/// Follows a session.
#[derive(Debug)]
pub(super) struct Follower {
    /// LMTP sends a reply for each recipient after a message (RFC 2033 section 4.2).
    is_lmtp: bool,
    client: Lines,
    backend: Lines,
    /// For each command without a reply, in order.
    pending: VecDeque<Command>,
    /// Recipients that the backend has accepted for the next message.
    recipients: u32,
    /// Replies to a message that are to come.
    message_replies: u32,
    content: Content,
    is_opaque: bool,
}

/// What the client is sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Commands.
    Commands,
    /// The content of DATA, up to the next reply.
    Data,
    /// The rest of a chunk. The message goes on after it unless `is_last`.
    Chunk { left: u64, is_last: bool },
    /// Commands between the chunks of a message.
    BetweenChunks,
}

/// What a command's reply means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// MAIL, RSET, EHLO, HELO, LHLO: no recipient is left.
    Reset,
    Recipient,
    Data,
    LastChunk,
    StartTls,
    Other,
}

/// A line of the client.
#[derive(Debug)]
struct CommandLine {
    command: Command,
    /// What the client sends after it, where the command changes that.
    content: Option<Content>,
}

/// Most commands that are followed without a reply. A message may have thousands of recipients, which a client may send
/// without waiting.
const MAX_PENDING: usize = 16 * 1024;

// === impl Follower ===

impl Follower {
    /// Follows a submission after its login.
    pub(super) fn after_login() -> Self {
        Self {
            is_lmtp: false,
            client: Lines::default(),
            backend: Lines::default(),
            pending: VecDeque::new(),
            recipients: 0,
            message_replies: 0,
            content: Content::Commands,
            is_opaque: false,
        }
    }

    /// Follows a connection from the backend's greeting on.
    pub(super) fn from_greeting(protocol: Protocol) -> Self {
        let pending = VecDeque::from([Command::Other]);
        Self { is_lmtp: protocol == Protocol::Lmtp, pending, ..Self::after_login() }
    }

    fn command(&mut self) {
        let CommandLine { command, content } = CommandLine::parse(&self.client);
        if let Some(content) = content {
            self.content = content;
            self.pass_chunk(0);
        }
        self.is_opaque |= self.pending.len() >= MAX_PENDING;
        self.pending.push_back(command);
    }

    /// Passes over bytes of a chunk.
    const fn pass_chunk(&mut self, count: u64) {
        if let Content::Chunk { left, is_last } = self.content {
            let left = left.saturating_sub(count);
            self.content = match left {
                0 if is_last => Content::Commands,
                0 => Content::BetweenChunks,
                _ => Content::Chunk { left, is_last },
            };
        }
    }

    /// Handles the last line of a reply.
    fn reply(&mut self) {
        let class = self.backend.head().first().copied().unwrap_or_default();
        if self.message_replies > 0 {
            self.message_replies -= 1;
            if self.content == Content::Data {
                self.content = Content::Commands;
            }
            return;
        }
        let command = self.pending.pop_front();
        if self.pending.is_empty() {
            // A session that waits holds no memory for it.
            self.pending = VecDeque::new();
        }
        let is_ok = class == b'2';
        match command {
            Some(Command::Reset) => self.recipients = 0,
            Some(Command::Recipient) if is_ok => self.recipients = self.recipients.saturating_add(1),
            Some(Command::Data) if class == b'3' => {
                self.content = Content::Data;
                self.message_replies = self.replies_of_message();
            }
            // The first of its replies is this one.
            Some(Command::LastChunk) => self.message_replies = self.replies_of_message() - 1,
            Some(Command::StartTls) if is_ok => self.is_opaque = true,
            _ => {}
        }
    }

    /// Returns how many replies a message gets, at least 1, and forgets its recipients.
    fn replies_of_message(&mut self) -> u32 {
        let recipients = std::mem::take(&mut self.recipients);
        if self.is_lmtp { recipients.max(1) } else { 1 }
    }

    fn see_client(&mut self, mut bytes: &[u8]) {
        while !self.is_opaque && !bytes.is_empty() {
            match self.content {
                Content::Data => return,
                Content::Chunk { left, .. } => {
                    let passed = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.pass_chunk(passed as u64);
                    bytes = &bytes[passed..];
                }
                Content::Commands | Content::BetweenChunks => {
                    let Some(rest) = self.client.next(bytes) else { return };
                    bytes = rest;
                    self.command();
                }
            }
        }
    }

    fn see_backend(&mut self, mut bytes: &[u8]) {
        while !self.is_opaque {
            let Some(rest) = self.backend.next(bytes) else { return };
            bytes = rest;
            // `250-…` is followed by another line of the same reply (RFC 5321 section 4.2.1).
            if self.backend.head().get(3) != Some(&b'-') {
                self.reply();
            }
        }
    }
}

// === impl CommandLine ===

impl CommandLine {
    fn parse(line: &Lines) -> Self {
        let mut words = line.words();
        let verb = words.next().unwrap_or_default();
        if is_word(verb, "BDAT") {
            // The client sends no content with a size that is not a number.
            let left = words.next().and_then(|size| std::str::from_utf8(size).ok()?.parse().ok());
            let is_last = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
            let command = if is_last { Command::LastChunk } else { Command::Other };
            return Self { command, content: left.map(|left| Content::Chunk { left, is_last }) };
        }
        if ["MAIL", "RSET", "EHLO", "HELO", "LHLO"].iter().any(|name| is_word(verb, name)) {
            return Self { command: Command::Reset, content: Some(Content::Commands) };
        }
        let command = if is_word(verb, "RCPT") {
            Command::Recipient
        } else if is_word(verb, "DATA") {
            Command::Data
        } else if is_word(verb, "STARTTLS") {
            Command::StartTls
        } else {
            Command::Other
        };
        Self { command, content: None }
    }
}

impl Follow for Follower {
    fn see(&mut self, from: Side, bytes: &[u8]) {
        match from {
            Side::Client => self.see_client(bytes),
            Side::Backend => self.see_backend(bytes),
        }
    }

    fn position(&self) -> Position {
        if self.is_opaque {
            return Position::Opaque;
        }
        let is_inside_reply = !self.backend.at_start() || self.backend.head().get(3) == Some(&b'-');
        if is_inside_reply {
            return Position::InResponse;
        }
        // Between chunks, too: a message that has begun is sent to its end.
        if self.content != Content::Commands || !self.client.at_start() {
            return Position::InCommand;
        }
        if !self.pending.is_empty() || self.message_replies > 0 {
            return Position::InResponse;
        }
        Position::Boundary
    }

    fn unseen(&self, from: Side) -> u64 {
        match (from, self.content) {
            _ if self.is_opaque => u64::MAX,
            (Side::Client, Content::Data) => u64::MAX,
            (Side::Client, Content::Chunk { left, .. }) => left,
            _ => 0,
        }
    }

    fn skip(&mut self, from: Side, count: u64) {
        if from == Side::Client {
            self.pass_chunk(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use types::protocol::Protocol;

    use super::super::position::{Follow, Position, Side};
    use super::super::transcript::play;
    use super::{Follower, MAX_PENDING};

    #[test]
    fn data_ends_with_its_reply() {
        play(
            Protocol::Submission,
            "= boundary
             C: EHLO client
             S: 250-mail
             = response
             S: 250 SIZE
             = boundary
             C: MAIL FROM:<a@b>
             C: RCPT TO:<c@d>
             C: DATA
             S: 250 ok
             S: 250 ok
             = response
             S: 354 go on
             = command
             C: Subject: x
             C: .
             = command
             S: 250 queued
             = boundary
             C: DATA
             S: 503 no recipients
             = boundary",
        );
    }

    #[test]
    fn chunks_end_with_the_reply_to_the_last() {
        play(
            Protocol::Submission,
            "C: MAIL FROM:<a@b>
             C: RCPT TO:<c@d>
             C: BDAT 10
             c: DATA
             = command
             c: DATA12
             = command
             S: 250 ok
             S: 250 ok
             = command
             S: 250 chunk
             = command
             C: bdat 2 last
             c: .
             = command
             c: .
             = response
             S: 250 queued
             = boundary
             C: BDAT 0 LAST
             = response
             S: 503 no
             = boundary
             C: BDAT x
             S: 501 what
             = boundary
             C: BDAT 3
             c: abc
             S: 552 too big
             = command
             C: RSET
             = response
             S: 250 ok
             = boundary",
        );
    }

    #[test]
    fn lmtp_replies_for_each_recipient() {
        play(
            Protocol::Lmtp,
            "= response
             S: 220 mail
             = boundary
             C: MAIL FROM:<a@b>
             C: RCPT TO:<c@d>
             C: RCPT TO:<no@d>
             C: RCPT TO:<e@d>
             C: DATA
             S: 250 ok
             S: 250 ok
             S: 550 no
             S: 250 ok
             S: 354 go on
             C: text
             C: .
             S: 250 c
             = response
             S: 450 e
             = boundary
             C: RCPT TO:<c@d>
             C: RCPT TO:<e@d>
             C: BDAT 1 LAST
             c: x
             S: 250 ok
             S: 250 ok
             S: 250 c
             = response
             S: 250 e
             = boundary",
        );
    }

    #[test]
    fn tls_inside_a_connection_is_opaque() {
        play(
            Protocol::Smtp,
            "S: 220 mail
             C: EHLO client
             S: 250 STARTTLS
             C: STARTTLS
             = response
             S: 454 not now
             = boundary
             C: STARTTLS
             S: 220 go on
             = opaque
             C: MAIL FROM:<a@b>
             = opaque",
        );
    }

    #[test]
    fn a_message_need_not_be_seen() {
        let mut follower = Follower::after_login();
        follower.see(Side::Client, b"BDAT 100000 LAST\r\nabc");
        assert_eq!(follower.unseen(Side::Client), 99_997);
        follower.skip(Side::Client, 99_997);
        assert_eq!((follower.unseen(Side::Client), follower.position()), (0, Position::InResponse));
        follower.see(Side::Backend, b"250 ok\r\n");
        follower.see(Side::Client, b"DATA\r\n");
        follower.see(Side::Backend, b"354 go on\r\n");
        assert_eq!(follower.unseen(Side::Client), u64::MAX);
        follower.skip(Side::Client, 1_000_000);
        assert_eq!(follower.position(), Position::InCommand);
        follower.see(Side::Backend, b"250 queued\r\n");
        assert_eq!((follower.unseen(Side::Client), follower.position()), (0, Position::Boundary));
    }

    #[test]
    fn commands_without_replies_have_a_bound() {
        let mut follower = Follower::after_login();
        for _ in 0..=MAX_PENDING {
            follower.see(Side::Client, b"RCPT TO:<a@b>\r\n");
        }
        assert_eq!(follower.position(), Position::Opaque);
        follower.see(Side::Client, b"RCPT TO:<a@b>\r\n");
        assert_eq!(follower.pending.len(), MAX_PENDING + 1);
    }
}
