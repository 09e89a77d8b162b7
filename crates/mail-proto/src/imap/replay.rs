//! IMAP's client side: greeting, STARTTLS, `ID` and the login at a backend.
//!
//! The backend is checked as hard as the client is: until it has said what the protocol demands, no
//! credential leaves.

use std::collections::VecDeque;

use super::id;
use super::response::{self, Capabilities, Response, Status};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;
use credentials::attempt::Attempt;
use credentials::sasl::{self, LoginMethod};
use types::fault::Fault;
use types::secret::Secret;

/// Longest response, literals included.
const MAX_WHOLE: usize = 64 * 1024;
/// Untagged responses to one command before we take the backend for broken.
const MAX_UNTAGGED: usize = 100;
/// Longest initial response that is sent on the command line; longer ones wait for their continuation.
/// Dovecot takes 8 KiB lines, others as few as RFC 7162's 8192 octets.
const MAX_INITIAL: usize = 4 * 1024;

/// The client, as a backend sees it.
#[derive(Debug)]
pub struct Replay {
    context: ReplayContext,
    framer: Framer,
    capabilities: Option<Capabilities>,
    /// Number of the last tag.
    tags: u32,
    /// Untagged responses since the last command was sent, whole.
    untagged: Vec<u8>,
    untagged_count: usize,
    /// What is sent at the next continuations.
    pieces: VecDeque<Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    ExpectStartTls,
    /// The handshake is done: capabilities from before it do not count (RFC 9051 section 6.2.1).
    Secured,
    ExpectCapability,
    ExpectId,
    Ready,
    /// A login is out; later challenges go to the client when `relayed`.
    ExpectVerdict {
        relayed: bool,
    },
    Over,
}

// === impl Replay ===

impl Replay {
    /// A replay before the backend's greeting.
    #[must_use]
    pub fn new(context: ReplayContext) -> Self {
        Self {
            context,
            framer: Framer::default(),
            capabilities: None,
            tags: 0,
            untagged: Vec::new(),
            untagged_count: 0,
            pieces: VecDeque::new(),
            state: State::ExpectGreeting,
        }
    }

    fn response(&mut self, frame: &[u8], is_last: bool) -> Step<BackendEvent> {
        let text = frame.strip_suffix(b"\n").unwrap_or(frame);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if matches!(self.state, State::ExpectGreeting) {
            return self.greeting(text);
        }
        match response::parse(text) {
            Response::Status(Status::Bye, _) => self.broken(Fault::Closed),
            Response::Status(_, text) => {
                self.learn(response::code(text).unwrap_or_default());
                self.keep(frame)
            }
            Response::Untagged(text) => {
                self.learn(text);
                self.keep(frame)
            }
            Response::Done { tag, status, from_status } if tag == self.tag().as_bytes() => {
                self.done(status, from_status, is_last)
            }
            Response::Continue(text) => self.continuation(text),
            Response::Done { .. } | Response::Nonsense => self.broken(Fault::Protocol),
        }
    }

    fn greeting(&mut self, text: &[u8]) -> Step<BackendEvent> {
        match response::parse(text) {
            Response::Status(Status::Ok, text) => {
                self.learn(response::code(text).unwrap_or_default());
                if self.capabilities.is_some() { self.introduce() } else { self.ask_capability() }
            }
            Response::Status(Status::Preauth, _) => self.broken(Fault::Preauth),
            _ => self.broken(Fault::Greeting),
        }
    }

