//! The server side of IMAP before login (RFC 9051 sections 6.1 and 6.2): its commands and replies.

use super::command::{self, Command, CommandError, Verb};
use super::id;
use crate::dialogue::{CommandOutcome, Grammar, MAX_COMMAND, SaslLine, StandardReply};
use crate::frame::{Bounds, Framer, NextFrame};
use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch, is_http_request};
use crate::step::{Channel, DialogueContext};
use crate::verdict::{CloseReason, Verdict};
use credentials::attempt::ClientInfo;
use credentials::sasl::{self, ResponseLine};

/// The server as the client sees it until a backend accepts the login.
pub type Dialogue = crate::dialogue::Dialogue<Imap>;

/// IMAP as a client speaks it.
#[derive(Debug, Default)]
pub struct Imap {
    framer: Framer,
    lines: LineFinder,
    /// The tag of the last command, which its response repeats.
    tag: Vec<u8>,
    client_info: ClientInfo,
}

/// Longest command with its literals, and longest line of a SASL exchange.
const MAX_WHOLE: usize = sasl::MAX_LINE;
/// Longest non-synchronizing literal where LITERAL- is advertised (RFC 7888 section 5).
const MAX_LITERAL_MINUS: usize = 4096;

// === impl Imap ===

impl Imap {
    /// Handles a synchronizing literal, for which the client waits. A password that would be refused is not asked
    /// for. The connection is closed, since a client that did not wait has already sent the password.
    fn literal(&mut self, context: &DialogueContext, so_far: &[u8]) -> CommandOutcome {
        if !command::is_login(so_far) || context.takes_passwords() {
            return CommandOutcome::Reply(b"+ OK\r\n".to_vec());
        }
        self.set_tag(so_far);
        close(self.standard_reply(StandardReply::CleartextRefused(context.channel)), "Encryption needed")
    }

    fn parsed(&mut self, context: &DialogueContext, parsed: Result<Command, CommandError>) -> CommandOutcome {
        let verb = match parsed {
            Ok(Command { tag, verb }) => {
                self.tag = tag;
                verb
            }
            Err(CommandError::NoTag) => return CommandOutcome::Unknown(b"* BAD No tag\r\n".to_vec()),
            Err(CommandError::Arguments { tag }) => {
                self.tag = tag;
                return self.done("BAD Error in command arguments");
            }
        };
        match verb {
            Verb::Capability => {
                let untagged = format!("* CAPABILITY {}\r\n", capabilities(context));
                self.done_after(&untagged, "OK Capability completed")
            }
            Verb::Noop => self.done("OK Nothing done"),
            Verb::Id(fields) => {
                id::apply(&mut self.client_info, fields, context.peer_is_trusted);
                self.done_after("* ID (\"name\" \"Pointsman\")\r\n", "OK ID completed")
            }
            Verb::Logout => {
                let completion = self.tagged("OK Logout completed");
                CommandOutcome::Close([b"* BYE Logging out\r\n", &completion[..]].concat())
            }
            Verb::StartTls => CommandOutcome::StartTls,
            Verb::Login { user, password } => CommandOutcome::Login { user, password },
            Verb::Authenticate { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Verb::NeedsLogin => self.done("BAD Log in first"),
            Verb::Unknown => CommandOutcome::Unknown(self.tagged("BAD Unknown command")),
        }
    }

    fn set_tag(&mut self, unread: &[u8]) {
        self.tag = command::tag_of(unread).unwrap_or_else(|| b"*".to_vec());
    }

    fn done(&self, text: &str) -> CommandOutcome {
        CommandOutcome::Reply(self.tagged(text))
    }

    fn done_after(&self, untagged: &str, text: &str) -> CommandOutcome {
        CommandOutcome::Reply([untagged.as_bytes(), &self.tagged(text)].concat())
    }

    /// Returns a tagged response.
    fn tagged(&self, text: &str) -> Vec<u8> {
        [&self.tag[..], b" ", text.as_bytes(), b"\r\n"].concat()
    }
}

impl Grammar for Imap {
    fn greet(&self, context: &DialogueContext) -> Vec<u8> {
        format!("* OK [CAPABILITY {}] {}\r\n", capabilities(context), context.offer.banner).into_bytes()
    }

    fn command(&mut self, context: &DialogueContext, inbox: &mut Inbox) -> CommandOutcome {
        match self.framer.next(inbox.unread(), bounds(context, inbox.unread())) {
            NextFrame::NeedMore => CommandOutcome::NeedMore,
            NextFrame::SynchronizingLiteral { line_end } => {
                self.literal(context, &inbox.unread()[..line_end])
            }
            NextFrame::Whole(length) => {
                let frame = &inbox.unread()[..length];
                let parsed = command::parse(frame);
                // The password of a LOGIN may end in `HTTP/1.1`: only a line that is no command can be a request.
                let is_unknown =
                    matches!(parsed, Ok(Command { verb: Verb::Unknown, .. }) | Err(CommandError::NoTag));
                if is_unknown && is_http_request(frame) {
                    return close(b"* BAD This is IMAP\r\n".to_vec(), "Not a mail client");
                }
                inbox.consume(length);
                self.parsed(context, parsed)
            }
            // What follows may be the octets of a literal, which must not be read as commands.
            NextFrame::TooLong => {
                self.set_tag(inbox.unread());
                close(self.tagged("BAD Command line or literal too long"), "Too long")
            }
        }
    }

