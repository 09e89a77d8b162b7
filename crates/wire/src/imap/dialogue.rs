//! IMAP's server side, up to the login (RFC 9051 sections 6.1 and 6.2).

use super::command::{self, Command, Mistake, Verb};
use super::id;
use crate::attempt::{Attempt, Credential, Mechanism, Parting, Told, Verdict};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::line::{Found, Lines, is_http_request};
use crate::sasl::{self, Exchange, Progress};
use crate::secret::Secret;
use crate::step::{Asked, Channel, Machine, Opening, Step};

/// Longest command line; Dovecot's is the same. `AUTHENTICATE` may carry a token and have [`MAX_WHOLE`].
const MAX_LINE: usize = 8 * 1024;
/// Longest command with its literals, and longest line of a SASL exchange.
const MAX_WHOLE: usize = 64 * 1024;
/// RFC 7888 section 5: what a client may send unasked where LITERAL- is advertised.
const MAX_LITERAL_MINUS: usize = 4096;
/// Unknown commands after which we hang up: not a mail client.
const MAX_UNKNOWN: u32 = 10;

/// The server, as the client sees it before its backend is known.
#[derive(Debug)]
pub struct Dialogue {
    opening: Opening,
    framer: Framer,
    lines: Lines,
    unknown: u32,
    told: Told,
    state: State,
}

