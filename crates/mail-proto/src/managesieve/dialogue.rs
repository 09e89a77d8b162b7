//! The server side of ManageSieve before login (RFC 5804 sections 1.7 and 2): its commands.

use super::command::{self, Command, CommandError};
use super::replies::{self, reply};
use crate::dialogue::{CommandOutcome, Grammar, MAX_COMMAND, SaslLine, StandardReply};
use crate::frame::{Bounds, Framer, NextFrame};
use crate::inbox::Inbox;
use crate::line::is_http_request;
use crate::step::{Channel, DialogueContext};
use crate::verdict::{CloseReason, Verdict};
use crate::xclient;
use credentials::attempt::{ClientInfo, Mechanism};
use credentials::sasl::{self, ResponseLine};

/// The server as the client sees it until a backend accepts the login.
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
    /// Finds the next frame. This protocol has no continuation requests: the octets of a literal follow at once.
    fn frame(&mut self, inbox: &Inbox, line: usize) -> NextFrame {
        let bounds = Bounds { line, whole: MAX_WHOLE, non_synchronizing: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                NextFrame::SynchronizingLiteral { .. } => {}
                framed => return framed,
            }
        }
    }

    fn parsed(&mut self, context: &DialogueContext, parsed: Result<Command, CommandError>) -> CommandOutcome {
        let Ok(command) = parsed else {
            return reply("NO \"Error in command arguments\"");
        };
        match command {
            Command::Capability => CommandOutcome::Reply(capabilities(context, "Capability completed")),
            Command::Noop(tag) => CommandOutcome::Reply(replies::noop(tag.as_ref())),
            Command::Logout => CommandOutcome::Close(replies::line("OK \"Logging out\"")),
            Command::StartTls => CommandOutcome::StartTls,
            Command::Authenticate { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Command::Xclient(attributes) if context.peer_is_trusted => self.xclient(&attributes),
            Command::NeedsLogin => reply("NO \"Log in first\""),
            Command::Xclient(_) | Command::Unknown => {
                CommandOutcome::Unknown(replies::line("NO \"Unknown command\""))
            }
        }
    }

    /// Replies with `OK` alone, as Dovecot does: its proxies would take a capability list for a challenge.
    fn xclient(&mut self, attributes: &[u8]) -> CommandOutcome {
        let is_valid = xclient::apply(&mut self.client_info, attributes);
        reply(if is_valid { "OK \"Updated\"" } else { "NO \"Error in XCLIENT attributes\"" })
    }
}

impl Grammar for ManageSieve {
    fn greet(&self, context: &DialogueContext) -> Vec<u8> {
        capabilities(context, &context.offer.banner)
    }

    /// RFC 5804 section 2.2: the server sends its capabilities again.
    fn secured(&self, context: &DialogueContext) -> Vec<u8> {
        capabilities(context, "TLS negotiation successful")
    }

    fn command(&mut self, context: &DialogueContext, inbox: &mut Inbox) -> CommandOutcome {
        let line = if command::is_authenticate(inbox.unread()) { MAX_WHOLE } else { MAX_COMMAND };
        let length = match self.frame(inbox, line) {
            NextFrame::Whole(length) => length,
            NextFrame::NeedMore if !inbox.is_full() => return CommandOutcome::NeedMore,
            // What follows may be the octets of a literal, which must not be read as commands.
            _ => return CommandOutcome::Close(replies::with_text("BYE", "Command line or literal too long")),
        };
        let frame = &inbox.unread()[..length];
        let parsed = command::parse(frame);
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(frame) {
            return CommandOutcome::Close(replies::with_text("BYE", "This is ManageSieve"));
        }
        inbox.consume(length);
        self.parsed(context, parsed)
    }

    /// A string of base64, or `*` (RFC 5804 section 2.1).
    fn line(&mut self, inbox: &mut Inbox) -> SaslLine {
        let length = match self.frame(inbox, MAX_WHOLE) {
            NextFrame::Whole(length) => length,
            NextFrame::NeedMore if !inbox.is_full() => return SaslLine::NeedMore,
            _ => return SaslLine::Close(replies::with_text("BYE", "Response too long")),
        };
        let response = match command::response(&inbox.unread()[..length]) {
            Some(text) => ResponseLine::read(text.expose()),
            None => ResponseLine::Invalid,
        };
        inbox.consume(length);
        SaslLine::Response(response)
    }

    fn client_info(&mut self) -> ClientInfo {
        self.client_info.clone()
    }

    fn standard_reply(&self, reply: StandardReply) -> Vec<u8> {
        replies::standard(reply)
    }

    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        replies::challenge(data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        replies::verdict(verdict)
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        replies::farewell(why)
    }

    fn too_many_unknown(&self, _reply: Vec<u8>) -> Vec<u8> {
        replies::with_text("BYE", "Too many unknown commands")
    }
}

/// Returns the capability list (RFC 5804 section 1.7) and the `OK` that ends it.
fn capabilities(context: &DialogueContext, text: &str) -> Vec<u8> {
    let sasl: Vec<&str> = context.permitted().map(Mechanism::name).collect();
    let mut out = replies::capability("IMPLEMENTATION", Some(&context.offer.implementation));
    out.extend(replies::capability("SIEVE", Some(&context.offer.capabilities.join(" "))));
    if !context.offer.notify.is_empty() {
        out.extend(replies::capability("NOTIFY", Some(&context.offer.notify.join(" "))));
    }
    out.extend(replies::capability("SASL", Some(&sasl.join(" "))));
    if context.channel == Channel::Upgradable {
        out.extend(replies::capability("STARTTLS", None));
    }
    if context.peer_is_trusted {
        out.extend(replies::capability("XCLIENT", None));
    }
    out.extend(replies::capability("VERSION", Some("1.0")));
    out.extend(replies::with_text("OK", text));
    out
}
