//! IMAP's server side, up to the login (RFC 9051 sections 6.1 and 6.2): its commands and its words.

use super::command::{self, Command, Mistake, Verb};
use super::id;
use crate::dialogue::{CommandOutcome, Grammar, Line, MAX_COMMAND, StandardReply};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::line::{Found, Lines, is_http_request};
use crate::step::{Channel, Opening};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::ClientInfo;
use credentials::sasl::{self, Answer};

/// The server, as the client sees it before its backend is known.
pub type Dialogue = crate::dialogue::Dialogue<Imap>;

/// IMAP as a client speaks it.
#[derive(Debug, Default)]
pub struct Imap {
    framer: Framer,
    lines: Lines,
    /// Of the command that was read last: its answer repeats it.
    tag: Vec<u8>,
    client_info: ClientInfo,
}

/// Longest command with its literals, and longest line of a SASL exchange.
const MAX_WHOLE: usize = sasl::MAX_LINE;
/// RFC 7888 section 5: what a client may send unasked where LITERAL- is advertised.
const MAX_LITERAL_MINUS: usize = 4096;

// === impl Imap ===

impl Imap {
    /// A literal is announced and the client waits. A password that we would refuse is not asked for; the
    /// connection goes, since a client that did not wait has the password on the way already.
    fn announced(&mut self, opening: &Opening, so_far: &[u8]) -> CommandOutcome {
        if !command::is_login(so_far) || opening.takes_passwords() {
            return CommandOutcome::Say(b"+ OK\r\n".to_vec());
        }
        self.tag_of(so_far);
        close(self.say(StandardReply::NoPassword(opening.channel)), "Encryption needed")
    }

    fn parsed(&mut self, opening: &Opening, parsed: Result<Command, Mistake>) -> CommandOutcome {
        let verb = match parsed {
            Ok(Command { tag, verb }) => {
                self.tag = tag;
                verb
            }
            Err(Mistake::NoTag) => return CommandOutcome::Unknown(b"* BAD No tag\r\n".to_vec()),
            Err(Mistake::Arguments { tag }) => {
                self.tag = tag;
                return self.done("BAD Error in command arguments");
            }
        };
        match verb {
            Verb::Capability => {
                let untagged = format!("* CAPABILITY {}\r\n", capabilities(opening));
                self.done_after(&untagged, "OK Capability completed")
            }
            Verb::Noop => self.done("OK Nothing done"),
            Verb::Id(fields) => {
                id::take(&mut self.client_info, fields, opening.trusts_front);
                self.done_after("* ID (\"name\" \"Pointsman\")\r\n", "OK ID completed")
            }
            Verb::Logout => {
                let goodbye = self.words("OK Logout completed");
                CommandOutcome::Close([b"* BYE Logging out\r\n", &goodbye[..]].concat())
            }
            Verb::StartTls => CommandOutcome::StartTls,
            Verb::Login { user, password } => CommandOutcome::Login { user, password },
            Verb::Authenticate { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Verb::TooEarly => self.done("BAD Log in first"),
            Verb::Unknown => CommandOutcome::Unknown(self.words("BAD Unknown command")),
        }
    }

    fn tag_of(&mut self, unread: &[u8]) {
        self.tag = command::tag_of(unread).unwrap_or_else(|| b"*".to_vec());
    }

    fn done(&self, words: &str) -> CommandOutcome {
        CommandOutcome::Say(self.words(words))
    }

    fn done_after(&self, untagged: &str, words: &str) -> CommandOutcome {
        CommandOutcome::Say([untagged.as_bytes(), &self.words(words)].concat())
    }

    /// A tagged response.
    fn words(&self, words: &str) -> Vec<u8> {
        [&self.tag[..], b" ", words.as_bytes(), b"\r\n"].concat()
    }
}

impl Grammar for Imap {
    fn greet(&self, opening: &Opening) -> Vec<u8> {
        format!("* OK [CAPABILITY {}] {}\r\n", capabilities(opening), opening.offer.banner).into_bytes()
    }

    fn command(&mut self, opening: &Opening, inbox: &mut Inbox) -> CommandOutcome {
        match self.framer.next(inbox.unread(), bounds(opening, inbox.unread())) {
            Framed::NeedMore => CommandOutcome::NeedMore,
            Framed::Announced { line_end } => self.announced(opening, &inbox.unread()[..line_end]),
            Framed::Whole(length) => {
                let frame = &inbox.unread()[..length];
                if is_http_request(frame) {
                    return close(b"* BAD This is IMAP\r\n".to_vec(), "Not a mail client");
                }
                let parsed = command::parse(frame);
                inbox.consume(length);
                self.parsed(opening, parsed)
            }
            // What follows may be the octets of a literal: it must not be read as commands.
            Framed::TooLong => {
                self.tag_of(inbox.unread());
                close(self.words("BAD Command line or literal too long"), "Too long")
            }
        }
    }