#[derive(Debug)]
enum State {
    ExpectCommand,
    /// A line of our own part of a SASL exchange.
    ExpectSasl {
        tag: Vec<u8>,
        exchange: Exchange,
    },
    /// An attempt is out.
    ExpectVerdict {
        tag: Vec<u8>,
    },
    /// A backend's challenge was passed on.
    ExpectResponse {
        tag: Vec<u8>,
    },
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
            lines: Lines::new(),
            unknown: 0,
            told: Told::default(),
            state: State::ExpectCommand,
        }
    }

    fn feed_command(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        match self.framer.next(inbox.unread(), self.bounds(inbox.unread())) {
            Framed::NeedMore => Step::NeedMore,
            Framed::Announced { line_end } => self.announced(&inbox.unread()[..line_end]),
            Framed::Whole(length) => {
                let frame = &inbox.unread()[..length];
                if is_http_request(frame) {
                    return self.close(b"* BAD This is IMAP\r\n".to_vec(), "Not a mail client");
                }
                let parsed = command::parse(frame);
                inbox.consume(length);
                self.command(parsed)
            }
            // What follows may be the octets of a literal: it must not be read as commands.
            Framed::TooLong => {
                let tag = command::tag_of(inbox.unread()).unwrap_or_else(|| b"*".to_vec());
                self.close(line(&tag, "BAD Command line or literal too long"), "Too long")
            }
        }
    }

    fn bounds(&self, unread: &[u8]) -> Bounds {
        let line = if command::is_authenticate(unread) { MAX_WHOLE } else { MAX_LINE };
        let has =
            |name: &str| self.opening.advert.capabilities.iter().any(|word| word.eq_ignore_ascii_case(name));
        let unasked = if has("LITERAL-") && !has("LITERAL+") { MAX_LITERAL_MINUS } else { MAX_WHOLE };
        Bounds { line, whole: MAX_WHOLE, unasked }
    }

    /// A literal is announced and the client waits. A password that we would refuse is not asked for; the
    /// connection goes, since a client that did not wait has the password on the way already.
    fn announced(&mut self, so_far: &[u8]) -> Step<Asked> {
        if command::is_login(so_far) && !self.opening.takes_passwords() {
            let tag = command::tag_of(so_far).unwrap_or_else(|| b"*".to_vec());
            return self.close(self.refusal_of_password(&tag), "Encryption needed");
        }
        write(b"+ OK\r\n".to_vec())
    }

    fn command(&mut self, parsed: Result<Command, Mistake>) -> Step<Asked> {
        let Command { tag, verb } = match parsed {
            Ok(command) => command,
            Err(mistake) => return self.mistake(mistake),
        };
        match verb {
            Verb::Capability => {
                let capabilities = self.capabilities();
                let mut out = format!("* CAPABILITY {capabilities}\r\n").into_bytes();
                out.extend(line(&tag, "OK Capability completed"));
                write(out)
            }
            Verb::Noop => write(line(&tag, "OK Nothing done")),
            Verb::Id(fields) => {
                id::take(&mut self.told, fields, self.opening.trusts_front);
                let mut out = b"* ID (\"name\" \"Pointsman\")\r\n".to_vec();
                out.extend(line(&tag, "OK ID completed"));
                write(out)
            }
            Verb::Logout => {
                self.state = State::Over;
                let mut out = b"* BYE Logging out\r\n".to_vec();
                out.extend(line(&tag, "OK Logout completed"));
                Step::Close(out)
            }
            Verb::StartTls => self.starttls(&tag),
            Verb::Login { user, password } => self.login(tag, user, password),
            Verb::Authenticate { mechanism, initial } => self.authenticate(tag, mechanism, initial.as_ref()),
            Verb::TooEarly => write(line(&tag, "BAD Log in first")),
            Verb::Unknown => self.unknown(line(&tag, "BAD Unknown command")),
        }
    }

    fn mistake(&mut self, mistake: Mistake) -> Step<Asked> {
        match mistake {
            Mistake::NoTag => self.unknown(b"* BAD No tag\r\n".to_vec()),
            Mistake::Arguments { tag } => write(line(&tag, "BAD Error in command arguments")),
        }
    }

    fn unknown(&mut self, words: Vec<u8>) -> Step<Asked> {
        self.unknown += 1;
        if self.unknown < MAX_UNKNOWN {
            return write(words);
        }
        self.close(words, "Too many unknown commands")
    }

    fn starttls(&mut self, tag: &[u8]) -> Step<Asked> {
        match self.opening.channel {
            Channel::Upgradable => Step::StartTls(Secret::new(line(tag, "OK Begin TLS negotiation now"))),
            Channel::Encrypted => write(line(tag, "BAD The connection is encrypted already")),
            Channel::Plain => write(line(tag, "BAD STARTTLS is not available")),
        }
    }

    fn login(&mut self, tag: Vec<u8>, user: Secret, password: Secret) -> Step<Asked> {
        if !self.opening.takes_passwords() {
            return write(self.refusal_of_password(&tag));
        }
        self.attempt(tag, Credential::Password { user, password })
    }

    fn authenticate(
        &mut self,
        tag: Vec<u8>,
        mechanism: Option<Mechanism>,
        initial: Option<&Secret>,
    ) -> Step<Asked> {
        let Some(mechanism) = mechanism.filter(|mechanism| self.opening.advert.sasl.contains(mechanism))
        else {
            return write(line(&tag, "NO [CANNOT] Unsupported authentication mechanism"));
        };
        if !self.opening.permits(mechanism) {
            return write(self.refusal_of_password(&tag));
        }
        let initial = match initial.map(|text| sasl::decode_initial(text.expose())) {
            Some(None) => return write(line(&tag, "BAD Invalid base64 in the initial response")),
            Some(decoded) => decoded,
            None => None,
        };
        self.exchange(tag, Exchange::begin(mechanism, initial))
    }

    fn exchange(&mut self, tag: Vec<u8>, progress: Progress) -> Step<Asked> {
        match progress {
            Progress::Done(credential) => self.attempt(tag, credential),
            Progress::Prompt(exchange, prompt) => {
                self.state = State::ExpectSasl { tag, exchange };
                write(continuation(prompt))
            }
        }
    }

    fn attempt(&mut self, tag: Vec<u8>, credential: Credential) -> Step<Asked> {
        self.state = State::ExpectVerdict { tag };
        Step::Event(Asked::Attempt(Attempt { credential, told: self.told.clone() }))
    }

    /// A line of a SASL exchange: base64, or `*` (RFC 9051 section 6.2.2).
    fn feed_response(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            Found::NeedMore if !inbox.is_full() => return Step::NeedMore,
            Found::NeedMore | Found::TooLong => {
                let (State::ExpectSasl { tag, .. } | State::ExpectResponse { tag }) = self.over() else {
                    return Step::NeedMore;
                };
                return self.close(line(&tag, "BAD Response too long"), "Too long");
            }
            Found::Line(found) => found,
        };
        let text = &inbox.unread()[..found.text];
        let is_cancelled = text == b"*";
        let decoded = sasl::decode(text);
        inbox.consume(found.whole);
        match (std::mem::replace(&mut self.state, State::ExpectCommand), decoded) {
            (State::ExpectSasl { tag, exchange }, Some(response)) => {
                self.exchange(tag, exchange.answer(response))
            }
            (State::ExpectSasl { tag, .. }, None) if is_cancelled => write(line(&tag, CANCELLED)),
            (State::ExpectSasl { tag, .. }, None) => write(line(&tag, NOT_BASE64)),
            (State::ExpectResponse { tag }, Some(response)) => {
                self.state = State::ExpectVerdict { tag };
                Step::Event(Asked::Response(response))
            }
            // Undecodable words cancel the exchange just as `*` does: the backend must not see them.
            (State::ExpectResponse { tag }, None) => {
                self.state = State::ExpectVerdict { tag };
                Step::Event(Asked::Cancelled)
            }
            (other, _) => {
                self.state = other;
                Step::NeedMore
            }
        }
    }

    fn over(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    fn close(&mut self, mut words: Vec<u8>, why: &str) -> Step<Asked> {
        self.state = State::Over;
        words.extend_from_slice(format!("* BYE {why}\r\n").as_bytes());
        Step::Close(words)
    }

    fn refusal_of_password(&self, tag: &[u8]) -> Vec<u8> {
        match self.opening.channel {
            Channel::Encrypted => line(tag, "NO [CANNOT] Password login is not offered here"),
            Channel::Upgradable => line(tag, "NO [PRIVACYREQUIRED] Use STARTTLS first"),
            Channel::Plain => line(tag, "NO [PRIVACYREQUIRED] Password login needs an encrypted connection"),
        }
    }

    fn capabilities(&self) -> String {
        let advert = &self.opening.advert;
        let mut words = advert.capabilities.clone();
        if self.opening.channel == Channel::Upgradable {
            words.push("STARTTLS".to_owned());
        }
        if !self.opening.takes_passwords() {
            words.push("LOGINDISABLED".to_owned());
        }
        words.extend(self.opening.permitted().map(|mechanism| format!("AUTH={mechanism}")));
        words.join(" ")
    }
}

