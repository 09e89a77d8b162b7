//! The client's side of every text protocol, towards a backend: one engine, and a grammar for each protocol.
//!
//! The backend is checked as strictly as the client is: until it has sent what the protocol demands, no credential
//! leaves. The rules that keep it so stand here, once: nothing may wait unread when a question is asked, nothing may
//! follow the answer to STARTTLS in the clear, and a yes before the whole credential was sent is not a yes to it.
//!
//! ```text
//! greeting ──▶ [STARTTLS] ──▶ [capabilities] ──▶ [XCLIENT or ID] ──▶ Ready ──▶ credential ⇄ challenges ──▶ verdict
//! ```

use std::collections::VecDeque;
use std::fmt;

use credentials::attempt::Attempt;
use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use crate::inbox::Inbox;
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;

/// Our side of one connection to a backend.
#[derive(Debug)]
pub struct Replay<G> {
    context: ReplayContext,
    grammar: G,
    /// Parts of the credential that the backend has not asked for yet.
    unsent: VecDeque<Secret>,
    state: ReplayState,
}

/// How a protocol's backends are read and addressed.
pub trait BackendGrammar: Default + fmt::Debug + Send + Sync {
    /// A whole response.
    type Response;

    /// Whether an answer names its question, as IMAP's tags do. Where it does not, nothing may wait unread when a
    /// question is asked: it would be read as the answer.
    const ANSWERS_ARE_TAGGED: bool;

    /// Reads the next response out of the inbox.
    fn read(&mut self, inbox: &mut Inbox) -> Reading<Self::Response>;

    /// Goes on before the credential, with the response to what was asked last.
    fn introduce(&mut self, response: Self::Response, context: &ReplayContext) -> Introduction;

    /// Goes on after the TLS handshake. What was learnt in the clear does not count.
    fn secured(&mut self, context: &ReplayContext) -> Introduction;

    /// Reads a response to STARTTLS.
    fn starttls(&mut self, response: Self::Response) -> StartTlsAnswer;

    /// Returns what the backend offers for logging in.
    fn offered(&self) -> Offered;

    /// Writes a credential; `None` where the protocol cannot express it.
    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand>;

    /// Reads a response to the credential or to a part of it.
    fn judge(&mut self, response: Self::Response) -> Judgement;

    /// Frames the client's next message of a SASL exchange.
    fn sasl_message(message: &Secret) -> Secret;

    /// Returns the refusal that was received without the response that completes the command.
    fn incomplete_refusal(&mut self) -> Option<Reply> {
        None
    }
}

/// What [`BackendGrammar::read`] found.
#[derive(Debug)]
pub enum Reading<R> {
    /// No whole response.
    NeedMore,
    /// One response.
    Whole(R),
    /// What is no response of the protocol.
    Broken(Fault),
}

/// What is done next before the credential.
#[derive(Debug)]
pub enum Introduction {
    /// Read on.
    Continue,
    /// Send this command, without its line end.
    Send(String),
    /// Send this command although more of the response to the last one may follow.
    SendAmidst(String),
    /// Send this command, and begin TLS when it is accepted.
    StartTls(String),
    /// The backend can take a credential. `introduced`: it has accepted who the client is.
    Ready {
        /// Whether XCLIENT or ID was accepted.
        introduced: bool,
    },
    /// The backend cannot be used.
    Broken(Fault),
}

/// A response to STARTTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTlsAnswer {
    /// Begin the handshake.
    Accepted,
    /// It is not to be had.
    Refused,
    /// This is not the answer yet.
    Ignored,
    /// The backend cannot be used.
    Broken(Fault),
}

/// A credential in a protocol's words.
#[derive(Debug)]
pub struct CredentialCommand {
    /// Sent at once, with its line end.
    pub first: Secret,
    /// Sent part by part, each when the backend asks for more.
    pub rest: Vec<Secret>,
    /// Whether challenges go to the client once all parts are sent.
    pub relayed: bool,
}

/// A response to a credential.
#[derive(Debug)]
pub enum Judgement {
    /// This is not the answer yet.
    Ignored,
    /// The backend asks for more, with this text of a challenge (base64), where it has one.
    More(Option<Vec<u8>>),
    /// The login succeeded, and this command, without its line end, asks for what the client must learn with it.
    Ask(String),
    /// The login succeeded.
    Accepted(Reply),
    /// The login failed.
    Refused(Reply),
    /// The backend asks to try again later.
    NotNow(Reply),
    /// The backend cannot be used for this login.
    Broken(Fault),
}

#[derive(Clone, Copy, Debug)]
enum ReplayState {
    /// The grammar knows which response comes next.
    Introducing,
    ExpectStartTls,
    /// The handshake is done.
    Secured,
    Ready,
    /// A credential is out; challenges go to the client when `relayed`.
    ExpectVerdict {
        relayed: bool,
    },
    Over,
}

// === impl Replay ===

impl<G: BackendGrammar> Replay<G> {
    /// A replay before the backend's greeting.
    #[must_use]
    pub fn new(context: ReplayContext) -> Self {
        Self { context, grammar: G::default(), unsent: VecDeque::new(), state: ReplayState::Introducing }
    }

