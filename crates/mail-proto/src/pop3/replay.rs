//! POP3's client side: greeting, STLS, XCLIENT and the login at a backend.
//!
//! The backend is checked as hard as the client is: until it has said what the protocol demands, no
//! credential leaves.

use std::collections::VecDeque;

use super::response::{self, Response};
use crate::inbox::Inbox;
use crate::line::{Found, Lines};
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;
use crate::xclient::{self, Style};
use credentials::attempt::Attempt;
use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

/// Longest line of a backend's.
const MAX_LINE: usize = 64 * 1024;
/// Lines of a capability list before we take the backend for broken.
const MAX_CAPABILITIES: usize = 100;

/// The client, as a backend sees it.
#[derive(Debug)]
pub struct Replay {
    context: ReplayContext,
    lines: Lines,
    /// Whether the greeting announced XCLIENT: the only place where it is.
    takes_xclient: bool,
    /// Whether XCLIENT was said and taken.
    introduced: bool,
    offered: Offered,
    /// Whether the capability list has `UTF8`.
    takes_utf8: bool,
    /// What is sent when the backend asks for more of the login.
    pieces: VecDeque<Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    ExpectStls,
    /// The handshake is done.
    Secured,
    ExpectXclient,
    ExpectCapa,
    /// Within the capability list.
    ExpectCapability {
        heard: usize,
    },
    ExpectUtf8,
    Ready,
    /// `USER` is out; its `PASS` waits.
    ExpectUser,
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
            lines: Lines::new(),
            takes_xclient: false,
            introduced: false,
            offered: Offered::default(),
            takes_utf8: false,
            pieces: VecDeque::new(),
            state: State::ExpectGreeting,
        }
    }

    fn response(&mut self, line: &[u8], is_last: bool) -> Step<BackendEvent> {
        if let State::ExpectCapability { heard } = self.state {
            return self.capability(line, heard);
        }
        match (std::mem::replace(&mut self.state, State::Over), response::parse(line)) {
            (State::ExpectGreeting, Response::Ok(text)) => {
                let code = response::code(text).unwrap_or_default();
                self.takes_xclient = code.eq_ignore_ascii_case(b"XCLIENT");
                self.introduce()
            }
            (State::ExpectGreeting, _) => self.broken(Fault::Greeting),
            (State::ExpectStls, Response::Ok(_)) if is_last => Step::StartTls(Secret::default()),
            // Bytes behind the +OK would be read as the encrypted session's: somebody put them there.
            (State::ExpectStls, Response::Ok(_)) => self.broken(Fault::StartTlsInjected),
            (State::ExpectStls, _) => self.broken(Fault::NoStartTls),
            (State::ExpectXclient, Response::Ok(_)) => {
                self.introduced = true;
                self.ask_capa()
            }
            (State::ExpectXclient, _) => self.broken(Fault::Forwarding),
            (State::ExpectCapa, Response::Ok(_)) => {
                self.state = State::ExpectCapability { heard: 0 };
                nothing()
            }
            // Older than RFC 2449: there is USER, and nothing else.
            (State::ExpectCapa, Response::Err(_)) => {
                self.offered = Offered { sasl: Vec::new(), native: true };
                self.ready()
            }
            // A refusal leaves the mode that every client reads.
            (State::ExpectUtf8, Response::Ok(_) | Response::Err(_)) => self.ready(),
            (State::ExpectUser, Response::Ok(_)) => {
                self.state = State::ExpectVerdict { relayed: false };
                Step::Write(self.pieces.pop_front().unwrap_or_default())
            }
            (State::ExpectUser, Response::Err(text)) => self.refused(line, text),
            (State::ExpectVerdict { relayed }, response) => self.verdict(line, response, relayed),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn capability(&mut self, line: &[u8], heard: usize) -> Step<BackendEvent> {
        if line == b"." {
            return self.enter_utf8();
        }
        if heard == MAX_CAPABILITIES {
            return self.broken(Fault::Protocol);
        }
        response::add_capability(&mut self.offered, line);
        self.takes_utf8 |= response::is_utf8(line);
        self.state = State::ExpectCapability { heard: heard + 1 };
        nothing()
    }

    fn verdict(&mut self, line: &[u8], response: Response<'_>, relayed: bool) -> Step<BackendEvent> {
        match response {
            // A yes to a credential that was not sent yet is the answer to something else.
            Response::Ok(_) if self.pieces.is_empty() => Step::Event(BackendEvent::Accepted(reply(line))),
            Response::Err(text) => self.refused(line, text),
            Response::Continue(text) => {
                self.state = State::ExpectVerdict { relayed };
                self.continuation(text, relayed)
            }
            Response::Ok(_) | Response::Nonsense => self.broken(Fault::Protocol),
        }
    }

    fn refused(&mut self, line: &[u8], text: &[u8]) -> Step<BackendEvent> {
        self.pieces.clear();
        let reply = reply(line);
        Step::Event(if response::is_not_now(text) {
            BackendEvent::NotNow(reply)
        } else {
            BackendEvent::Refused(reply)
        })
    }

    fn continuation(&mut self, text: &[u8], relayed: bool) -> Step<BackendEvent> {
        if let Some(piece) = self.pieces.pop_front() {
            return Step::Write(piece);
        }
        match sasl::decode(text) {
            Some(challenge) if relayed => Step::Event(BackendEvent::Challenge(challenge.expose().to_vec())),
            _ => self.broken(Fault::Protocol),
        }
    }

    /// Next step behind the greeting and the handshake: encryption first, then XCLIENT.
    fn introduce(&mut self) -> Step<BackendEvent> {
        if self.context.starttls {
            self.context.starttls = false;
            return self.send("STLS", State::ExpectStls);
        }
        let forward = self.context.forward.as_ref().filter(|_| self.takes_xclient);
        match forward
            .and_then(|forward| xclient::attributes(Style::Bare, b"", forward, &self.context.client_info))
        {
            Some(attributes) => self.send(&format!("XCLIENT {attributes}"), State::ExpectXclient),
            None => self.ask_capa(),
        }
    }

    fn ask_capa(&mut self) -> Step<BackendEvent> {
        self.send("CAPA", State::ExpectCapa)
    }

    /// The mode that the client chose before its backend was known.
    fn enter_utf8(&mut self) -> Step<BackendEvent> {
        if self.context.client_info.utf8 && self.takes_utf8 {
            return self.send("UTF8", State::ExpectUtf8);
        }
        self.ready()
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

    /// `AUTH` without an initial response: RFC 5034 section 4 bounds its line at 255 octets, and servers of
    /// RFC 1734 take none.
    fn sasl(
        &mut self,
        mechanism: &str,
        pieces: impl IntoIterator<Item = Secret>,
        relayed: bool,
    ) -> Step<BackendEvent> {
        self.pieces.extend(pieces);
        self.send(&format!("AUTH {mechanism}"), State::ExpectVerdict { relayed })
    }

    /// `USER` and `PASS`, whose arguments end where the line does: what cannot stand there is not sent.
    fn login(&mut self, user: &Secret, password: &Secret) -> Step<BackendEvent> {
        let is_fit = |text: &Secret| !text.expose().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'));
        if !is_fit(user) || !is_fit(password) {
            return self.broken(Fault::NoMechanism);
        }
        self.pieces.push_back(command("PASS ", password));
        self.state = State::ExpectUser;
        Step::Write(command("USER ", user))
    }
}

impl Machine for Replay {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        if matches!(self.state, State::Secured) {
            return self.introduce();
        }
        if matches!(self.state, State::Ready | State::Over) {
            return Step::NeedMore;
        }
        loop {
            let found = match self.lines.find(inbox.unread(), MAX_LINE) {
                Found::NeedMore if !inbox.is_full() => return Step::NeedMore,
                Found::NeedMore | Found::TooLong => return self.broken(Fault::Protocol),
                Found::Line(found) => found,
            };
            let line = inbox.unread()[..found.text].to_vec();
            inbox.consume(found.whole);
            match self.response(&line, inbox.unread().is_empty()) {
                Step::Write(nothing) if nothing.is_empty() => {}
                step if step.is_question() && !inbox.unread().is_empty() => {
                    return self.broken(Fault::Protocol);
                }
                step => return step,
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
        match LoginMethod::choose(&attempt.credential, &self.offered) {
            None => self.broken(Fault::NoMechanism),
            Some(LoginMethod::Sasl { mechanism, initial, relayed }) => {
                self.sasl(mechanism.name(), [sasl::line(&initial)], relayed)
            }
            Some(LoginMethod::Native { user, password }) => self.login(&user, &password),
            Some(LoginMethod::Prompts { user, password }) => {
                self.sasl("LOGIN", [sasl::line(&user), sasl::line(&password)], false)
            }
        }
    }

    fn respond(&mut self, response: Secret) -> Secret {
        sasl::line(&response)
    }
}

fn nothing() -> Step<BackendEvent> {
    Step::Write(Secret::default())
}

fn reply(line: &[u8]) -> Reply {
    Reply { before: Vec::new(), last: [line, b"\r\n"].concat() }
}

fn command(keyword: &str, argument: &Secret) -> Secret {
    let mut line = Secret::with_capacity(keyword.len() + argument.len() + 2);
    line.extend(keyword.as_bytes());
    line.extend(argument.expose());
    line.extend(b"\r\n");
    line
}
