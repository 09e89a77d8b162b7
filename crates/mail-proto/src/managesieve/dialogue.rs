//! ManageSieve's server side, up to the login (RFC 5804 sections 1.7 and 2): its commands.

use super::command::{self, Command, Mistake};
use super::words::{self, say};
use crate::dialogue::{CommandOutcome, Grammar, Line, MAX_COMMAND, StandardReply};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::line::is_http_request;
use crate::step::{Channel, Opening};
use crate::verdict::{CloseReason, Verdict};
use crate::xclient;
use credentials::attempt::{ClientInfo, Mechanism};
use credentials::sasl::{self, Answer};

/// The server, as the client sees it before its backend is known.
pub type Dialogue = crate::dialogue::Dialogue<ManageSieve>;

/// ManageSieve as a client speaks it.
#[derive(Debug, Default)]
pub struct ManageSieve {
    framer: Framer,
    client_info: ClientInfo,
}

/// Longest command with its literals, and longest line of a SASL exchange.
const MAX_WHOLE: usize = sasl::MAX_LINE;

// === impl ManageSieve ===

impl ManageSieve {
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

    fn parsed(&mut self, opening: &Opening, parsed: Result<Command, Mistake>) -> CommandOutcome {
        let Ok(command) = parsed else {
            return say("NO \"Error in command arguments\"");
        };
        match command {
            Command::Capability => CommandOutcome::Say(capabilities(opening, "Capability completed")),
            Command::Noop(tag) => CommandOutcome::Say(words::noop(tag.as_ref())),
            Command::Logout => CommandOutcome::Close(words::line("OK \"Logging out\"")),
            Command::StartTls => CommandOutcome::StartTls,
            Command::Authenticate { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Command::Xclient(attributes) if opening.trusts_front => self.xclient(&attributes),
            Command::TooEarly => say("NO \"Log in first\""),
            Command::Xclient(_) | Command::Unknown => {
                CommandOutcome::Unknown(words::line("NO \"Unknown command\""))
            }
        }
    }

    /// `OK` alone, as Dovecot says: a capability block behind it would be taken for a challenge by its proxies.
    fn xclient(&mut self, attributes: &[u8]) -> CommandOutcome {
        let is_taken = xclient::take(&mut self.client_info, attributes);
        say(if is_taken { "OK \"Updated\"" } else { "NO \"Error in XCLIENT attributes\"" })
    }
}

impl Grammar for ManageSieve {
    fn greet(&self, opening: &Opening) -> Vec<u8> {
        capabilities(opening, &opening.offer.banner)
    }

    /// RFC 5804 section 2.2: the block comes again.
    fn secured(&self, opening: &Opening) -> Vec<u8> {
        capabilities(opening, "TLS negotiation successful")
    }

    fn command(&mut self, opening: &Opening, inbox: &mut Inbox) -> CommandOutcome {
        let line = if command::is_authenticate(inbox.unread()) { MAX_WHOLE } else { MAX_COMMAND };
        let length = match self.frame(inbox, line) {
            Framed::Whole(length) => length,
            Framed::NeedMore if !inbox.is_full() => return CommandOutcome::NeedMore,
            // What follows may be the octets of a literal: it must not be read as commands.
            _ => return CommandOutcome::Close(words::with_text("BYE", "Command line or literal too long")),
        };
        let frame = &inbox.unread()[..length];
        let parsed = command::parse(frame);
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(frame) {
            return CommandOutcome::Close(words::with_text("BYE", "This is ManageSieve"));
        }
        inbox.consume(length);
        self.parsed(opening, parsed)
    }

    /// A string of base64, or `*` (RFC 5804 section 2.1).
    fn line(&mut self, inbox: &mut Inbox) -> Line {
        let length = match self.frame(inbox, MAX_WHOLE) {
            Framed::Whole(length) => length,
            Framed::NeedMore if !inbox.is_full() => return Line::NeedMore,
            _ => return Line::Close(words::with_text("BYE", "Response too long")),
        };
        let text = command::response(&inbox.unread()[..length]);
        inbox.consume(length);
        Line::Answer(text.map_or(Answer::Garbage, |text| Answer::read(text.expose())))
    }

    fn client_info(&mut self) -> ClientInfo {
        self.client_info.clone()
    }

    fn say(&self, what: StandardReply) -> Vec<u8> {
        words::said(what)
    }

    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        words::challenge(data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        words::verdict(verdict)
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        words::farewell(why)
    }

    fn give_up(&self, _answer: Vec<u8>) -> Vec<u8> {
        words::with_text("BYE", "Too many unknown commands")
    }
}

/// The capability block (RFC 5804 section 1.7) and the `OK` that ends it.
fn capabilities(opening: &Opening, text: &str) -> Vec<u8> {
    let sasl: Vec<&str> = opening.permitted().map(Mechanism::name).collect();
    let mut out = words::capability("IMPLEMENTATION", Some(&opening.offer.implementation));
    out.extend(words::capability("SIEVE", Some(&opening.offer.capabilities.join(" "))));
    if !opening.offer.notify.is_empty() {
        out.extend(words::capability("NOTIFY", Some(&opening.offer.notify.join(" "))));
    }
    out.extend(words::capability("SASL", Some(&sasl.join(" "))));
    if opening.channel == Channel::Upgradable {
        out.extend(words::capability("STARTTLS", None));
    }
    if opening.trusts_front {
        out.extend(words::capability("XCLIENT", None));
    }
    out.extend(words::capability("VERSION", Some("1.0")));
    out.extend(words::with_text("OK", text));
    out
}
