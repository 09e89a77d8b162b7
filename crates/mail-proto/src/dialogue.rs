//! The server side of every text protocol before login: one state machine for SASL exchanges, STARTTLS, the rule for
//! cleartext passwords and the limit on unknown commands.
//!
//! A protocol supplies a [`Grammar`]: how its commands are parsed and how its replies are written. What must never
//! happen here: an exchange starts with a mechanism that is not permitted on the connection; input is parsed as a
//! command while a verdict or a SASL response is pending; a response that is not base64 reaches a backend.

use crate::inbox::Inbox;
use crate::step::{Channel, ClientEvent, DialogueContext, Machine, Step};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Credential, Mechanism};
use credentials::sasl::{self, Exchange, Progress, ResponseLine};
use types::secret::Secret;

/// The server as the client sees it until a backend accepts the login.
#[derive(Debug)]
pub struct Dialogue<G> {
    context: DialogueContext,
    grammar: G,
    /// Unknown commands since the connection or the TLS session began.
    unknown: u32,
    state: DialogueState,
}

/// What one protocol adds to a [`Dialogue`]. A value holds what the client has reported about itself; the default is a
/// new connection, and a connection on which TLS has just begun.
pub trait Grammar: Default + Send + Sync {
    /// Returns the greeting.
    fn greet(&self, context: &DialogueContext) -> Vec<u8>;

    /// Returns what the server sends first after the handshake that STARTTLS began.
    fn secured(&self, _context: &DialogueContext) -> Vec<u8> {
        Vec::new()
    }

    /// Reads the next command.
    fn command(&mut self, context: &DialogueContext, inbox: &mut Inbox) -> CommandOutcome;

    /// Reads the next line of a SASL exchange.
    fn line(&mut self, inbox: &mut Inbox) -> SaslLine;

    /// Returns what the client has reported about itself, for the attempt that it makes now.
    fn client_info(&mut self) -> ClientInfo;

    /// Returns the reply to the command that was read last.
    fn standard_reply(&self, reply: StandardReply) -> Vec<u8>;

    /// Returns a challenge; an empty one asks for the initial response.
    fn challenge(&self, data: &[u8]) -> Vec<u8>;

    /// Returns the reply that ends an attempt.
    fn verdict(&self, verdict: Verdict) -> Vec<u8>;

    /// Returns what is sent before the connection is closed.
    fn farewell(why: CloseReason) -> Vec<u8>;

    /// Returns the reply to the unknown command that exceeds the limit. `reply` is what the earlier ones got.
    fn too_many_unknown(&self, reply: Vec<u8>) -> Vec<u8>;
}

/// What the [`Dialogue`] does with a command.
#[derive(Debug)]
#[must_use]
pub enum CommandOutcome {
    /// The command is incomplete.
    NeedMore,
    /// Send this reply, and read the next command.
    Reply(Vec<u8>),
    /// Send this reply to an unknown command, and count it.
    Unknown(Vec<u8>),
    /// Send this reply, and close the connection.
    Close(Vec<u8>),
    /// STARTTLS or STLS.
    StartTls,
    /// The protocol's own login command.
    Login {
        /// The user name, with quotes and literals decoded.
        user: Secret,
        /// The password, with quotes and literals decoded.
        password: Secret,
    },
    /// The start of a SASL exchange.
    Auth {
        /// `None` for a mechanism that is not in the table of mechanisms.
        mechanism: Option<Mechanism>,
        /// The initial response in base64, if the command had one.
        initial: Option<Secret>,
    },
}

/// A line of a SASL exchange.
#[derive(Debug)]
#[must_use]
pub enum SaslLine {
    /// The line is incomplete.
    NeedMore,
    /// The client's response.
    Response(ResponseLine),
    /// The line is too long: send this reply, and close the connection.
    Close(Vec<u8>),
}