    /// Base64, or `*` (RFC 9051 section 6.2.2).
    fn line(&mut self, inbox: &mut Inbox) -> Line {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            Found::NeedMore if !inbox.is_full() => return Line::NeedMore,
            Found::NeedMore | Found::TooLong => {
                return Line::Close(bye(self.words("BAD Response too long"), "Too long"));
            }
            Found::Line(found) => found,
        };
        let answer = Answer::read(&inbox.unread()[..found.text]);
        inbox.consume(found.whole);
        Line::Answer(answer)
    }

    fn client_info(&mut self) -> ClientInfo {
        self.client_info.clone()
    }

    fn say(&self, what: StandardReply) -> Vec<u8> {
        self.words(match what {
            StandardReply::Unsupported => "NO [CANNOT] Unsupported authentication mechanism",
            StandardReply::NoPassword(Channel::Encrypted) => "NO [CANNOT] Password login is not offered here",
            StandardReply::NoPassword(Channel::Upgradable) => "NO [PRIVACYREQUIRED] Use STARTTLS first",
            StandardReply::NoPassword(Channel::Plain) => {
                "NO [PRIVACYREQUIRED] Password login needs an encrypted connection"
            }
            StandardReply::BadInitial => "BAD Invalid base64 in the initial response",
            StandardReply::BadAnswer => "BAD Invalid base64 in the response",
            StandardReply::Cancelled => "BAD Authentication cancelled",
            StandardReply::StartTls => "OK Begin TLS negotiation now",
            StandardReply::Encrypted => "BAD The connection is encrypted already",
            StandardReply::NoStartTls => "BAD STARTTLS is not available",
        })
    }

    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        sasl::challenge(b"+ ", data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        match verdict {
            Verdict::Accepted(reply) => [&reply.before[..], &self.tag, b" ", &reply.last].concat(),
            Verdict::Refused(Some(reply)) | Verdict::NotNow(reply) => {
                [&reply.before[..], &self.tag, b" ", &reply.last].concat()
            }
            Verdict::Refused(None) => self.words("NO [AUTHENTICATIONFAILED] Authentication failed"),
            Verdict::Unavailable => {
                self.words("NO [UNAVAILABLE] The mail server cannot be reached right now, try again later")
            }
            Verdict::Cancelled => self.say(StandardReply::Cancelled),
        }
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        let words = match why {
            CloseReason::TimedOut => "Login took too long",
            CloseReason::TooManyFailures => "Too many failed logins",
            CloseReason::TooBusy => "[UNAVAILABLE] Too many connections, try again later",
            CloseReason::ShuttingDown => "[UNAVAILABLE] The server is shutting down, connect again",
            CloseReason::Ended => "[UNAVAILABLE] The session was ended, connect again",
            CloseReason::Unavailable => "[UNAVAILABLE] The mail server cannot be reached right now",
        };
        format!("* BYE {words}\r\n").into_bytes()
    }

    fn give_up(&self, answer: Vec<u8>) -> Vec<u8> {
        bye(answer, "Too many unknown commands")
    }
}

fn bounds(opening: &Opening, unread: &[u8]) -> Bounds {
    let line = if command::is_authenticate(unread) { MAX_WHOLE } else { MAX_COMMAND };
    let has = |name: &str| opening.offer.capabilities.iter().any(|word| word.eq_ignore_ascii_case(name));
    let unasked = if has("LITERAL-") && !has("LITERAL+") { MAX_LITERAL_MINUS } else { MAX_WHOLE };
    Bounds { line, whole: MAX_WHOLE, unasked }
}

fn capabilities(opening: &Opening) -> String {
    let mut words = opening.offer.capabilities.clone();
    if opening.channel == Channel::Upgradable {
        words.push("STARTTLS".to_owned());
    }
    if !opening.takes_passwords() {
        words.push("LOGINDISABLED".to_owned());
    }
    words.extend(opening.permitted().map(|mechanism| format!("AUTH={mechanism}")));
    words.join(" ")
}

fn close(words: Vec<u8>, why: &str) -> CommandOutcome {
    CommandOutcome::Close(bye(words, why))
}

fn bye(mut words: Vec<u8>, why: &str) -> Vec<u8> {
    words.extend_from_slice(format!("* BYE {why}\r\n").as_bytes());
    words
}