    /// Base64, or `*` (RFC 9051 section 6.2.2).
    fn line(&mut self, inbox: &mut Inbox) -> SaslLine {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            LineSearch::NeedMore if !inbox.is_full() => return SaslLine::NeedMore,
            LineSearch::NeedMore | LineSearch::TooLong => {
                return SaslLine::Close(bye(self.tagged("BAD Response too long"), "Too long"));
            }
            LineSearch::Found(found) => found,
        };
        let response = ResponseLine::read(&inbox.unread()[..found.text]);
        inbox.consume(found.whole);
        SaslLine::Response(response)
    }

    fn client_info(&mut self) -> ClientInfo {
        self.client_info.clone()
    }

    fn standard_reply(&self, reply: StandardReply) -> Vec<u8> {
        self.tagged(match reply {
            StandardReply::UnknownMechanism => "NO [CANNOT] Unsupported authentication mechanism",
            StandardReply::CleartextRefused(Channel::Encrypted) => {
                "NO [CANNOT] Password login is not offered here"
            }
            StandardReply::CleartextRefused(Channel::Upgradable) => "NO [PRIVACYREQUIRED] Use STARTTLS first",
            StandardReply::CleartextRefused(Channel::Plain) => {
                "NO [PRIVACYREQUIRED] Password login needs an encrypted connection"
            }
            StandardReply::InvalidInitialResponse => "BAD Invalid base64 in the initial response",
            StandardReply::InvalidResponse => "BAD Invalid base64 in the response",
            StandardReply::Cancelled => "BAD Authentication cancelled",
            StandardReply::BeginTls => "OK Begin TLS negotiation now",
            StandardReply::AlreadyEncrypted => "BAD The connection is encrypted already",
            StandardReply::StartTlsUnavailable => "BAD STARTTLS is not available",
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
            Verdict::Refused(None) => self.tagged("NO [AUTHENTICATIONFAILED] Authentication failed"),
            Verdict::MechanismUnavailable => self.standard_reply(StandardReply::UnknownMechanism),
            Verdict::Unavailable => {
                self.tagged("NO [UNAVAILABLE] The mail server cannot be reached right now, try again later")
            }
            Verdict::Cancelled => self.standard_reply(StandardReply::Cancelled),
        }
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        let text = match why {
            CloseReason::TimedOut => "Login took too long",
            CloseReason::TooManyFailures => "Too many failed logins",
            CloseReason::TooBusy => "[UNAVAILABLE] Too many connections, try again later",
            CloseReason::ShuttingDown => "[UNAVAILABLE] The server is shutting down, connect again",
            CloseReason::Ended => "[UNAVAILABLE] The session was ended, connect again",
            CloseReason::Unavailable => "[UNAVAILABLE] The mail server cannot be reached right now",
        };
        format!("* BYE {text}\r\n").into_bytes()
    }

    fn too_many_unknown(&self, reply: Vec<u8>) -> Vec<u8> {
        bye(reply, "Too many unknown commands")
    }
}

fn bounds(context: &DialogueContext, unread: &[u8]) -> Bounds {
    let line = if command::may_be_long(unread) { MAX_WHOLE } else { MAX_COMMAND };
    let has = |name: &str| context.offer.capabilities.iter().any(|word| word.eq_ignore_ascii_case(name));
    let non_synchronizing = if has("LITERAL-") && !has("LITERAL+") { MAX_LITERAL_MINUS } else { MAX_WHOLE };
    Bounds { line, whole: MAX_WHOLE, non_synchronizing }
}

fn capabilities(context: &DialogueContext) -> String {
    // UNAUTHENTICATE (RFC 8437) would change the account of a bridged session, which stays with one backend.
    let mut words = context.offer.capabilities.clone();
    words.retain(|word| !word.eq_ignore_ascii_case("UNAUTHENTICATE"));
    if context.channel == Channel::Upgradable {
        words.push("STARTTLS".to_owned());
    }
    if !context.takes_passwords() {
        words.push("LOGINDISABLED".to_owned());
    }
    words.extend(context.permitted().map(|mechanism| format!("AUTH={mechanism}")));
    words.join(" ")
}

fn close(reply: Vec<u8>, why: &str) -> CommandOutcome {
    CommandOutcome::Close(bye(reply, why))
}

fn bye(mut reply: Vec<u8>, why: &str) -> Vec<u8> {
    reply.extend_from_slice(format!("* BYE {why}\r\n").as_bytes());
    reply
}