impl Machine for Dialogue {
    type Event = Asked;

    fn feed(&mut self, inbox: &mut Inbox) -> Step<Asked> {
        match &self.state {
            State::ExpectCommand => self.feed_command(inbox),
            State::ExpectSasl { .. } | State::ExpectResponse { .. } => self.feed_response(inbox),
            State::ExpectVerdict { .. } => Step::NeedMore,
            State::Over => Step::Close(Vec::new()),
        }
    }

    fn secured(&mut self) -> Vec<u8> {
        // RFC 9051 section 6.2.1: what was learnt before the handshake is forgotten.
        self.opening.channel = Channel::Encrypted;
        *self = Self::new(self.opening.clone());
        Vec::new()
    }
}

impl crate::step::Dialogue for Dialogue {
    fn greet(&mut self) -> Vec<u8> {
        format!("* OK [CAPABILITY {}] {}\r\n", self.capabilities(), self.opening.advert.banner).into_bytes()
    }

    fn answer(&mut self, verdict: Verdict) -> Vec<u8> {
        let State::ExpectVerdict { tag } = self.over() else {
            return Vec::new();
        };
        if let Verdict::Accepted(reply) = verdict {
            let mut out = reply.before;
            out.extend_from_slice(&tag);
            out.push(b' ');
            out.extend_from_slice(&reply.last);
            return out;
        }
        self.state = State::ExpectCommand;
        match verdict {
            Verdict::Accepted(reply) | Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => {
                [&tag[..], b" ", &reply.last].concat()
            }
            Verdict::Refused(None) => line(&tag, "NO [AUTHENTICATIONFAILED] Authentication failed"),
            Verdict::Unavailable => {
                line(&tag, "NO [UNAVAILABLE] The mail server cannot be reached right now, try again later")
            }
            Verdict::Cancelled => line(&tag, CANCELLED),
        }
    }

    fn challenge(&mut self, data: &[u8]) -> Vec<u8> {
        if let State::ExpectVerdict { tag } = self.over() {
            self.state = State::ExpectResponse { tag };
        }
        continuation(data)
    }

    fn farewell(&mut self, why: Parting) -> Vec<u8> {
        self.state = State::Over;
        let words = match why {
            Parting::TimedOut => "Login took too long",
            Parting::TooManyFailures => "Too many failed logins",
            Parting::TooBusy => "[UNAVAILABLE] Too many connections, try again later",
            Parting::ShuttingDown => "[UNAVAILABLE] The server is shutting down, connect again",
            Parting::Ended => "[UNAVAILABLE] The session was ended, connect again",
            Parting::Unavailable => "[UNAVAILABLE] The mail server cannot be reached right now",
        };
        format!("* BYE {words}\r\n").into_bytes()
    }
}

const CANCELLED: &str = "BAD Authentication cancelled";
const NOT_BASE64: &str = "BAD Invalid base64 in the response";

fn line(tag: &[u8], words: &str) -> Vec<u8> {
    [tag, b" ", words.as_bytes(), b"\r\n"].concat()
}

fn continuation(data: &[u8]) -> Vec<u8> {
    let mut out = Secret::copy_of(b"+ ");
    sasl::encode_into(&mut out, data);
    out.extend(b"\r\n");
    out.expose().to_vec()
}

fn write(bytes: Vec<u8>) -> Step<Asked> {
    Step::Write(Secret::new(bytes))
}
