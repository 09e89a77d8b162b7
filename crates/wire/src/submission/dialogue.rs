//! Submission's server side, up to the login (RFC 6409 section 4.3).

use super::command::{self, Command, Mistake};
use super::offer;
use super::words::{self, write, write_line};
use crate::attempt::{Attempt, Credential, Mechanism, Parting, Told, Verdict};
use crate::inbox::Inbox;
use crate::line::{Found, Line, Lines, is_http_request};
use crate::sasl::{self, Exchange, Progress};
use crate::secret::Secret;
use crate::step::{Asked, Channel, Machine, Opening, Step};
use crate::xclient;

/// Longest command line; the other protocols' is the same. `AUTH` may carry a token and have
/// [`sasl::MAX_LINE`].
const MAX_LINE: usize = 8 * 1024;
/// Unknown commands after which we hang up: not a mail client.
const MAX_UNKNOWN: u32 = 10;

const BARE_LINE_FEED: &str = "500 5.5.2 A line ends in CR LF, and nowhere else";

/// The server, as the client sees it before its backend is known.
#[derive(Debug)]
pub struct Dialogue {
    opening: Opening,
    lines: Lines,
    unknown: u32,
    /// What a trusted front told, the client's `HELO` included.
    told: Told,
    /// What this peer said of itself since the greeting.
    hello: Option<Hello>,
    state: State,
}