/// The replies that every protocol has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardReply {
    /// The mechanism is unknown, or it is not offered.
    UnknownMechanism,
    /// A cleartext password or token is refused on a connection in this state, before it is read where the protocol
    /// allows that.
    CleartextRefused(Channel),
    /// The initial response is not base64.
    InvalidInitialResponse,
    /// The response to a challenge of ours is not base64.
    InvalidResponse,
    /// The client sent `*` in response to a challenge of ours.
    Cancelled,
    /// STARTTLS is accepted; the handshake begins.
    BeginTls,
    /// STARTTLS on an encrypted connection.
    AlreadyEncrypted,
    /// STARTTLS on a connection where it is not offered.
    StartTlsUnavailable,
}

/// Longest command line, in bytes, as in Dovecot. Lines with a SASL message or with the pairs of an `ID` may be longer.
pub(crate) const MAX_COMMAND: usize = 8 * 1024;

/// Unknown commands after which the connection is closed.
const MAX_UNKNOWN: u32 = 10;

#[derive(Debug)]
enum DialogueState {
    ExpectCommand,
    /// A response in the part of a SASL exchange that the proxy runs itself.
    ExpectSasl(Exchange),
    /// The attempt was reported to the caller.
    ExpectVerdict,
    /// A backend's challenge was passed on.
    ExpectResponse,
    /// The login succeeded, or a farewell was sent.
    Over,
}

// === impl Dialogue ===

impl<G: Grammar> Dialogue<G> {
    /// Creates a dialogue that has not sent its greeting yet.
    #[must_use]
    pub fn new(context: DialogueContext) -> Self {
        Self { context, grammar: G::default(), unknown: 0, state: DialogueState::ExpectCommand }
    }

    /// Returns what a client is sent before its connection is closed, also in the middle of a session.
    #[must_use]
    pub fn farewell_for(why: CloseReason) -> Vec<u8> {
        G::farewell(why)
    }

    fn carry_out(&mut self, outcome: CommandOutcome) -> Step<ClientEvent> {
        match outcome {
            CommandOutcome::NeedMore => Step::NeedMore,
            CommandOutcome::Reply(reply) => write(reply),
            CommandOutcome::Unknown(reply) => self.unknown(reply),
            CommandOutcome::Close(reply) => self.close(reply),
            CommandOutcome::StartTls => self.starttls(),
            CommandOutcome::Login { user, password } if self.context.takes_passwords() => {
                self.attempt(Credential::Password { user, password })
            }
            CommandOutcome::Login { .. } => {
                self.standard_reply(StandardReply::CleartextRefused(self.context.channel))
            }
            CommandOutcome::Auth { mechanism, initial } => self.auth(mechanism, initial.as_ref()),
        }
    }

