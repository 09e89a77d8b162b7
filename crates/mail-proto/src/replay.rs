//! The client side of every text protocol, towards a backend: one state machine, and a grammar for each protocol.
//!
//! A backend is checked as strictly as a client: no credential is sent until the backend has sent what the protocol
//! requires. The rules stand here, once: no input is unread when a command is sent, no cleartext follows the response to
//! STARTTLS, and a success before the whole credential was sent is an error.
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

use crate::account_guard::AccountGuard;
use crate::inbox::Inbox;
use crate::step::{BackendEvent, Machine, ReplayContext, Step};
use crate::verdict::Reply;

/// The client side of one connection to a backend.
#[derive(Debug)]
pub struct Replay<G> {
    context: ReplayContext,
    grammar: G,
    /// Parts of the credential that wait for a continuation request.
    unsent: VecDeque<Secret>,
    state: ReplayState,
}

/// How a protocol's responses are parsed and its commands are written.
pub trait BackendGrammar: Default + fmt::Debug + Send + Sync {
    /// A complete response.
    type Response;

    /// Whether a response names its command, as IMAP's tags do. Where it does not, nothing may be unread when a command
    /// is sent: it would be taken for the response.
    const RESPONSES_ARE_TAGGED: bool;

    /// Reads the next response out of the inbox.
    fn read(&mut self, inbox: &mut Inbox) -> Reading<Self::Response>;

    /// Handles the response to the last command before the credential.
    fn introduce(&mut self, response: Self::Response, context: &ReplayContext) -> Introduction;

    /// Continues after the TLS handshake. Capabilities from before it are discarded.
    fn secured(&mut self, context: &ReplayContext) -> Introduction;

    /// Handles a response to STARTTLS.
    fn starttls(&mut self, response: Self::Response) -> StartTlsAnswer;

    /// Returns the login methods that the backend offers.
    fn offered(&self) -> Offered;

    /// Writes a credential; `None` where the protocol cannot express it.
    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand>;

    /// Handles a response to the credential or to a part of it.
    fn judge(&mut self, response: Self::Response) -> Judgement;

    /// Returns the guard of a session with this backend, once the login has been accepted. `None`: no command changes the
    /// account.
    fn account_guard(&self) -> Option<AccountGuard> {
        None
    }

    /// Writes the client's next message of a SASL exchange as a line.
    fn sasl_message(message: &Secret) -> Secret;

    /// Writes the line that cancels a SASL exchange.
    fn sasl_cancel() -> Secret {
        Secret::copy_of(b"*\r\n")
    }

    /// Returns the refusal that was received without the response that completes the command.
    fn incomplete_refusal(&mut self) -> Option<Reply> {
        None
    }
}

/// The result of [`BackendGrammar::read`].
#[derive(Debug)]
pub enum Reading<R> {
    /// The response is incomplete.
    NeedMore,
    /// A complete response.
    Whole(R),
    /// Not a response of the protocol.
    Broken(Fault),
}

/// The next step before the credential.
#[derive(Debug)]
pub enum Introduction {
    /// Read the next response.
    Continue,
    /// Send this command, without its line end.
    Send(String),
    /// Send this command before the response to the last one is known to be complete.
    SendPipelined(String),
    /// Send this command, and begin TLS when it is accepted.
    StartTls(String),
    /// The credential can be sent.
    Ready {
        /// Whether the backend accepted the client's address (XCLIENT or ID).
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
    /// STARTTLS was refused.
    Refused,
    /// Not the final response.
    Ignored,
    /// The backend cannot be used.
    Broken(Fault),
}

/// A credential as the protocol's commands.
#[derive(Debug)]
pub struct CredentialCommand {
    /// Sent at once, with its line end.
    pub first: Secret,
    /// Sent part by part, each after a continuation request.
    pub rest: Vec<Secret>,
    /// Whether later challenges are passed to the client.
    pub relayed: bool,
}

/// A response to a credential.
#[derive(Debug)]
pub enum Judgement {
    /// Not the final response.
    Ignored,
    /// A continuation request, with the challenge in base64 where it has one.
    More(Option<Vec<u8>>),
    /// The login succeeded, and this command, without its line end, asks for what the client must learn with it.
    Ask(String),
    /// The login succeeded.
    Accepted(Reply),
    /// The login failed.
    Refused(Reply),
    /// The backend asks to try again later.
    NotNow(Reply),
    /// The backend cannot be used.
    Broken(Fault),
}

#[derive(Clone, Copy, Debug)]
enum ReplayState {
    /// Before the credential; the grammar knows which response it expects.
    Introducing,
    ExpectStartTls,
    /// The TLS handshake is complete.
    Secured,
    Ready,
    /// The credential was sent; challenges go to the client when `relayed`.
    ExpectVerdict {
        relayed: bool,
    },
    Over,
}

// === impl Replay ===

impl<G: BackendGrammar> Replay<G> {
    /// Creates a replay that expects the backend's greeting.
    #[must_use]
    pub fn new(context: ReplayContext) -> Self {
        Self { context, grammar: G::default(), unsent: VecDeque::new(), state: ReplayState::Introducing }
    }

    /// Handles one response. `is_last`: no input is unread after it. Returns `None` to read the next one.
    fn respond_to(&mut self, response: G::Response, is_last: bool) -> Option<Step<BackendEvent>> {
        match self.state {
            ReplayState::Introducing => {
                let next = self.grammar.introduce(response, &self.context);
                self.introduction(next, is_last)
            }
            ReplayState::ExpectStartTls => match self.grammar.starttls(response) {
                StartTlsAnswer::Accepted if is_last => Some(Step::StartTls(Secret::default())),
                // Cleartext after the response was injected by an attacker on the network.
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
        let may_send = is_last || G::RESPONSES_ARE_TAGGED;
        match next {
            Introduction::Continue => None,
            Introduction::SendPipelined(command) => Some(send(&command)),
            Introduction::Broken(fault) => Some(self.broken(fault)),
            // Unread input would be taken for the response to the command that is sent now.
            Introduction::Send(_) | Introduction::StartTls(_) | Introduction::Ready { .. } if !may_send => {
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
            // A success before the whole credential was sent is not the result of this login.
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

    /// Sends the next part of the credential, or passes the challenge to the client.
    fn more(&mut self, text: Option<&[u8]>, relayed: bool, is_last: bool) -> Step<BackendEvent> {
        if let Some(part) = self.unsent.pop_front() {
            if !is_last && !G::RESPONSES_ARE_TAGGED {
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
                // The caller has checked that no cleartext follows the response to STARTTLS.
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
        let offered = self.grammar.offered();
        let method = LoginMethod::choose(&attempt.credential, &offered);
        match method.and_then(|method| self.grammar.credential(method)) {
            Some(CredentialCommand { first, rest, relayed }) => {
                self.unsent.extend(rest);
                self.state = ReplayState::ExpectVerdict { relayed };
                Step::Write(first)
            }
            None if offered.is_empty() => self.broken(Fault::NoMechanism),
            None => {
                self.state = ReplayState::Over;
                Step::Event(BackendEvent::MechanismUnavailable)
            }
        }
    }

    fn respond(&mut self, response: Secret) -> Secret {
        G::sasl_message(&response)
    }

    fn cancel(&mut self) -> Secret {
        self.state = ReplayState::ExpectVerdict { relayed: false };
        G::sasl_cancel()
    }

    fn account_guard(&self) -> Option<AccountGuard> {
        self.grammar.account_guard()
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
