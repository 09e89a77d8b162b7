//! The server's side of every text protocol up to the login, once: the states of a SASL exchange, the rule of
//! what may be used without TLS, what becomes of an attempt, the count of unknown commands.
//!
//! A protocol brings its [`Grammar`]: how its commands are read, and what it says. What must never happen
//! here: a mechanism that the connection does not permit is begun; input is read as a command while a verdict
//! or an answer is awaited; undecodable words of a client's go on to a backend.

use crate::inbox::Inbox;
use crate::step::{Channel, ClientEvent, Machine, Opening, Step};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::{Attempt, ClientInfo, Credential, Mechanism};
use credentials::sasl::{self, Answer, Exchange, Progress};
use types::secret::Secret;

/// The server, as the client sees it before its backend is known.
#[derive(Debug)]
pub struct Dialogue<G> {
    opening: Opening,
    grammar: G,
    unknown: u32,
    state: State,
}

/// What one protocol adds to a [`Dialogue`]. Its value holds what the client has told; the default one is
/// that of a new connection, and of one that has just been encrypted.
pub trait Grammar: Default + Send + Sync {
    /// The first bytes on the connection.
    fn greet(&self, opening: &Opening) -> Vec<u8>;

    /// The first bytes behind a handshake that the client asked for.
    fn secured(&self, _opening: &Opening) -> Vec<u8> {
        Vec::new()
    }

    /// Reads the next command.
    fn command(&mut self, opening: &Opening, inbox: &mut Inbox) -> CommandOutcome;

    /// Reads the next line of a SASL exchange.
    fn line(&mut self, inbox: &mut Inbox) -> Line;

    /// What the client told of itself, for an attempt that it makes now.
    fn client_info(&mut self) -> ClientInfo;

    /// Answers the command that was read last.
    fn say(&self, what: StandardReply) -> Vec<u8>;

    /// A challenge; an empty one asks for the first message.
    fn challenge(&self, data: &[u8]) -> Vec<u8>;

    /// The end of an attempt.
    fn verdict(&self, verdict: Verdict) -> Vec<u8>;

    /// Goodbye.
    fn farewell(why: CloseReason) -> Vec<u8>;

    /// The answer to the last unknown command that is answered at all. `answer` is what the others got.
    fn give_up(&self, answer: Vec<u8>) -> Vec<u8>;
}

/// What a command asks of the [`Dialogue`].
#[derive(Debug)]
#[must_use]
pub enum CommandOutcome {
    /// No whole command is there yet.
    NeedMore,
    /// Answer so, and read on.
    Say(Vec<u8>),
    /// Answer so to what is no command at all. They are counted.
    Unknown(Vec<u8>),
    /// Answer so, and close the connection.
    Close(Vec<u8>),
    /// STARTTLS, or what the protocol calls it.
    StartTls,
    /// The protocol's own command for a user name and a password.
    Login {
        /// Byte for byte as the client meant it.
        user: Secret,
        /// Byte for byte as the client meant it.
        password: Secret,
    },
    /// The start of a SASL exchange.
    Auth {
        /// `None`: a mechanism that we do not know.
        mechanism: Option<Mechanism>,
        /// As it stood on the line, still encoded.
        initial: Option<Secret>,
    },
}

/// A line of a SASL exchange.
#[derive(Debug)]
#[must_use]
pub enum Line {
    /// It is not whole yet.
    NeedMore,
    /// What it says.
    Answer(Answer),
    /// It cannot be taken: answer so, and close the connection.
    Close(Vec<u8>),
}

/// What every protocol has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandardReply {
    /// The mechanism is none of ours.
    Unsupported,
    /// A password is refused on a connection like this one, before it is read where the protocol allows.
    NoPassword(Channel),
    /// The initial response is no base64.
    BadInitial,
    /// The answer to a prompt of ours is no base64.
    BadAnswer,
    /// `*` instead of an answer to a prompt of ours.
    Cancelled,
    /// The handshake begins.
    StartTls,
    /// STARTTLS on an encrypted connection.
    Encrypted,
    /// STARTTLS where it is not offered.
    NoStartTls,
}

/// Longest command line, in bytes; Dovecot's is the same. One with a SASL message may be longer.
pub(crate) const MAX_COMMAND: usize = 8 * 1024;

/// Unknown commands after which we hang up: not a mail client.
const MAX_UNKNOWN: u32 = 10;

#[derive(Debug)]
enum State {
    ExpectCommand,
    /// A line of our own part of a SASL exchange.
    ExpectSasl(Exchange),
    /// An attempt is out.
    ExpectVerdict,
    /// A backend's challenge was passed on.
    ExpectResponse,
    /// Logged in, or goodbye was said.
    Over,
}

// === impl Dialogue ===

