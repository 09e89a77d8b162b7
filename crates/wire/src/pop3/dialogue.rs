//! POP3's server side, up to the login: the AUTHORIZATION state (RFC 1939 section 4).

use super::command::{self, Command, Mistake};
use super::words::{self, err, ok, write};
use crate::attempt::{Attempt, Credential, Mechanism, Parting, Told, Verdict};
use crate::inbox::Inbox;
use crate::line::{Found, Lines, is_http_request};
use crate::sasl::{self, Exchange, Progress};
use crate::secret::Secret;
use crate::step::{Asked, Channel, Machine, Opening, Step};
use crate::xclient;

/// Longest command line; Dovecot's is the same. `AUTH` may carry a token and have [`sasl::MAX_LINE`].
const MAX_LINE: usize = 8 * 1024;
/// Unknown commands after which we hang up: not a mail client.
const MAX_UNKNOWN: u32 = 10;

/// The server, as the client sees it before its backend is known.
#[derive(Debug)]
pub struct Dialogue {
    opening: Opening,
    lines: Lines,
    unknown: u32,
    told: Told,
    /// The last `USER`, until its `PASS`.
    user: Option<Secret>,
    state: State,
}

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

impl Dialogue {
    /// A dialogue before its greeting.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        Self {
            opening,
            lines: Lines::new(),
            unknown: 0,
            told: Told::default(),
            user: None,
            state: State::ExpectCommand,
        }
    }

    fn feed_command(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let limit = if command::is_auth(inbox.unread()) { sasl::MAX_LINE } else { MAX_LINE };
        let found = match self.lines.find(inbox.unread(), limit) {
            Found::NeedMore if !inbox.is_full() => return Step::NeedMore,
            Found::NeedMore | Found::TooLong => return self.close("Command line too long"),
            Found::Line(found) => found,
        };
        let line = &inbox.unread()[..found.text];
        let parsed = command::parse(line);
        // Only of what is no command of ours: a password may end in `HTTP/1.1`.
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(line) {
            return self.close("This is POP3");
        }
        inbox.consume(found.whole);
        self.command(parsed)
    }

    fn command(&mut self, parsed: Result<Command, Mistake>) -> Step<Asked> {
        let command = match parsed {
            Ok(command) => command,
            Err(Mistake::Arguments) => return err("Error in command arguments"),
            Err(Mistake::ForbiddenByte) => return err("A byte that no command may hold"),
        };
        match command {
            Command::Capa => write(self.capabilities()),
            Command::Noop => ok("Nothing done"),
            Command::Quit => {
                self.state = State::Over;
                Step::Close(b"+OK Logging out\r\n".to_vec())
            }
            Command::Stls => self.stls(),
            Command::User(name) => self.user(name),
            Command::Pass(password) => self.pass(password),
            Command::Mechanisms => write(self.mechanisms()),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial.as_ref()),
            Command::Apop => err("APOP is not offered here"),
            Command::Xclient(arguments) if self.opening.trusts_front => self.xclient(&arguments),
            Command::NotOffered => err("This extension is not offered here"),
            Command::TooEarly => err("Log in first"),
            Command::Xclient(_) | Command::Unknown => self.unknown(),
        }
    }

    fn unknown(&mut self) -> Step<Asked> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN {
            err("Unknown command")
        } else {
            self.close("Too many unknown commands")
        }
    }

    fn stls(&mut self) -> Step<Asked> {
        match self.opening.channel {
            Channel::Upgradable => Step::StartTls(Secret::copy_of(b"+OK Begin TLS negotiation now\r\n")),
            Channel::Encrypted => err("The connection is encrypted already"),
            Channel::Plain => err("STLS is not available"),
        }
    }

    /// `USER` is refused where its `PASS` would be: before the password is sent.
    fn user(&mut self, name: Secret) -> Step<Asked> {
        if !self.opening.takes_passwords() {
            return self.refusal_of_password();
        }
        self.user = Some(name);
        ok("Send the password")
    }

    fn pass(&mut self, password: Secret) -> Step<Asked> {
        if !self.opening.takes_passwords() {
            return self.refusal_of_password();
        }
        match self.user.take() {
            Some(user) => self.attempt(Credential::Password { user, password }),
            None => err("No user name: send USER first"),
        }
    }

    fn auth(&mut self, mechanism: Option<Mechanism>, initial: Option<&Secret>) -> Step<Asked> {
        let Some(mechanism) = mechanism.filter(|mechanism| self.opening.advert.sasl.contains(mechanism))
        else {
            return err("Unsupported authentication mechanism");
        };
        if !self.opening.permits(mechanism) {
            return self.refusal_of_password();
        }
        match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => err("Invalid base64 in the initial response"),
            Some(decoded) => self.exchange(Exchange::begin(mechanism, decoded)),
            None => self.exchange(Exchange::begin(mechanism, None)),
        }
    }

    fn xclient(&mut self, arguments: &[u8]) -> Step<Asked> {
        if xclient::take(&mut self.told, arguments) {
            ok("Updated")
        } else {
            err("Error in XCLIENT attributes")
        }
    }

    fn exchange(&mut self, progress: Progress) -> Step<Asked> {
        match progress {
            Progress::Done(credential) => self.attempt(credential),
            Progress::Prompt(exchange, prompt) => {
                self.state = State::ExpectSasl(exchange);
                write(words::continuation(prompt))
            }
        }
    }

    fn attempt(&mut self, credential: Credential) -> Step<Asked> {
        self.user = None;
        self.state = State::ExpectVerdict;
        Step::Event(Asked::Attempt(Attempt { credential, told: self.told.clone() }))
    }

    /// A line of a SASL exchange: base64, or `*` (RFC 5034 section 4).
    fn feed_response(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            Found::NeedMore if !inbox.is_full() => return Step::NeedMore,
            Found::NeedMore | Found::TooLong => return self.close("Response too long"),
            Found::Line(found) => found,
        };
        let text = &inbox.unread()[..found.text];
        let is_cancelled = text == b"*";
        let decoded = sasl::decode(text);
        inbox.consume(found.whole);
        match (std::mem::replace(&mut self.state, State::ExpectCommand), decoded) {
            (State::ExpectSasl(exchange), Some(response)) => self.exchange(exchange.answer(response)),
            (State::ExpectSasl(_), None) if is_cancelled => err(words::CANCELLED),
            (State::ExpectSasl(_), None) => err("Invalid base64 in the response"),
            (_, Some(response)) => {
                self.state = State::ExpectVerdict;
                Step::Event(Asked::Response(response))
            }
            // Undecodable words cancel the exchange just as `*` does: the backend must not see them.
            (_, None) => {
                self.state = State::ExpectVerdict;
                Step::Event(Asked::Cancelled)
            }
        }
    }

    fn close(&mut self, why: &str) -> Step<Asked> {
        self.state = State::Over;
        Step::Close(words::line("-ERR", why))
    }

    fn refusal_of_password(&self) -> Step<Asked> {
        err(match self.opening.channel {
            Channel::Encrypted => "Password login is not offered here",
            Channel::Upgradable => "Use STLS first",
            Channel::Plain => "Password login needs an encrypted connection",
        })
    }

    /// RFC 2449 section 5. What every server can do, since the backend is not known yet.
    fn capabilities(&self) -> Vec<u8> {
        let mut list: Vec<String> =
            ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING"].map(str::to_owned).to_vec();
        list.extend(self.opening.advert.capabilities.iter().cloned());
        if self.opening.channel == Channel::Upgradable {
            list.push("STLS".to_owned());
        }
        if self.opening.takes_passwords() {
            list.push("USER".to_owned());
        }
        let sasl: Vec<&str> = self.opening.permitted().map(Mechanism::name).collect();
        if !sasl.is_empty() {
            list.push(format!("SASL {}", sasl.join(" ")));
        }
        words::listing("Capability list follows", list.iter().map(String::as_str))
    }

    fn mechanisms(&self) -> Vec<u8> {
        words::listing("Mechanisms follow", self.opening.permitted().map(Mechanism::name))
    }
}