    /// Judges one response. `is_last`: nothing waits unread after it. Returns `None` to read on.
    fn respond_to(&mut self, response: G::Response, is_last: bool) -> Option<Step<BackendEvent>> {
        match self.state {
            ReplayState::Introducing => {
                let next = self.grammar.introduce(response, &self.context);
                self.introduction(next, is_last)
            }
            ReplayState::ExpectStartTls => match self.grammar.starttls(response) {
                StartTlsAnswer::Accepted if is_last => Some(Step::StartTls(Secret::default())),
                // Bytes after the answer would be read as the encrypted session's: somebody in between sent them.
                StartTlsAnswer::Accepted => Some(self.broken(Fault::StartTlsInjected)),
                StartTlsAnswer::Refused => Some(self.broken(Fault::NoStartTls)),
                StartTlsAnswer::Ignored => None,
                StartTlsAnswer::Broken(fault) => Some(self.broken(fault)),
            },
            ReplayState::ExpectVerdict { relayed } => {
                let judgement = self.grammar.judge(response);
                self.judgement(judgement, relayed, is_last)
            }
            ReplayState::Secured | ReplayState::Ready | ReplayState::Over => None,
        }
    }

    fn introduction(&mut self, next: Introduction, is_last: bool) -> Option<Step<BackendEvent>> {
        let may_ask = is_last || G::ANSWERS_ARE_TAGGED;
        match next {
            Introduction::Continue => None,
            Introduction::SendAmidst(command) => Some(send(&command)),
            Introduction::Broken(fault) => Some(self.broken(fault)),
            // What waits unread would be taken for the answer to a question that is not asked yet.
            Introduction::Send(_) | Introduction::StartTls(_) | Introduction::Ready { .. } if !may_ask => {
                Some(self.broken(Fault::Protocol))
            }
            Introduction::Send(command) => Some(send(&command)),
            Introduction::StartTls(command) => {
                self.context.starttls = false;
                self.state = ReplayState::ExpectStartTls;
                Some(send(&command))
            }
            Introduction::Ready { introduced } => {
                self.state = ReplayState::Ready;
                let introduced = introduced || self.context.forward.is_none();
                Some(Step::Event(BackendEvent::Ready { introduced }))
            }
        }
    }

    fn judgement(
        &mut self,
        judgement: Judgement,
        relayed: bool,
        is_last: bool,
    ) -> Option<Step<BackendEvent>> {
        let event = match judgement {
            Judgement::Ignored => return None,
            Judgement::More(text) => return Some(self.more(text.as_deref(), relayed, is_last)),
            Judgement::Ask(command) if self.unsent.is_empty() => return Some(send(&command)),
            // A yes to a credential that was not sent yet is the answer to something else.
            Judgement::Ask(_) => BackendEvent::Broken(Fault::Protocol),
            Judgement::Accepted(_) if !self.unsent.is_empty() => BackendEvent::Broken(Fault::Protocol),
            Judgement::Accepted(reply) => BackendEvent::Accepted(reply),
            Judgement::Refused(reply) => BackendEvent::Refused(reply),
            Judgement::NotNow(reply) => BackendEvent::NotNow(reply),
            Judgement::Broken(fault) => BackendEvent::Broken(fault),
        };
        self.state = ReplayState::Over;
        self.unsent.clear();
        Some(Step::Event(event))
    }

    /// Sends the next part of the credential, or passes a challenge on.
    fn more(&mut self, text: Option<&[u8]>, relayed: bool, is_last: bool) -> Step<BackendEvent> {
        if let Some(part) = self.unsent.pop_front() {
            if !is_last && !G::ANSWERS_ARE_TAGGED {
                return self.broken(Fault::Protocol);
            }
            return Step::Write(part);
        }
        match text.and_then(sasl::decode) {
            Some(challenge) if relayed => Step::Event(BackendEvent::Challenge(challenge.expose().to_vec())),
            _ => self.broken(Fault::Protocol),
        }
    }

    fn broken(&mut self, fault: Fault) -> Step<BackendEvent> {
        self.state = ReplayState::Over;
        self.unsent.clear();
        Step::Event(BackendEvent::Broken(fault))
    }
}

impl<G: BackendGrammar> Machine for Replay<G> {
    type Event = BackendEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<BackendEvent> {
        match self.state {
            ReplayState::Ready | ReplayState::Over => return Step::NeedMore,
            ReplayState::Secured => {
                self.state = ReplayState::Introducing;
                let next = self.grammar.secured(&self.context);
                // The driver has made sure that nothing was received before the handshake.
                if let Some(step) = self.introduction(next, true) {
                    return step;
                }
            }
            _ => {}
        }
        loop {
            let response = match self.grammar.read(inbox) {
                Reading::NeedMore if inbox.is_full() => return self.broken(Fault::Protocol),
                Reading::NeedMore => return Step::NeedMore,
                Reading::Broken(fault) => return self.broken(fault),
                Reading::Whole(response) => response,
            };
            if let Some(step) = self.respond_to(response, inbox.unread().is_empty()) {
                return step;
            }
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        self.state = ReplayState::Secured;
        Vec::new()
    }
}

impl<G: BackendGrammar> crate::step::Replay for Replay<G> {
    fn authenticate(&mut self, attempt: &Attempt) -> Step<BackendEvent> {
        let method = LoginMethod::choose(&attempt.credential, &self.grammar.offered());
        match method.and_then(|method| self.grammar.credential(method)) {
            Some(CredentialCommand { first, rest, relayed }) => {
                self.unsent.extend(rest);
                self.state = ReplayState::ExpectVerdict { relayed };
                Step::Write(first)
            }
            None => self.broken(Fault::NoMechanism),
        }
    }

    fn respond(&mut self, response: Secret) -> Secret {
        G::sasl_message(&response)
    }

    fn incomplete_refusal(&mut self) -> Option<Reply> {
        match self.state {
            ReplayState::ExpectVerdict { .. } => self.grammar.incomplete_refusal(),
            _ => None,
        }
    }
}

fn send(command: &str) -> Step<BackendEvent> {
    Step::Write(Secret::new(format!("{command}\r\n").into_bytes()))
}
