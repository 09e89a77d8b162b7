//! POP3's server side, up to the login: the commands of the AUTHORIZATION state (RFC 1939 section 4).

use super::command::{self, Command, Mistake};
use super::words::{self, err, line, ok};
use crate::dialogue::{CommandOutcome, Grammar, Line, MAX_COMMAND, StandardReply};
use crate::inbox::Inbox;
use crate::line::{Found, Lines, is_http_request};
use crate::step::{Channel, Opening};
use crate::verdict::{CloseReason, Verdict};
use crate::xclient;
use credentials::attempt::{ClientInfo, Mechanism};
use credentials::sasl::{self, Answer};
use types::secret::Secret;

/// The server, as the client sees it before its backend is known.
pub type Dialogue = crate::dialogue::Dialogue<Pop3>;

/// POP3 as a client speaks it.
#[derive(Debug, Default)]
pub struct Pop3 {
    lines: Lines,
    client_info: ClientInfo,
    /// The last `USER`, until its `PASS`.
    user: Option<Secret>,
}

// === impl Pop3 ===

impl Pop3 {
    fn parsed(&mut self, opening: &Opening, parsed: Result<Command, Mistake>) -> CommandOutcome {
        let command = match parsed {
            Ok(command) => command,
            Err(Mistake::Arguments) => return err("Error in command arguments"),
            Err(Mistake::ForbiddenByte) => return err("A byte that no command may hold"),
        };
        match command {
            Command::Capa => CommandOutcome::Say(capabilities(opening)),
            Command::Noop => ok("Nothing done"),
            Command::Quit => CommandOutcome::Close(line("+OK", "Logging out")),
            Command::Stls => CommandOutcome::StartTls,
            // Both are refused where the password would be, so that it is not even sent.
            Command::User(_) | Command::Pass(_) if !opening.takes_passwords() => {
                CommandOutcome::Say(self.say(StandardReply::NoPassword(opening.channel)))
            }
            Command::User(name) => {
                self.user = Some(name);
                ok("Send the password")
            }
            Command::Pass(password) => match self.user.take() {
                Some(user) => CommandOutcome::Login { user, password },
                None => err("No user name: send USER first"),
            },
            Command::Mechanisms => CommandOutcome::Say(mechanisms(opening)),
            Command::Auth { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Command::Apop => err("APOP is not offered here"),
            Command::Xclient(arguments) if opening.trusts_front => self.xclient(&arguments),
            Command::Utf8 => {
                self.client_info.utf8 = true;
                ok("UTF8 enabled")
            }
            Command::Lang(range) => words::language(range.as_deref()),
            Command::TooEarly => err("Log in first"),
            Command::Xclient(_) | Command::Unknown => {
                CommandOutcome::Unknown(line("-ERR", "Unknown command"))
            }
        }
    }

    fn xclient(&mut self, arguments: &[u8]) -> CommandOutcome {
        let is_taken = xclient::take(&mut self.client_info, arguments);
        if is_taken { ok("Updated") } else { err("Error in XCLIENT attributes") }
    }
}

impl Grammar for Pop3 {
    fn greet(&self, opening: &Opening) -> Vec<u8> {
        let code = if opening.trusts_front { "[XCLIENT] " } else { "" };
        format!("+OK {code}{}\r\n", opening.offer.banner).into_bytes()
    }

    fn command(&mut self, opening: &Opening, inbox: &mut Inbox) -> CommandOutcome {
        let limit = if command::is_auth(inbox.unread()) { sasl::MAX_LINE } else { MAX_COMMAND };
        let found = match self.lines.find(inbox.unread(), limit) {
            Found::NeedMore if !inbox.is_full() => return CommandOutcome::NeedMore,
            Found::NeedMore | Found::TooLong => {
                return CommandOutcome::Close(line("-ERR", "Command line too long"));
            }
            Found::Line(found) => found,
        };
        let text = &inbox.unread()[..found.text];
        let parsed = command::parse(text);
        // Only of what is no command of ours: a password may end in `HTTP/1.1`.
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(text) {
            return CommandOutcome::Close(line("-ERR", "This is POP3"));
        }
        inbox.consume(found.whole);
        self.parsed(opening, parsed)
    }

    /// Base64, or `*` (RFC 5034 section 4).
    fn line(&mut self, inbox: &mut Inbox) -> Line {
        let found = match self.lines.find(inbox.unread(), sasl::MAX_LINE) {
            Found::NeedMore if !inbox.is_full() => return Line::NeedMore,
            Found::NeedMore | Found::TooLong => return Line::Close(line("-ERR", "Response too long")),
            Found::Line(found) => found,
        };
        let answer = Answer::read(&inbox.unread()[..found.text]);
        inbox.consume(found.whole);
        Line::Answer(answer)
    }

    fn client_info(&mut self) -> ClientInfo {
        self.user = None;
        self.client_info.clone()
    }

    fn say(&self, what: StandardReply) -> Vec<u8> {
        words::said(what)
    }

    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        sasl::challenge(b"+ ", data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        words::verdict(verdict)
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        words::farewell(why)
    }

    fn give_up(&self, _answer: Vec<u8>) -> Vec<u8> {
        line("-ERR", "Too many unknown commands")
    }
}

/// RFC 2449 section 5. What every server can do, since the backend is not known yet; and `UTF8`, which only
/// permits a server to send more than others do, so that one without it does no harm.
fn capabilities(opening: &Opening) -> Vec<u8> {
    let mut list: Vec<String> = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8", "LANG"]
        .map(str::to_owned)
        .to_vec();
    list.extend(opening.offer.capabilities.iter().cloned());
    if opening.channel == Channel::Upgradable {
        list.push("STLS".to_owned());
    }
    if opening.takes_passwords() {
        list.push("USER".to_owned());
    }
    let sasl: Vec<&str> = opening.permitted().map(Mechanism::name).collect();
    if !sasl.is_empty() {
        list.push(format!("SASL {}", sasl.join(" ")));
    }
    words::listing("Capability list follows", list.iter().map(String::as_str))
}

fn mechanisms(opening: &Opening) -> Vec<u8> {
    words::listing("Mechanisms follow", opening.permitted().map(Mechanism::name))
}