impl Machine for Dialogue {
    type Event = Asked;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        match &self.state {
            State::ExpectCommand => self.feed_command(inbox),
            State::ExpectSasl(_) | State::ExpectResponse => self.feed_response(inbox),
            State::ExpectVerdict => Step::NeedMore,
            State::Over => Step::Close(Vec::new()),
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        // RFC 2595 section 4: what was learnt before the handshake is forgotten.
        self.opening.channel = Channel::Encrypted;
        *self = Self::new(self.opening.clone());
        Vec::new()
    }
}

impl crate::step::Dialogue for Dialogue {
    fn greet(&mut self) -> Vec<u8> {
        let code = if self.opening.trusts_front { "[XCLIENT] " } else { "" };
        format!("+OK {code}{}\r\n", self.opening.advert.banner).into_bytes()
    }

    fn answer(&mut self, verdict: Verdict) -> Vec<u8> {
        if !matches!(self.state, State::ExpectVerdict) {
            return Vec::new();
        }
        let is_over = matches!(verdict, Verdict::Accepted(_));
        self.state = if is_over { State::Over } else { State::ExpectCommand };
        words::verdict(verdict)
    }

    fn challenge(&mut self, data: &[u8]) -> Vec<u8> {
        if matches!(self.state, State::ExpectVerdict) {
            self.state = State::ExpectResponse;
        }
        words::continuation(data)
    }

    fn farewell(&mut self, why: Parting) -> Vec<u8> {
        self.state = State::Over;
        words::farewell(why)
    }
}