impl<G: Grammar> Dialogue<G> {
    /// A dialogue before its greeting.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        Self { opening, grammar: G::default(), unknown: 0, state: State::ExpectCommand }
    }

    fn turn(&mut self, turn: CommandOutcome) -> Step<ClientEvent> {
        match turn {
            CommandOutcome::NeedMore => Step::NeedMore,
            CommandOutcome::Say(words) => write(words),
            CommandOutcome::Unknown(words) => self.unknown(words),
            CommandOutcome::Close(words) => self.close(words),
            CommandOutcome::StartTls => self.starttls(),
            CommandOutcome::Login { user, password } if self.opening.takes_passwords() => {
                self.attempt(Credential::Password { user, password })
            }
            CommandOutcome::Login { .. } => self.say(StandardReply::NoPassword(self.opening.channel)),
            CommandOutcome::Auth { mechanism, initial } => self.auth(mechanism, initial.as_ref()),
        }
    }

    fn unknown(&mut self, words: Vec<u8>) -> Step<ClientEvent> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN { write(words) } else { self.close(self.grammar.give_up(words)) }
    }

    fn starttls(&self) -> Step<ClientEvent> {
        match self.opening.channel {
            Channel::Upgradable => Step::StartTls(Secret::new(self.grammar.say(StandardReply::StartTls))),
            Channel::Encrypted => self.say(StandardReply::Encrypted),
            Channel::Plain => self.say(StandardReply::NoStartTls),
        }
    }

    fn auth(&mut self, mechanism: Option<Mechanism>, initial: Option<&Secret>) -> Step<ClientEvent> {
        let Some(mechanism) = mechanism.filter(|mechanism| self.opening.offer.sasl.contains(mechanism))
        else {
            return self.say(StandardReply::Unsupported);
        };
        if !self.opening.permits(mechanism) {
            return self.say(StandardReply::NoPassword(self.opening.channel));
        }
        match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => self.say(StandardReply::BadInitial),
            Some(decoded) => self.exchange(Exchange::begin(mechanism, decoded)),
            None => self.exchange(Exchange::begin(mechanism, None)),
        }
    }

    fn exchange(&mut self, progress: Progress) -> Step<ClientEvent> {
        match progress {
            Progress::Done(credential) => self.attempt(credential),
            Progress::Prompt(exchange, prompt) => {
                self.state = State::ExpectSasl(exchange);
                write(self.grammar.challenge(prompt))
            }
        }
    }

    fn attempt(&mut self, credential: Credential) -> Step<ClientEvent> {
        self.state = State::ExpectVerdict;
        Step::Event(ClientEvent::Attempt(Attempt { credential, client_info: self.grammar.client_info() }))
    }

    /// An answer within a SASL exchange: to a prompt of ours, or to a backend's challenge.
    fn answered(&mut self, answer: Answer) -> Step<ClientEvent> {
        match (std::mem::replace(&mut self.state, State::ExpectCommand), answer) {
            (State::ExpectSasl(exchange), Answer::Message(message)) => {
                self.exchange(exchange.answer(message))
            }
            (State::ExpectSasl(_), Answer::Cancelled) => self.say(StandardReply::Cancelled),
            (State::ExpectSasl(_), Answer::Garbage) => self.say(StandardReply::BadAnswer),
            (_, Answer::Message(message)) => {
                self.state = State::ExpectVerdict;
                Step::Event(ClientEvent::Response(message))
            }
            // Undecodable words cancel the exchange just as `*` does: the backend must not see them.
            (_, Answer::Cancelled | Answer::Garbage) => {
                self.state = State::ExpectVerdict;
                Step::Event(ClientEvent::Cancelled)
            }
        }
    }

    fn say(&self, what: StandardReply) -> Step<ClientEvent> {
        write(self.grammar.say(what))
    }

    fn close(&mut self, words: Vec<u8>) -> Step<ClientEvent> {
        self.state = State::Over;
        Step::Close(words)
    }
}

impl<G: Grammar> Machine for Dialogue<G> {
    type Event = ClientEvent;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<ClientEvent> {
        match &self.state {
            State::ExpectCommand => {
                let turn = self.grammar.command(&self.opening, inbox);
                self.turn(turn)
            }
            State::ExpectSasl(_) | State::ExpectResponse => match self.grammar.line(inbox) {
                Line::NeedMore => Step::NeedMore,
                Line::Answer(answer) => self.answered(answer),
                Line::Close(words) => self.close(words),
            },
            State::ExpectVerdict => Step::NeedMore,
            State::Over => Step::Close(Vec::new()),
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        // What was learnt before the handshake is forgotten (RFC 9051 section 6.2.1, RFC 2595 section 4,
        // RFC 3207 section 4.2, RFC 5804 section 2.2).
        self.opening.channel = Channel::Encrypted;
        *self = Self::new(self.opening.clone());
        self.grammar.secured(&self.opening)
    }
}

impl<G: Grammar> crate::step::Dialogue for Dialogue<G> {
    fn greet(&mut self) -> Vec<u8> {
        self.grammar.greet(&self.opening)
    }

    fn answer(&mut self, verdict: Verdict) -> Vec<u8> {
        if !matches!(self.state, State::ExpectVerdict) {
            return Vec::new();
        }
        let is_over = matches!(verdict, Verdict::Accepted(_));
        self.state = if is_over { State::Over } else { State::ExpectCommand };
        self.grammar.verdict(verdict)
    }

    fn challenge(&mut self, data: &[u8]) -> Vec<u8> {
        if matches!(self.state, State::ExpectVerdict) {
            self.state = State::ExpectResponse;
        }
        self.grammar.challenge(data)
    }

    fn farewell(&mut self, why: CloseReason) -> Vec<u8> {
        self.state = State::Over;
        G::farewell(why)
    }
}

fn write(words: Vec<u8>) -> Step<ClientEvent> {
    Step::Write(Secret::new(words))
}
