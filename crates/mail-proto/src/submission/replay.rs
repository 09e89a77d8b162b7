//! Submission's client side: greeting, EHLO, STARTTLS, XCLIENT and the login at a backend.
//!
//! The backend is checked as hard as the client is: until it has said what the protocol demands, no
//! credential leaves.

use std::collections::VecDeque;

use super::response::{Gathered, Gatherer, Keywords, Response};
use crate::inbox::Inbox;
use crate::line::{Found, Lines};
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;
use crate::xclient::{self, Style};
use credentials::attempt::Attempt;
use credentials::sasl::{self, LoginMethod};
use types::fault::Fault;
use types::secret::Secret;

/// Longest line of a backend's.
const MAX_LINE: usize = 64 * 1024;
/// Longest command line with an initial response (RFC 4954 section 4: the 512 octets of RFC 5321 section
/// 4.5.3.1.4, line end included); longer ones wait for their 334.
const MAX_COMMAND: usize = 512;

/// The client, as a backend sees it.
#[derive(Debug)]
pub struct Replay {
    context: ReplayContext,
    lines: Lines,
    gatherer: Gatherer,
    /// From the last `EHLO`; what was said before a handshake or XCLIENT does not count.
    keywords: Keywords,
    /// Whether XCLIENT was said and taken. It is said once: Postfix takes no second one.
    introduced: bool,
    /// What is sent at the next 334s.
    pieces: VecDeque<Secret>,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectGreeting,
    /// `EHLO` was said, in the client's name when `borrowed`.
    ExpectEhlo {
        borrowed: bool,
    },
    ExpectStartTls,
    /// The handshake is done.
    Secured,
    /// The greeting that starts over.
    ExpectXclient,
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
            lines: Lines::new(),
            gatherer: Gatherer::default(),
            keywords: Keywords::default(),
            introduced: false,
            pieces: VecDeque::new(),
            state: State::ExpectGreeting,
        }
    }

    fn response(&mut self, response: Response, is_last: bool) -> Step<BackendEvent> {
        match (std::mem::replace(&mut self.state, State::Over), &response.code) {
            (State::ExpectGreeting, b"220") => self.say_ehlo(false),
            (State::ExpectGreeting, _) => self.broken(Fault::Greeting),
            (State::ExpectVerdict { relayed }, _) => self.verdict(response, relayed),
            // RFC 5321 section 3.8: the server closes, whatever was asked.
            (_, b"421") => self.broken(Fault::Closed),
            (State::ExpectEhlo { .. }, b"250") => {
                self.keywords = Keywords::parse(&response);
                self.introduce()
            }
            // A name that a client made up must not make the backend look broken.
            (State::ExpectEhlo { borrowed: true }, [b'5', ..]) => self.say_ehlo(false),
            (State::ExpectStartTls, b"220") if is_last => Step::StartTls(Secret::default()),
            // Bytes behind the 220 would be read as the encrypted session's: somebody put them there.
            (State::ExpectStartTls, b"220") => self.broken(Fault::StartTlsInjected),
            (State::ExpectStartTls, _) => self.broken(Fault::NoStartTls),
            (State::ExpectXclient, b"220") => {
                self.introduced = true;
                self.say_ehlo(true)
            }
            // Perhaps half applied (Postfix).
            (State::ExpectXclient, _) => self.broken(Fault::Forwarding),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn verdict(&mut self, response: Response, relayed: bool) -> Step<BackendEvent> {
        let reply = |whole| Reply { before: Vec::new(), last: whole };
        match &response.code {
            // A yes to a credential that was not sent yet is the answer to something else.
            b"235" if self.pieces.is_empty() => Step::Event(BackendEvent::Accepted(reply(response.whole))),
            b"334" => {
                self.state = State::ExpectVerdict { relayed };
                self.continuation(&response, relayed)
            }
            // Not of the login: the mechanism is none of its after all, or it wants encryption first.
            b"504" | b"530" | b"538" => self.broken(Fault::NoMechanism),
            [b'4', ..] => Step::Event(BackendEvent::NotNow(reply(response.whole))),
            [b'5', ..] => Step::Event(BackendEvent::Refused(reply(response.whole))),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn continuation(&mut self, response: &Response, relayed: bool) -> Step<BackendEvent> {
        if let Some(piece) = self.pieces.pop_front() {
            return Step::Write(piece);
        }
        let [text] = &response.texts[..] else {
            return self.broken(Fault::Protocol);
        };
        match sasl::decode(text) {
            Some(challenge) if relayed => Step::Event(BackendEvent::Challenge(challenge.expose().to_vec())),
            _ => self.broken(Fault::Protocol),
        }
    }

    /// Behind XCLIENT it is the client's session: servers take the name for their `Received` lines from the
    /// last `EHLO`, whatever XCLIENT said.
    fn say_ehlo(&mut self, in_the_clients_name: bool) -> Step<BackendEvent> {
        let borrowed = xclient::helo(&self.context.client_info).filter(|_| in_the_clients_name);
        let command = format!("EHLO {}", borrowed.unwrap_or(&self.context.hostname));
        let next = State::ExpectEhlo { borrowed: borrowed.is_some() };
        self.send(&command, next)
    }

    /// Next step once the keywords are known: encryption first, then XCLIENT.
    fn introduce(&mut self) -> Step<BackendEvent> {
        if self.context.starttls {
            if !self.keywords.starttls {
                return self.broken(Fault::NoStartTls);
            }
            self.context.starttls = false;
            return self.send("STARTTLS", State::ExpectStartTls);
        }
        match self.attributes() {
            Some(attributes) => self.send(&format!("XCLIENT {attributes}"), State::ExpectXclient),
            None => self.ready(),
        }
    }

    /// What is still to be told of the client, and can be.
    fn attributes(&self) -> Option<String> {
        let forward = self.context.forward.as_ref().filter(|_| !self.introduced)?;
        let announced = self.keywords.xclient.as_deref()?;
        xclient::attributes(Style::Smtp, announced, forward, &self.context.client_info)
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

    fn sasl(&mut self, mechanism: &str, initial: &Secret, relayed: bool) -> Step<BackendEvent> {
        self.state = State::ExpectVerdict { relayed };
        let mut line = Secret::with_capacity(MAX_COMMAND);
        line.extend(format!("AUTH {mechanism}").as_bytes());
        let length = initial.len().div_ceil(3) * 4;
        if line.len() + " \r\n".len() + length.max("=".len()) <= MAX_COMMAND {
            line.extend(b" ");
            sasl::encode_initial_into(&mut line, initial.expose());
        } else {
            self.pieces.push_back(sasl::line(initial));
        }
        line.extend(b"\r\n");
        Step::Write(line)
    }
}

impl Machine for Replay {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        if matches!(self.state, State::Secured) {
            return self.say_ehlo(false);
        }
        if matches!(self.state, State::Ready | State::Over) {
            return Step::NeedMore;
        }
        let nonsense =
            if matches!(self.state, State::ExpectGreeting) { Fault::Greeting } else { Fault::Protocol };
        loop {
            let found = match self.lines.find(inbox.unread(), MAX_LINE) {
                Found::NeedMore if !inbox.is_full() => return Step::NeedMore,
                Found::NeedMore | Found::TooLong => return self.broken(Fault::Protocol),
                Found::Line(found) => found,
            };
            let gathered = self.gatherer.line(&inbox.unread()[..found.text]);
            inbox.consume(found.whole);
            match gathered {
                Gathered::NeedMore => {}
                Gathered::Nonsense => return self.broken(nonsense),
                Gathered::Whole(response) => {
                    let is_last = inbox.unread().is_empty();
                    return match self.response(response, is_last) {
                        step if step.is_question() && !is_last => self.broken(Fault::Protocol),
                        step => step,
                    };
                }
            }
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        self.state = State::Secured;
        self.keywords = Keywords::default();
        Vec::new()
    }
}

impl crate::step::Replay for Replay {
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent> {
        match LoginMethod::choose(&attempt.credential, &self.keywords.offered) {
            // SMTP has no login of its own.
            None | Some(LoginMethod::Native { .. }) => self.broken(Fault::NoMechanism),
            Some(LoginMethod::Sasl { mechanism, initial, relayed }) => {
                self.sasl(mechanism.name(), &initial, relayed)
            }
            Some(LoginMethod::Prompts { user, password }) => {
                self.pieces.extend([sasl::line(&user), sasl::line(&password)]);
                self.send("AUTH LOGIN", State::ExpectVerdict { relayed: false })
            }
        }
    }

    fn respond(&mut self, response: Secret) -> Secret {
        sasl::line(&response)
    }
}
