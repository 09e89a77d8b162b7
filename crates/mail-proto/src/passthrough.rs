//! SMTP and LMTP pass-through: what the proxy sends to a backend before it bridges the client.
//!
//! With `forwarding = "xclient"` the proxy sends EHLO and XCLIENT. It leaves the greeting after XCLIENT (or, where XCLIENT
//! is not offered, the first one) unread in the inbox, so that the client receives the backend's own. Otherwise it reads
//! nothing. In neither case does it read a byte from the client.

use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch, LineSpan};
use crate::step::{BackendEvent, Forward, Machine, ReplayContext, Step};
use crate::verdict::CloseReason;
use crate::xclient::{self, Style};
use credentials::attempt::{Attempt, ClientInfo};
use types::fault::Fault;
use types::protocol::Protocol;
use types::secret::Secret;

/// Longest reply line (RFC 5321 section 4.5.3.1.5 asks for 512; servers send more).
const MAX_LINE: usize = 4 * 1024;
/// Most lines of one reply.
const MAX_LINES: usize = 100;

/// The client side of a connection to a backend before the bridge.
#[derive(Debug)]
pub struct Replay {
    /// `LHLO` for LMTP (RFC 2033 section 4.1).
    hello: &'static str,
    hostname: String,
    forward: Option<Forward>,
    lines: LineFinder,
    /// The greeting, byte for byte.
    greeting: Vec<u8>,
    /// The attributes of XCLIENT, where it is announced.
    announced: Option<Vec<u8>>,
    line_count: usize,
    state: PassthroughState,
}

#[derive(Debug)]
enum PassthroughState {
    Untouched,
    ExpectGreeting,
    ExpectHello,
    ExpectXclient,
    Over,
}

/// Returns the reply to a client before its connection is closed (RFC 5321 section 3.8).
#[must_use]
pub fn farewell(why: CloseReason) -> &'static [u8] {
    match why {
        CloseReason::TooBusy => b"421 4.3.2 Too many connections, try again later\r\n",
        CloseReason::ShuttingDown => b"421 4.3.2 The server is shutting down, connect again\r\n",
        CloseReason::TimedOut => b"421 4.4.2 Time-out\r\n",
        CloseReason::Ended => b"421 4.3.2 The session was ended, connect again\r\n",
        CloseReason::Unavailable | CloseReason::TooManyFailures => {
            b"421 4.3.2 The mail server cannot be reached right now, try again later\r\n"
        }
    }
}

// === impl Replay ===

impl Replay {
    /// Creates a replay for one backend, which does nothing without [`ReplayContext::forward`].
    #[must_use]
    pub fn new(protocol: Protocol, context: ReplayContext) -> Self {
        let state = if context.forward.is_some() {
            PassthroughState::ExpectGreeting
        } else {
            PassthroughState::Untouched
        };
        Self {
            hello: if protocol == Protocol::Lmtp { "LHLO" } else { "EHLO" },
            hostname: context.hostname,
            forward: context.forward,
            lines: LineFinder::new(),
            greeting: Vec::new(),
            announced: None,
            line_count: 0,
            state,
        }
    }

    fn line(&mut self, line: LineSpan, inbox: &mut Inbox) -> Option<Step<BackendEvent>> {
        let text = inbox.unread()[..line.text].to_vec();
        let is_last = text.get(3).is_none_or(|&byte| byte != b'-');
        self.line_count = if is_last { 0 } else { self.line_count + 1 };
        if !text.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
            || self.line_count > MAX_LINES
        {
            let fault = if self.greeting.is_empty() { Fault::Greeting } else { Fault::Protocol };
            return Some(self.broken(fault));
        }
        match self.state {
            PassthroughState::ExpectGreeting => {
                self.greeting.extend_from_slice(&inbox.unread()[..line.whole]);
                inbox.consume(line.whole);
                is_last.then(|| self.greeted(&text, inbox))
            }
            PassthroughState::ExpectHello => {
                inbox.consume(line.whole);
                self.learn(&text);
                is_last.then(|| self.introduce(&text, inbox))
            }
            // The greeting stays unread for the client.
            _ if text.starts_with(b"220") => Some(self.ready(true)),
            // Postfix may have applied some of the attributes, so the connection cannot be used.
            _ => Some(self.broken(Fault::Forwarding)),
        }
    }

    /// Handles the greeting. A refusal goes to the client unchanged.
    fn greeted(&mut self, last: &[u8], inbox: &mut Inbox) -> Step<BackendEvent> {
        if !last.starts_with(b"220") {
            return self.put_back(true, inbox);
        }
        self.state = PassthroughState::ExpectHello;
        Step::Write(Secret::new(format!("{} {}\r\n", self.hello, self.hostname).into_bytes()))
    }

