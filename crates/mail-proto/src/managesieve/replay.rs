//! ManageSieve's client side: greeting, STARTTLS, XCLIENT and the login at a backend.
//!
//! The backend is checked as hard as the client is: until it has said what the protocol demands, no
//! credential leaves.

use std::collections::VecDeque;

use super::response::{self, Capabilities, Response, Status};
use super::string::{self, Writer};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;
use crate::xclient::{self, Style};
use credentials::attempt::Attempt;
use credentials::sasl::{self, LoginMethod};
use types::fault::Fault;
use types::secret::Secret;

/// Longest response, literals included.
const MAX_WHOLE: usize = 64 * 1024;
/// Lines of one capability block before we take the backend for broken.
const MAX_CAPABILITIES: usize = 100;
/// What `NOOP` is sent with, to know its answer among others.
const SYNC: &str = "xclient-taken";

/// The client, as a backend sees it.
#[derive(Debug)]
pub struct Replay {
    context: ReplayContext,
    framer: Framer,
    capabilities: Capabilities,
    /// Lines of capabilities since the last status.
    heard: usize,
    /// Whether XCLIENT was said and taken.
    introduced: bool,
    /// What is sent when the backend asks for more of the login.
    pieces: VecDeque<Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    ExpectStartTls,
    /// The handshake is done: the backend sends its capabilities unasked (RFC 5804 section 2.2).
    ExpectCapabilities,
    ExpectXclient,
    /// XCLIENT was taken, and `NOOP` asks whether that was all.
    ExpectSync,
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
            capabilities: Capabilities::default(),
            heard: 0,
            introduced: false,
            pieces: VecDeque::new(),
            state: State::ExpectGreeting,
        }
    }

    fn response(&mut self, frame: &[u8], is_last: bool) -> Step<BackendEvent> {
        match response::parse(frame) {
            Response::Status(Status::Bye, _) if !matches!(self.state, State::ExpectGreeting) => {
                self.broken(Fault::Closed)
            }
            Response::Status(status, text) => self.status(status, text, frame, is_last),
            Response::Strings(challenge, None) if matches!(self.state, State::ExpectVerdict { .. }) => {
                self.challenge(&challenge)
            }
            Response::Strings(name, value) => self.capability(&name, value.as_ref()),
            Response::Nonsense if matches!(self.state, State::ExpectGreeting) => self.broken(Fault::Greeting),
            Response::Nonsense => self.broken(Fault::Protocol),
        }
    }

    fn status(&mut self, status: Status, text: &[u8], frame: &[u8], is_last: bool) -> Step<BackendEvent> {
        let had_block = std::mem::take(&mut self.heard) > 0;
        match (std::mem::replace(&mut self.state, State::Over), status) {
            (State::ExpectGreeting, Status::Ok) if had_block => self.introduce(),
            (State::ExpectGreeting, _) => self.broken(Fault::Greeting),
            (State::ExpectStartTls, Status::Ok) if is_last => Step::StartTls(Secret::default()),
            // Bytes behind the OK would be read as the encrypted session's: somebody put them there.
            (State::ExpectStartTls, Status::Ok) => self.broken(Fault::StartTlsInjected),
            (State::ExpectStartTls, _) => self.broken(Fault::NoStartTls),
            (State::ExpectCapabilities, Status::Ok) if had_block => self.introduce(),
            (State::ExpectXclient, Status::Ok) => self.introduced(had_block),
            (State::ExpectXclient, _) => self.broken(Fault::Forwarding),
            // The end of the block that stands behind XCLIENT's OK; `NOOP`'s own answer is to come.
            (State::ExpectSync, Status::Ok) if had_block && !response::has_tag(text, SYNC.as_bytes()) => {
                self.state = State::ExpectSync;
                nothing()
            }
            (State::ExpectSync, _) => self.ready(),
            (State::ExpectVerdict { .. }, status) => self.verdict(status, text, frame),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn capability(&mut self, name: &Secret, value: Option<&Secret>) -> Step<BackendEvent> {
        let is_due = matches!(
            self.state,
            State::ExpectGreeting | State::ExpectCapabilities | State::ExpectXclient | State::ExpectSync
        );
        if !is_due || self.heard == MAX_CAPABILITIES {
            return self.broken(Fault::Protocol);
        }
        if self.heard == 0 {
            self.capabilities = Capabilities::default();
        }
        self.heard += 1;
        self.capabilities.add(name.expose(), value.map(Secret::expose));
        nothing()
    }

    fn verdict(&mut self, status: Status, text: &[u8], frame: &[u8]) -> Step<BackendEvent> {
        let line = frame.strip_suffix(b"\n").unwrap_or(frame);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let reply = Reply { before: Vec::new(), last: [line, b"\r\n"].concat() };
        let all_is_sent = self.pieces.is_empty();
        self.pieces.clear();
        match status {
            Status::Ok if all_is_sent => Step::Event(BackendEvent::Accepted(reply)),
            // A yes to a credential that was not sent yet is the answer to something else.
            Status::Ok => self.broken(Fault::Protocol),
            _ if response::is_not_now(text) => Step::Event(BackendEvent::NotNow(reply)),
            _ => Step::Event(BackendEvent::Refused(reply)),
        }
    }

    fn challenge(&mut self, text: &Secret) -> Step<BackendEvent> {
        if let Some(piece) = self.pieces.pop_front() {
            return Step::Write(piece);
        }
        match sasl::decode(text.expose()) {
            Some(challenge) if matches!(self.state, State::ExpectVerdict { relayed: true }) => {
                Step::Event(BackendEvent::Challenge(challenge.expose().to_vec()))
            }
            _ => self.broken(Fault::Protocol),
        }
    }

    /// Next step once capabilities are known: encryption first, then XCLIENT.
    fn introduce(&mut self) -> Step<BackendEvent> {
        if self.context.starttls {
            if !self.capabilities.starttls {
                return self.broken(Fault::NoStartTls);
            }
            self.context.starttls = false;
            return self.send("STARTTLS", State::ExpectStartTls);
        }
        let announced = self.capabilities.xclient.as_deref();
        let attributes = self.context.forward.as_ref().zip(announced).and_then(|(forward, announced)| {
            xclient::attributes(Style::Bare, announced, forward, &self.context.client_info)
        });
        match attributes {
            Some(attributes) => self.send(&format!("XCLIENT {attributes}"), State::ExpectXclient),
            None => self.ready(),
        }
    }

    /// XCLIENT was taken. Dovecot says `OK` and no more, others send their capabilities again, before that
    /// `OK` or behind it: unless they came, `NOOP` finds out, since a late `OK` must not be taken for the
    /// login's.
    fn introduced(&mut self, had_block: bool) -> Step<BackendEvent> {
        self.introduced = true;
        if had_block { self.ready() } else { self.send(&format!("NOOP \"{SYNC}\""), State::ExpectSync) }
    }

    fn ready(&mut self) -> Step<BackendEvent> {
        self.state = State::Ready;
        Step::Event(BackendEvent::Ready { introduced: self.introduced || self.context.forward.is_none() })
    }

    fn broken(&mut self, fault: Fault) -> Step<BackendEvent> {
        self.state = State::Over;
        self.pieces.clear();
        Step::Event(BackendEvent::Broken(fault))
    }

    fn send(&mut self, command: &str, next: State) -> Step<BackendEvent> {
        self.state = next;
        Step::Write(Secret::new(format!("{command}\r\n").into_bytes()))
    }

    /// `AUTHENTICATE`, with the initial response that every server takes (RFC 5804 section 2.1).
    fn sasl(&mut self, mechanism: &str, initial: Option<&Secret>, relayed: bool) -> Step<BackendEvent> {
        let mut line = Secret::copy_of(format!("AUTHENTICATE \"{mechanism}\"").as_bytes());
        match initial {
            Some(initial) => {
                line.extend(b" ");
                line.extend(encoded(initial).expose());
            }
            None => line.extend(b"\r\n"),
        }
        self.state = State::ExpectVerdict { relayed };
        Step::Write(line)
    }
}

impl Machine for Replay {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        if matches!(self.state, State::Ready | State::Over) {
            return Step::NeedMore;
        }
        let bounds = Bounds { line: MAX_WHOLE, whole: MAX_WHOLE, unasked: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                Framed::NeedMore if !inbox.is_full() => return Step::NeedMore,
                // A server does not wait for a go-ahead: its octets follow at once.
                Framed::Announced { .. } => {}
                Framed::NeedMore | Framed::TooLong => return self.broken(Fault::Protocol),
                Framed::Whole(length) => {
                    let frame = inbox.unread()[..length].to_vec();
                    inbox.consume(length);
                    match self.response(&frame, inbox.unread().is_empty()) {
                        Step::Write(nothing) if nothing.is_empty() => {}
                        // Behind XCLIENT's OK a block may come, which ends before `NOOP`'s answer.
                        step if step.is_question()
                            && !matches!(self.state, State::ExpectSync)
                            && !inbox.unread().is_empty() =>
                        {
                            return self.broken(Fault::Protocol);
                        }
                        step => return step,
                    }
                }
            }
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        self.state = State::ExpectCapabilities;
        Vec::new()
    }
}

impl crate::step::Replay for Replay {
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent> {
        match LoginMethod::choose(&attempt.credential, &self.capabilities.offered()) {
            Some(LoginMethod::Sasl { mechanism, initial, relayed }) => {
                self.sasl(mechanism.name(), Some(&initial), relayed)
            }
            Some(LoginMethod::Prompts { user, password }) => {
                self.pieces.extend([encoded(&user), encoded(&password)]);
                self.sasl("LOGIN", None, false)
            }
            None | Some(LoginMethod::Native { .. }) => self.broken(Fault::NoMechanism),
        }
    }

    fn respond(&mut self, response: Secret) -> Secret {
        encoded(&response)
    }
}

fn nothing() -> Step<BackendEvent> {
    Step::Write(Secret::default())
}

/// A line of a SASL exchange: a string of base64.
fn encoded(message: &Secret) -> Secret {
    let mut text = Secret::with_capacity(message.len().div_ceil(3) * 4);
    sasl::encode_into(&mut text, message.expose());
    let mut line = Secret::with_capacity(text.len() + 16);
    string::push(&mut line, text.expose(), Writer::Client);
    line.extend(b"\r\n");
    line
}
