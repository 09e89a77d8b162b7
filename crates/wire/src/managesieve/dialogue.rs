//! ManageSieve's server side, up to the login (RFC 5804 sections 1.7 and 2).

use super::command::{self, Command, Mistake};
use super::words::{self, write, write_line};
use crate::attempt::{Attempt, Credential, Mechanism, Parting, Told, Verdict};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::line::is_http_request;
use crate::sasl::{self, Exchange, Progress};
use crate::secret::Secret;
use crate::step::{Asked, Channel, Machine, Opening, Step};
use crate::xclient;

/// Longest command line, literals not counted. `AUTHENTICATE` may carry a token and has [`MAX_WHOLE`].
const MAX_LINE: usize = 8 * 1024;
/// Longest command with its literals, and longest line of a SASL exchange.
const MAX_WHOLE: usize = sasl::MAX_LINE;
/// Unknown commands after which we hang up: not a Sieve client.
const MAX_UNKNOWN: u32 = 10;

/// The server, as the client sees it before its backend is known.
#[derive(Debug)]
pub struct Dialogue {
    opening: Opening,
    framer: Framer,
    unknown: u32,
    told: Told,
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
            framer: Framer::default(),
            unknown: 0,
            told: Told::default(),
            state: State::ExpectCommand,
        }
    }

    fn feed_command(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let line = if command::is_authenticate(inbox.unread()) { MAX_WHOLE } else { MAX_LINE };
        let frame = match self.frame(inbox, line) {
            Framed::Whole(length) => &inbox.unread()[..length],
            Framed::NeedMore if !inbox.is_full() => return Step::NeedMore,
            // What follows may be the octets of a literal: it must not be read as commands.
            _ => return self.close("Command line or literal too long"),
        };
        let length = frame.len();
        let parsed = command::parse(frame);
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(frame) {
            return self.close("This is ManageSieve");
        }
        inbox.consume(length);
        self.command(parsed)
    }

    /// The next frame. Nobody waits for a go-ahead in this protocol: a literal's octets follow at once.
    fn frame(&mut self, inbox: &Inbox, line: usize) -> Framed {
        let bounds = Bounds { line, whole: MAX_WHOLE, unasked: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                Framed::Announced { .. } => {}
                framed => return framed,
            }
        }
    }

    fn command(&mut self, parsed: Result<Command, Mistake>) -> Step<Asked> {
        let Ok(command) = parsed else {
            return write_line("NO \"Error in command arguments\"");
        };
        match command {
            Command::Capability => write(self.capabilities("Capability completed")),
            Command::Noop(tag) => write(words::noop(tag.as_ref())),
            Command::Logout => {
                self.state = State::Over;
                Step::Close(words::line("OK \"Logging out\""))
            }
            Command::StartTls => self.starttls(),
            Command::Authenticate { mechanism, initial } => self.authenticate(mechanism, initial.as_ref()),
            Command::Xclient(attributes) if self.opening.trusts_front => self.xclient(&attributes),
            Command::TooEarly => write_line("NO \"Log in first\""),
            Command::Xclient(_) | Command::Unknown => self.unknown(),
        }
    }

    fn unknown(&mut self) -> Step<Asked> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN {
            return write_line("NO \"Unknown command\"");
        }
        self.close("Too many unknown commands")
    }

    fn starttls(&mut self) -> Step<Asked> {
        match self.opening.channel {
            Channel::Upgradable => {
                Step::StartTls(Secret::new(words::line("OK \"Begin TLS negotiation now\"")))
            }
            Channel::Encrypted => write_line("NO \"The connection is encrypted already\""),
            Channel::Plain => write_line("NO \"STARTTLS is not available\""),
        }
    }

    fn authenticate(&mut self, mechanism: Option<Mechanism>, initial: Option<&Secret>) -> Step<Asked> {
        let Some(mechanism) = mechanism.filter(|mechanism| self.opening.advert.sasl.contains(mechanism))
        else {
            return write_line("NO \"Unsupported authentication mechanism\"");
        };
        if !self.opening.permits(mechanism) {
            return self.refusal_of_password();
        }
        match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => write_line("NO \"Invalid base64 in the initial response\""),
            Some(decoded) => self.exchange(Exchange::begin(mechanism, decoded)),
            None => self.exchange(Exchange::begin(mechanism, None)),
        }
    }

    /// `OK` alone, as Dovecot says: a capability block behind it would be taken for a challenge by its proxies.
    fn xclient(&mut self, attributes: &[u8]) -> Step<Asked> {
        let is_taken = xclient::take(&mut self.told, attributes);
        write_line(if is_taken { "OK \"Updated\"" } else { "NO \"Error in XCLIENT attributes\"" })
    }

    fn exchange(&mut self, progress: Progress) -> Step<Asked> {
        match progress {
            Progress::Done(credential) => self.attempt(credential),
            Progress::Prompt(exchange, prompt) => {
                self.state = State::ExpectSasl(exchange);
                write(words::challenge(prompt))
            }
        }
    }

    fn attempt(&mut self, credential: Credential) -> Step<Asked> {
        self.state = State::ExpectVerdict;
        Step::Event(Asked::Attempt(Attempt { credential, told: self.told.clone() }))
    }

    /// A line of a SASL exchange: a string of base64, or `*` (RFC 5804 section 2.1).
    fn feed_response(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let length = match self.frame(inbox, MAX_WHOLE) {
            Framed::Whole(length) => length,
            Framed::NeedMore if !inbox.is_full() => return Step::NeedMore,
            _ => return self.close("Response too long"),
        };
        let text = command::response(&inbox.unread()[..length]);
        inbox.consume(length);
        let is_cancelled = text.as_ref().is_some_and(|text| text.expose() == b"*");
        let decoded = text.and_then(|text| sasl::decode(text.expose()));
        match (std::mem::replace(&mut self.state, State::ExpectCommand), decoded) {
            (State::ExpectSasl(exchange), Some(response)) => self.exchange(exchange.answer(response)),
            (State::ExpectSasl(_), None) if is_cancelled => write_line(words::CANCELLED),
            (State::ExpectSasl(_), None) => write_line("NO \"Invalid base64 in the response\""),
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
        Step::Close(words::with_text("BYE", why))
    }

    fn refusal_of_password(&self) -> Step<Asked> {
        write_line(match self.opening.channel {
            Channel::Upgradable => "NO (ENCRYPT-NEEDED) \"Use STARTTLS first\"",
            Channel::Plain | Channel::Encrypted => {
                "NO (ENCRYPT-NEEDED) \"Password login needs an encrypted connection\""
            }
        })
    }

    /// The capability block (RFC 5804 section 1.7) and the `OK` that ends it.
    fn capabilities(&self, text: &str) -> Vec<u8> {
        let advert = &self.opening.advert;
        let sasl: Vec<&str> = self.opening.permitted().map(Mechanism::name).collect();
        let mut out = words::capability("IMPLEMENTATION", Some(&advert.implementation));
        out.extend(words::capability("SIEVE", Some(&advert.capabilities.join(" "))));
        out.extend(words::capability("SASL", Some(&sasl.join(" "))));
        if self.opening.channel == Channel::Upgradable {
            out.extend(words::capability("STARTTLS", None));
        }
        if self.opening.trusts_front {
            out.extend(words::capability("XCLIENT", None));
        }
        out.extend(words::capability("VERSION", Some("1.0")));
        out.extend(words::with_text("OK", text));
        out
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
        // RFC 5804 section 2.2: what was learnt before the handshake is forgotten, and the block comes again.
        self.opening.channel = Channel::Encrypted;
        *self = Self::new(self.opening.clone());
        self.capabilities("TLS negotiation successful")
    }
}

impl crate::step::Dialogue for Dialogue {
    fn greet(&mut self) -> Vec<u8> {
        self.capabilities(&self.opening.advert.banner)
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
        words::challenge(data)
    }

    fn farewell(&mut self, why: Parting) -> Vec<u8> {
        self.state = State::Over;
        words::farewell(why)
    }
}