    fn learn(&mut self, text: &[u8]) {
        let keyword = text.get(4..).unwrap_or_default();
        let name = keyword.get(..7).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"XCLIENT") && matches!(keyword.get(7), None | Some(b' ' | b'=')) {
            self.announced = Some(keyword[7..].to_vec());
        }
    }

    fn introduce(&mut self, last: &[u8], inbox: &mut Inbox) -> Step<BackendEvent> {
        let arguments = match (&self.announced, &self.forward) {
            (Some(announced), Some(forward)) if last.starts_with(b"250") => {
                xclient::attributes(Style::Smtp, announced, forward, &ClientInfo::default())
            }
            _ => None,
        };
        let Some(arguments) = arguments else {
            return self.put_back(false, inbox);
        };
        self.state = PassthroughState::ExpectXclient;
        Step::Write(Secret::new(format!("XCLIENT {arguments}\r\n").into_bytes()))
    }

    /// Puts the greeting back into the inbox, for the client.
    fn put_back(&mut self, introduced: bool, inbox: &mut Inbox) -> Step<BackendEvent> {
        // Input after the greeting would come before it.
        if !inbox.unread().is_empty() || inbox.receive(&self.greeting) < self.greeting.len() {
            return self.broken(Fault::Protocol);
        }
        self.ready(introduced)
    }

    fn ready(&mut self, introduced: bool) -> Step<BackendEvent> {
        self.state = PassthroughState::Over;
        Step::Event(BackendEvent::Ready { introduced })
    }

    fn broken(&mut self, fault: Fault) -> Step<BackendEvent> {
        self.state = PassthroughState::Over;
        Step::Event(BackendEvent::Broken(fault))
    }
}

impl Machine for Replay {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        if matches!(self.state, PassthroughState::Untouched) {
            return self.ready(true);
        }
        loop {
            if matches!(self.state, PassthroughState::Over) {
                return Step::NeedMore;
            }
            match self.lines.find(inbox.unread(), MAX_LINE) {
                LineSearch::NeedMore => return Step::NeedMore,
                LineSearch::TooLong => return self.broken(Fault::Protocol),
                LineSearch::Found(line) => {
                    if let Some(step) = self.line(line, inbox) {
                        return step;
                    }
                }
            }
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

impl crate::step::Replay for Replay {
    fn authenticate(&mut self, _: &Attempt) -> Step<BackendEvent> {
        // Nobody logs in on a connection that passes through.
        self.broken(Fault::Protocol)
    }

    fn respond(&mut self, _: Secret) -> Secret {
        Secret::default()
    }

    fn cancel(&mut self) -> Secret {
        Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::play_replay;

    fn context(forward: bool) -> ReplayContext {
        let forward = forward.then(|| Forward {
            client: "[2001:db8::7]:4711".parse().expect("address"),
            local: "198.51.100.1:25".parse().expect("address"),
            session: "abcdefgh23456723".to_owned(),
            ttl: 6,
            encrypted: false,
        });
        ReplayContext {
            starttls: false,
            forward,
            client_info: ClientInfo::default(),
            hostname: "proxy".to_owned(),
        }
    }

    fn play(protocol: Protocol, forward: bool, script: &str) {
        play_replay(|| Box::new(Replay::new(protocol, context(forward))), script);
    }

    /// Returns what is left for the client after the backend has sent `pieces`.
    fn left(pieces: &[&[u8]]) -> Vec<u8> {
        let mut replay = Replay::new(Protocol::Smtp, context(true));
        let mut inbox = Inbox::new(4096);
        for piece in pieces {
            inbox.receive(piece);
            let _ = replay.feed(&mut inbox);
        }
        inbox.unread().to_vec()
    }

    #[test]
    fn xclient_and_the_greeting_after_it() {
        for (protocol, hello) in [(Protocol::Smtp, "EHLO"), (Protocol::Lmtp, "LHLO")] {
            play(
                protocol,
                true,
                &format!(
                    "S: 220 mail ESMTP
                     C: {hello} proxy
                     S: 250-mail
                     S: 250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN
                     S: 250 SIZE
                     C: XCLIENT ADDR=IPV6:2001:db8::7 PORT=4711
                     S: 220 mail ESMTP again
                     = READY true"
                ),
            );
        }
        let hello = &b"250-mail\r\n250 XCLIENT ADDR\r\n"[..];
        assert_eq!(left(&[b"220 one\r\n", hello, b"220-two\r\n220 three\r\n"]), b"220-two\r\n220 three\r\n");
    }

    #[test]
    fn without_xclient_the_client_receives_the_first_greeting() {
        play(Protocol::Smtp, true, "S: 220 mail\nC: EHLO proxy\nS: 250 mail\n= READY false");
        assert_eq!(left(&[b"220-one\r\n220 two\r\n", b"250 mail\r\n"]), b"220-one\r\n220 two\r\n");
        assert_eq!(left(&[b"554 go away\r\n"]), b"554 go away\r\n");
    }

    #[test]
    fn faults() {
        for script in [
            "S: * OK imap\n= BROKEN greeting",
            "S: 220 x\nC: EHLO proxy\nS: what\n= BROKEN protocol",
            "S: 220 x\nC: EHLO proxy\nS: 250 XCLIENT ADDR\nC: XCLIENT ADDR=IPV6:2001:db8::7\nS: 501 no\n= BROKEN forwarding",
        ] {
            play(Protocol::Smtp, true, script);
        }
        let endless = "S: 250-more\n".repeat(101);
        play(Protocol::Smtp, true, &format!("S: 220 x\nC: EHLO proxy\n{endless}= BROKEN protocol"));
    }

    #[test]
    fn without_forwarding_nothing_is_read() {
        let mut replay = Replay::new(Protocol::Smtp, context(false));
        let mut inbox = Inbox::new(4096);
        inbox.receive(b"220 early\r\n");
        assert!(matches!(replay.feed(&mut inbox), Step::Event(BackendEvent::Ready { introduced: true })));
        assert_eq!(inbox.unread(), b"220 early\r\n");
    }
}