    fn done(&mut self, status: Status, from_status: &[u8], is_last: bool) -> Step<BackendEvent> {
        match (std::mem::replace(&mut self.state, State::Over), status) {
            (State::ExpectStartTls, Status::Ok) if is_last => Step::StartTls(Secret::default()),
            // Bytes behind the OK would be read as the encrypted session's: somebody put them there.
            (State::ExpectStartTls, Status::Ok) => self.broken(Fault::StartTlsInjected),
            (State::ExpectStartTls, _) => self.broken(Fault::NoStartTls),
            (State::ExpectCapability, Status::Ok) if self.capabilities.is_some() => self.introduce(),
            (State::ExpectCapability, _) => self.broken(Fault::Protocol),
            (State::ExpectId, status) => self.ready(status == Status::Ok),
            (State::ExpectVerdict { .. }, status) => self.verdict(status, from_status),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn verdict(&mut self, status: Status, from_status: &[u8]) -> Step<BackendEvent> {
        let before = std::mem::take(&mut self.untagged);
        let reply = Reply { before, last: [from_status, b"\r\n"].concat() };
        let text = from_status.get(3..).unwrap_or_default();
        let all_is_sent = self.pieces.is_empty();
        self.pieces.clear();
        // A yes to a credential that was not sent yet is the answer to something else.
        if status == Status::Ok && !all_is_sent {
            return self.broken(Fault::Protocol);
        }
        Step::Event(match status {
            Status::Ok => BackendEvent::Accepted(reply),
            Status::No if response::is_not_now(text) => BackendEvent::NotNow(reply),
            _ => BackendEvent::Refused(reply),
        })
    }

    /// Next step once capabilities are known: encryption first, then `ID`.
    fn introduce(&mut self) -> Step<BackendEvent> {
        let Some(capabilities) = &self.capabilities else {
            return self.ask_capability();
        };
        if self.context.starttls {
            if !capabilities.starttls {
                return self.broken(Fault::NoStartTls);
            }
            self.context.starttls = false;
            return self.send("STARTTLS", State::ExpectStartTls);
        }
        match id::arguments(self.context.forward.as_ref(), &self.context.client_info) {
            Some(arguments) if capabilities.id => self.send(&format!("ID {arguments}"), State::ExpectId),
            Some(_) => self.ready(false),
            None => self.ready(true),
        }
    }

    fn ready(&mut self, done: bool) -> Step<BackendEvent> {
        self.state = State::Ready;
        Step::Event(BackendEvent::Ready { introduced: done || self.context.forward.is_none() })
    }

    fn ask_capability(&mut self) -> Step<BackendEvent> {
        self.send("CAPABILITY", State::ExpectCapability)
    }

    fn continuation(&mut self, text: &[u8]) -> Step<BackendEvent> {
        let State::ExpectVerdict { relayed } = self.state else {
            return self.broken(Fault::Protocol);
        };
        if let Some(piece) = self.pieces.pop_front() {
            return Step::Write(piece);
        }
        match sasl::decode(text) {
            Some(challenge) if relayed => Step::Event(BackendEvent::Challenge(challenge.expose().to_vec())),
            _ => self.broken(Fault::Protocol),
        }
    }

    /// Remembers the capabilities in `text` (the words of a response code or of an untagged response).
    fn learn(&mut self, text: &[u8]) {
        if let Some(capabilities) = Capabilities::parse(text) {
            self.capabilities = Some(capabilities);
        }
    }

    /// Keeps an untagged response for the client, should the login succeed.
    fn keep(&mut self, frame: &[u8]) -> Step<BackendEvent> {
        self.untagged_count += 1;
        if self.untagged_count > MAX_UNTAGGED || self.untagged.len() + frame.len() > MAX_WHOLE {
            return self.broken(Fault::Protocol);
        }
        if matches!(self.state, State::ExpectVerdict { .. }) {
            self.untagged.extend_from_slice(frame);
        }
        Step::Write(Secret::default())
    }

    fn broken(&mut self, fault: Fault) -> Step<BackendEvent> {
        self.state = State::Over;
        Step::Event(BackendEvent::Broken(fault))
    }

    fn tag(&self) -> String {
        format!("P{}", self.tags)
    }

    fn send(&mut self, command: &str, next: State) -> Step<BackendEvent> {
        let mut line = self.command(command, next);
        line.extend(b"\r\n");
        Step::Write(line)
    }

    /// Begins a command: a new tag, and nothing heard yet.
    fn command(&mut self, command: &str, next: State) -> Secret {
        self.tags += 1;
        self.untagged_count = 0;
        self.state = next;
        Secret::new(format!("{} {command}", self.tag()).into_bytes())
    }

    fn sasl(&mut self, mechanism: &str, initial: &Secret, relayed: bool) -> Secret {
        let mut line = self.command(&format!("AUTHENTICATE {mechanism}"), State::ExpectVerdict { relayed });
        let has_ir = self.capabilities.as_ref().is_some_and(|capabilities| capabilities.sasl_ir);
        if has_ir && initial.len() <= MAX_INITIAL {
            line.extend(b" ");
            sasl::encode_initial_into(&mut line, initial.expose());
        } else {
            self.pieces.push_back(sasl::line(initial));
        }
        line.extend(b"\r\n");
        line
    }

    /// `LOGIN` with quoted strings, or with literals for what cannot stand between quotes.
    fn login(&mut self, user: &Secret, password: &Secret) -> Secret {
        let mut line = self.command("LOGIN", State::ExpectVerdict { relayed: false });
        let waits = !self.capabilities.as_ref().is_some_and(|capabilities| capabilities.literal_plus);
        for argument in [user, password] {
            line.extend(b" ");
            if is_quotable(argument.expose()) {
                quote_into(&mut line, argument.expose());
                continue;
            }
            let plus = if waits { "" } else { "+" };
            line.extend(format!("{{{}{plus}}}\r\n", argument.len()).as_bytes());
            if waits {
                self.pieces.push_back(std::mem::take(&mut line));
            }
            line.extend(argument.expose());
        }
        line.extend(b"\r\n");
        self.pieces.push_back(line);
        self.pieces.pop_front().unwrap_or_default()
    }
}

impl Machine for Replay {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        if matches!(self.state, State::Secured) {
            self.capabilities = None;
            return self.ask_capability();
        }
        if matches!(self.state, State::Ready | State::Over) {
            return Step::NeedMore;
        }
        let bounds = Bounds { line: MAX_WHOLE, whole: MAX_WHOLE, unasked: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                Framed::NeedMore => return Step::NeedMore,
                // A server does not wait for a continuation: its octets follow at once.
                Framed::Announced { .. } => {}
                Framed::TooLong => return self.broken(Fault::Protocol),
                Framed::Whole(length) => {
                    let frame = inbox.unread()[..length].to_vec();
                    inbox.consume(length);
                    match self.response(&frame, inbox.unread().is_empty()) {
                        Step::Write(nothing) if nothing.is_empty() => {}
                        step => return step,
                    }
                }
            }
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        self.state = State::Secured;
        Vec::new()
    }
}

impl crate::step::Replay for Replay {
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent> {
        let offered = self.capabilities.as_ref().map(Capabilities::offered).unwrap_or_default();
        self.untagged.clear();
        let line = match LoginMethod::choose(&attempt.credential, &offered) {
            None => return self.broken(Fault::NoMechanism),
            Some(LoginMethod::Sasl { mechanism, initial, relayed }) => {
                self.sasl(mechanism.name(), &initial, relayed)
            }
            Some(LoginMethod::Native { user, password }) => self.login(&user, &password),
            Some(LoginMethod::Prompts { user, password }) => {
                let mut line = self.command("AUTHENTICATE LOGIN", State::ExpectVerdict { relayed: false });
                line.extend(b"\r\n");
                self.pieces.extend([sasl::line(&user), sasl::line(&password)]);
                line
            }
        };
        Step::Write(line)
    }

    fn respond(&mut self, response: Secret) -> Secret {
        sasl::line(&response)
    }
}

/// QUOTED-CHAR without 8-bit bytes, which some servers refuse between quotes.
fn is_quotable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b' '..0x7f).contains(byte))
}

fn quote_into(line: &mut Secret, text: &[u8]) {
    line.extend(b"\"");
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            line.extend(b"\\");
        }
        line.extend(&[byte]);
    }
    line.extend(b"\"");
}
