//! The server side of POP3 before login: the commands of the AUTHORIZATION state (RFC 1939 section 4).

use super::command::{self, Command, CommandError};
use super::replies::{self, err, line, ok};
use crate::dialogue::{CommandOutcome, Grammar, MAX_COMMAND, SaslLine, StandardReply};
use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch, is_http_request};
use crate::step::{Channel, DialogueContext};
use crate::verdict::{CloseReason, Verdict};
use crate::xclient;
use credentials::attempt::{ClientInfo, Mechanism};
use credentials::sasl::{self, ResponseLine};
use types::secret::Secret;

/// The server as the client sees it until a backend accepts the login.
pub type Dialogue = crate::dialogue::Dialogue<Pop3>;

/// POP3 as a client speaks it.
#[derive(Debug, Default)]
pub struct Pop3 {
    lines: LineFinder,
    client_info: ClientInfo,
    /// The last `USER`, until its `PASS`.
    user: Option<Secret>,
}

// === impl Pop3 ===

impl Pop3 {
    fn parsed(&mut self, context: &DialogueContext, parsed: Result<Command, CommandError>) -> CommandOutcome {
        let command = match parsed {
            Ok(command) => command,
            Err(CommandError::Arguments) => return err("Error in command arguments"),
            Err(CommandError::ForbiddenByte) => return err("Forbidden byte in the command"),
        };
        match command {
            Command::Capa => CommandOutcome::Reply(capabilities(context)),
            Command::Noop => ok("Nothing done"),
            Command::Quit => CommandOutcome::Close(line("+OK", "Logging out")),
            Command::Stls => CommandOutcome::StartTls,
            // USER is refused where PASS would be, so that the client does not send the password.
            Command::User(_) | Command::Pass(_) if !context.takes_passwords() => {
                CommandOutcome::Reply(self.standard_reply(StandardReply::CleartextRefused(context.channel)))
            }
            Command::User(name) => {
                self.user = Some(name);
                ok("Send the password")
            }
            Command::Pass(password) => match self.user.take() {
                Some(user) => CommandOutcome::Login { user, password },
                None => err("No user name: send USER first"),
            },
            Command::Mechanisms => CommandOutcome::Reply(mechanisms(context)),
            Command::Auth { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Command::Apop => err("APOP is not offered here"),
            Command::Xclient(arguments) if context.peer_is_trusted => self.xclient(&arguments),
            Command::Utf8 => {
                self.client_info.utf8 = true;
                ok("UTF8 enabled")
            }
            Command::Lang(range) => replies::language(range.as_deref()),
            Command::NeedsLogin => err("Log in first"),
            Command::Xclient(_) | Command::Unknown => {
                CommandOutcome::Unknown(line("-ERR", "Unknown command"))
            }
        }
    }

    fn xclient(&mut self, arguments: &[u8]) -> CommandOutcome {
        let is_valid = xclient::apply(&mut self.client_info, arguments);
        if is_valid { ok("Updated") } else { err("Error in XCLIENT attributes") }
    }
}

impl Grammar for Pop3 {
    fn greet(&self, context: &DialogueContext) -> Vec<u8> {
        let code = if context.peer_is_trusted { "[XCLIENT] " } else { "" };
        format!("+OK {code}{}\r\n", context.offer.banner).into_bytes()
    }

    fn command(&mut self, context: &DialogueContext, inbox: &mut Inbox) -> CommandOutcome {
        let limit = if command::is_auth(inbox.unread()) { sasl::MAX_LINE } else { MAX_COMMAND };
        let found = match self.lines.find(inbox.unread(), limit) {
            LineSearch::NeedMore if !inbox.is_full() => return CommandOutcome::NeedMore,
            LineSearch::NeedMore | LineSearch::TooLong => {
                return CommandOutcome::Close(line("-ERR", "Command line too long"));
            }
            LineSearch::Found(found) => found,
        };
        let text = &inbox.unread()[..found.text];
        let parsed = command::parse(text);
        // A password may end in `HTTP/1.1`, so only an unknown command can be a request.
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(text) {
            return CommandOutcome::Close(line("-ERR", "This is POP3"));
        }
        inbox.consume(found.whole);
        self.parsed(context, parsed)
    }

    /// Base64, or `*` (RFC 5034 section 4).
    fn line(&mut self, inbox: &mut Inbox) -> SaslLine {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            LineSearch::NeedMore if !inbox.is_full() => return SaslLine::NeedMore,
            LineSearch::NeedMore | LineSearch::TooLong => {
                return SaslLine::Close(line("-ERR", "Response too long"));
            }
            LineSearch::Found(found) => found,
        };
        let response = ResponseLine::read(&inbox.unread()[..found.text]);
        inbox.consume(found.whole);
        SaslLine::Response(response)
    }

    fn client_info(&mut self) -> ClientInfo {
        self.user = None;
        self.client_info.clone()
    }

    fn standard_reply(&self, reply: StandardReply) -> Vec<u8> {
        replies::standard(reply)
    }

    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        sasl::challenge(b"+ ", data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        replies::verdict(verdict)
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        replies::farewell(why)
    }

    fn too_many_unknown(&self, _reply: Vec<u8>) -> Vec<u8> {
        line("-ERR", "Too many unknown commands")
    }
}

/// Returns the capability list (RFC 2449 section 5): what every server supports, since the backend is not known yet, and
/// `UTF8`, which only permits a server to send more; a backend without it does no harm.
fn capabilities(context: &DialogueContext) -> Vec<u8> {
    let mut list: Vec<String> = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG"]
        .map(str::to_owned)
        .to_vec();
    list.extend(context.offer.capabilities.iter().cloned());
    if context.channel == Channel::Upgradable {
        list.push("STLS".to_owned());
    }
    if context.takes_passwords() {
        list.push("USER".to_owned());
    }
    let sasl: Vec<&str> = context.permitted().map(Mechanism::name).collect();
    if !sasl.is_empty() {
        list.push(format!("SASL {}", sasl.join(" ")));
    }
    replies::listing("Capability list follows", list.iter().map(String::as_str))
}

fn mechanisms(context: &DialogueContext) -> Vec<u8> {
    replies::listing("Mechanisms follow", context.permitted().map(Mechanism::name))
}