/// `EHLO` or `HELO`.
#[derive(Debug)]
struct Hello {
    name: Vec<u8>,
    extended: bool,
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
            hello: None,
            state: State::ExpectCommand,
        }
    }

    fn feed_command(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let limit = if command::is_auth(inbox.unread()) { sasl::MAX_LINE } else { MAX_LINE };
        let found = match self.line(inbox, limit, "500 5.5.2 Command line too long") {
            Ok(Some(found)) => found,
            Ok(None) => return Step::NeedMore,
            Err(words) => return self.close(words),
        };
        let line = &inbox.unread()[..found.text];
        let parsed = command::parse(line);
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(line) {
            return self.close("500 5.5.1 This is SMTP");
        }
        inbox.consume(found.whole);
        self.command(parsed)
    }

    /// The next line, if it is whole; or the words to close with.
    fn line(
        &mut self,
        inbox: &Inbox,
        limit: usize,
        too_long: &'static str,
    ) -> Result<Option<Line>, &'static str> {
        match self.lines.find(inbox.unread(), limit) {
            Found::NeedMore if !inbox.is_full() => Ok(None),
            Found::NeedMore | Found::TooLong => Err(too_long),
            Found::Line(found) if found.is_bare() => Err(BARE_LINE_FEED),
            Found::Line(found) => Ok(Some(found)),
        }
    }

    fn command(&mut self, parsed: Result<Command, Mistake>) -> Step<Asked> {
        let command = match parsed {
            Ok(command) => command,
            Err(Mistake::Arguments) => return write_line("501 5.5.4 Error in command arguments"),
            Err(Mistake::ForbiddenByte) => return write_line("500 5.5.2 A byte that no command may hold"),
        };
        match command {
            Command::Hello { name, extended } => self.hello(Hello { name, extended }),
            Command::Noop => write_line("250 2.0.0 Nothing done"),
            Command::Rset => write_line("250 2.0.0 Nothing to reset"),
            Command::Help => write_line("214 2.0.0 Log in with AUTH, then send mail as in RFC 5321"),
            // RFC 5321 section 7.3: what a server says that does not want to tell.
            Command::Verify => write_line("252 2.7.0 Addresses are not verified here"),
            Command::Quit => self.close("221 2.0.0 Goodbye"),
            Command::StartTls => self.starttls(),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial.as_ref()),
            Command::Xclient(arguments) if self.opening.trusts_front => self.xclient(&arguments),
            Command::TooEarly => write_line(offer::too_early(&self.opening)),
            // The bytes behind it are a message's, and must not be read as commands.
            Command::Bdat => self.close(offer::too_early(&self.opening)),
            Command::Xclient(_) | Command::Unknown => self.unknown(),
        }
    }

    fn hello(&mut self, hello: Hello) -> Step<Asked> {
        let words = if hello.extended {
            offer::keywords(&self.opening)
        } else {
            vec![self.opening.advert.hostname.clone()]
        };
        self.hello = Some(hello);
        write(words::listing(&words))
    }

    fn unknown(&mut self) -> Step<Asked> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN {
            write_line("500 5.5.1 Unknown command")
        } else {
            self.close("421 4.7.0 Too many unknown commands")
        }
    }

    fn starttls(&mut self) -> Step<Asked> {
        match self.opening.channel {
            Channel::Upgradable => {
                Step::StartTls(Secret::copy_of(b"220 2.0.0 Begin TLS negotiation now\r\n"))
            }
            Channel::Encrypted => write_line("503 5.5.1 The connection is encrypted already"),
            Channel::Plain => write_line("502 5.5.1 STARTTLS is not available"),
        }
    }

    fn auth(&mut self, mechanism: Option<Mechanism>, initial: Option<&Secret>) -> Step<Asked> {
        if self.hello.is_none() {
            return write_line("503 5.5.1 Send EHLO first");
        }
        let Some(mechanism) = mechanism else {
            return write_line(offer::UNSUPPORTED);
        };
        if let Err(words) = offer::check(&self.opening, mechanism) {
            return write_line(words);
        }
        match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => write_line("501 5.5.2 Invalid base64 in the initial response"),
            Some(decoded) => self.exchange(Exchange::begin(mechanism, decoded)),
            None => self.exchange(Exchange::begin(mechanism, None)),
        }
    }

    /// The session starts over: the greeting comes again, and `EHLO` is due.
    fn xclient(&mut self, arguments: &[u8]) -> Step<Asked> {
        if !xclient::take(&mut self.told, arguments) {
            return write_line("501 5.5.4 Error in XCLIENT attributes");
        }
        self.hello = None;
        write_line(&offer::greeting(&self.opening))
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
        self.state = State::ExpectVerdict;
        let mut told = self.told.clone();
        // A front that told the client's name says EHLO with its own.
        if let (None, Some(hello)) = (&told.helo, &self.hello) {
            told.helo = Some(hello.name.clone());
            told.extended = hello.extended;
        }
        Step::Event(Asked::Attempt(Attempt { credential, told }))
    }

    /// A line of a SASL exchange: base64, or `*` (RFC 4954 section 4).
    fn feed_response(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let found = match self.line(inbox, sasl::MAX_LINE, "500 5.5.6 Response too long") {
            Ok(Some(found)) => found,
            Ok(None) => return Step::NeedMore,
            Err(words) => return self.close(words),
        };
        let text = &inbox.unread()[..found.text];
        let is_cancelled = text == b"*";
        let decoded = sasl::decode(text);
        inbox.consume(found.whole);
        match (std::mem::replace(&mut self.state, State::ExpectCommand), decoded) {
            (State::ExpectSasl(exchange), Some(response)) => self.exchange(exchange.answer(response)),
            (State::ExpectSasl(_), None) if is_cancelled => write_line(words::CANCELLED),
            (State::ExpectSasl(_), None) => write_line("501 5.5.2 Invalid base64 in the response"),
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

    fn close(&mut self, words: &str) -> Step<Asked> {
        self.state = State::Over;
        Step::Close(words::line(words))
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
        // RFC 3207 section 4.2: what was learnt before the handshake is forgotten, EHLO's name included.
        self.opening.channel = Channel::Encrypted;
        *self = Self::new(self.opening.clone());
        Vec::new()
    }
}

impl crate::step::Dialogue for Dialogue {
    fn greet(&mut self) -> Vec<u8> {
        words::line(&offer::greeting(&self.opening))
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