    fn unknown(&mut self, reply: Vec<u8>) -> Step<ClientEvent> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN {
            write(reply)
        } else {
            self.close(self.grammar.too_many_unknown(reply))
        }
    }

    fn starttls(&self) -> Step<ClientEvent> {
        match self.context.channel {
            Channel::Upgradable => {
                Step::StartTls(Secret::new(self.grammar.standard_reply(StandardReply::BeginTls)))
            }
            Channel::Encrypted => self.standard_reply(StandardReply::AlreadyEncrypted),
            Channel::Plain => self.standard_reply(StandardReply::StartTlsUnavailable),
        }
    }

    fn auth(&mut self, mechanism: Option<Mechanism>, initial: Option<&Secret>) -> Step<ClientEvent> {
        let Some(mechanism) = mechanism.filter(|mechanism| self.context.offer.sasl.contains(mechanism))
        else {
            return self.standard_reply(StandardReply::UnknownMechanism);
        };
        if !self.context.permits(mechanism) {
            return self.standard_reply(StandardReply::CleartextRefused(self.context.channel));
        }
        match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => self.standard_reply(StandardReply::InvalidInitialResponse),
            Some(decoded) => self.exchange(Exchange::begin(mechanism, decoded)),
            None => self.exchange(Exchange::begin(mechanism, None)),
        }
    }

    fn exchange(&mut self, progress: Progress) -> Step<ClientEvent> {
        match progress {
            Progress::Done(credential) => self.attempt(credential),
            Progress::Prompt(exchange, prompt) => {
                self.state = DialogueState::ExpectSasl(exchange);
                write(self.grammar.challenge(prompt))
            }
        }
    }

    fn attempt(&mut self, credential: Credential) -> Step<ClientEvent> {
        self.state = DialogueState::ExpectVerdict;
        Step::Event(ClientEvent::Attempt(Attempt { credential, client_info: self.grammar.client_info() }))
    }

    /// Handles the response to a prompt of ours or to a backend's challenge.
    fn respond(&mut self, response: ResponseLine) -> Step<ClientEvent> {
        match (std::mem::replace(&mut self.state, DialogueState::ExpectCommand), response) {
            (DialogueState::ExpectSasl(exchange), ResponseLine::Message(message)) => {
                self.exchange(exchange.respond(message))
            }
            (DialogueState::ExpectSasl(_), ResponseLine::Cancelled) => {
                self.standard_reply(StandardReply::Cancelled)
            }
            (DialogueState::ExpectSasl(_), ResponseLine::Invalid) => {
                self.standard_reply(StandardReply::InvalidResponse)
            }
            (_, ResponseLine::Message(message)) => {
                self.state = DialogueState::ExpectVerdict;
                Step::Event(ClientEvent::Response(message))
            }
            // A response that is not base64 cancels the exchange as `*` does: the backend must not receive it.
            (_, ResponseLine::Cancelled | ResponseLine::Invalid) => {
                self.state = DialogueState::ExpectVerdict;
                Step::Event(ClientEvent::Cancelled)
            }
        }
    }

    fn standard_reply(&self, reply: StandardReply) -> Step<ClientEvent> {
        write(self.grammar.standard_reply(reply))
    }

    fn close(&mut self, reply: Vec<u8>) -> Step<ClientEvent> {
        self.state = DialogueState::Over;
        Step::Close(reply)
    }
}

impl<G: Grammar> Machine for Dialogue<G> {
    type Event = ClientEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<ClientEvent> {
        match &self.state {
            DialogueState::ExpectCommand => {
                let outcome = self.grammar.command(&self.context, inbox);
                self.carry_out(outcome)
            }
            DialogueState::ExpectSasl(_) | DialogueState::ExpectResponse => match self.grammar.line(inbox) {
                SaslLine::NeedMore => Step::NeedMore,
                SaslLine::Response(response) => self.respond(response),
                SaslLine::Close(reply) => self.close(reply),
            },
            DialogueState::ExpectVerdict => Step::NeedMore,
            DialogueState::Over => Step::Close(Vec::new()),
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        // Everything that the client reported before the handshake is discarded (RFC 9051 section 6.2.1, RFC 2595 section 4,
        // RFC 3207 section 4.2, RFC 5804 section 2.2).
        self.context.channel = Channel::Encrypted;
        *self = Self::new(self.context.clone());
        self.grammar.secured(&self.context)
    }
}

impl<G: Grammar> crate::step::Dialogue for Dialogue<G> {
    fn greet(&mut self) -> Vec<u8> {
        self.grammar.greet(&self.context)
    }

    fn answer(&mut self, verdict: Verdict) -> Vec<u8> {
        if !matches!(self.state, DialogueState::ExpectVerdict) {
            return Vec::new();
        }
        let is_over = matches!(verdict, Verdict::Accepted(_));
        self.state = if is_over { DialogueState::Over } else { DialogueState::ExpectCommand };
        self.grammar.verdict(verdict)
    }

    fn challenge(&mut self, data: &[u8]) -> Vec<u8> {
        if matches!(self.state, DialogueState::ExpectVerdict) {
            self.state = DialogueState::ExpectResponse;
        }
        self.grammar.challenge(data)
    }

    fn farewell(&mut self, why: CloseReason) -> Vec<u8> {
        self.state = DialogueState::Over;
        G::farewell(why)
    }
}

fn write(reply: Vec<u8>) -> Step<ClientEvent> {
    Step::Write(Secret::new(reply))
}
