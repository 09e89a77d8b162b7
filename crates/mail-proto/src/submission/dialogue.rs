//! The server side of submission before login (RFC 6409 section 4.3): its commands.

use super::command::{self, Command, CommandError};
use super::offer;
use super::replies::{self, line, reply};
use crate::dialogue::{CommandOutcome, Grammar, MAX_COMMAND, SaslLine, StandardReply};
use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch, LineSpan, is_http_request};
use crate::step::DialogueContext;
use crate::verdict::{CloseReason, Verdict};
use crate::xclient;
use credentials::attempt::ClientInfo;
use credentials::sasl::{self, ResponseLine};

/// The server as the client sees it until a backend accepts the login.
pub type Dialogue = crate::dialogue::Dialogue<Submission>;

/// Submission as a client speaks it.
#[derive(Debug, Default)]
pub struct Submission {
    lines: LineFinder,
    /// What a trusted proxy reported, including the client's `HELO`.
    client_info: ClientInfo,
    /// The peer's last `EHLO` or `HELO`. A login needs none, as in Postfix: some clients do not repeat it after
    /// STARTTLS.
    hello: Option<Hello>,
}

/// `EHLO` or `HELO`.
#[derive(Debug)]
struct Hello {
    name: Vec<u8>,
    extended: bool,
}

const BARE_LINE_FEED: &str = "500 5.5.2 Lines must end with CR LF";

// === impl Submission ===

impl Submission {
    /// Finds the next line, if it is complete; the error is the reply before the connection is closed.
    fn next_line(
        &mut self,
        inbox: &Inbox,
        limit: usize,
        too_long: &str,
    ) -> Result<Option<LineSpan>, Vec<u8>> {
        match self.lines.find(inbox.unread(), limit) {
            LineSearch::NeedMore if !inbox.is_full() => Ok(None),
            LineSearch::NeedMore | LineSearch::TooLong => Err(line(too_long)),
            LineSearch::Found(found) if found.is_bare() => Err(line(BARE_LINE_FEED)),
            LineSearch::Found(found) => Ok(Some(found)),
        }
    }

    fn parsed(&mut self, context: &DialogueContext, parsed: Result<Command, CommandError>) -> CommandOutcome {
        let command = match parsed {
            Ok(command) => command,
            Err(CommandError::Arguments) => return reply("501 5.5.4 Error in command arguments"),
            Err(CommandError::ForbiddenByte) => return reply("500 5.5.2 Forbidden byte in the command"),
        };
        match command {
            Command::Hello { name, extended } => self.hello(context, Hello { name, extended }),
            Command::Noop => reply("250 2.0.0 Nothing done"),
            Command::Rset => reply("250 2.0.0 Nothing to reset"),
            Command::Help => reply("214 2.0.0 Log in with AUTH, then send mail as in RFC 5321"),
            // RFC 5321 section 7.3: the reply of a server that does not verify addresses.
            Command::Verify => reply("252 2.7.0 Addresses are not verified here"),
            Command::Quit => CommandOutcome::Close(line("221 2.0.0 Goodbye")),
            Command::StartTls => CommandOutcome::StartTls,
            Command::Auth { mechanism, initial } => CommandOutcome::Auth { mechanism, initial },
            Command::Xclient(arguments) if context.peer_is_trusted => self.xclient(context, &arguments),
            Command::NeedsLogin => reply(offer::login_required(context)),
            // The bytes of a message follow, which must not be read as commands.
            Command::Bdat => CommandOutcome::Close(line(offer::login_required(context))),
            Command::Xclient(_) | Command::Unknown => {
                CommandOutcome::Unknown(line("500 5.5.1 Unknown command"))
            }
        }
    }

    fn hello(&mut self, context: &DialogueContext, hello: Hello) -> CommandOutcome {
        let lines =
            if hello.extended { offer::keywords(context) } else { vec![context.offer.hostname.clone()] };
        self.hello = Some(hello);
        CommandOutcome::Reply(replies::listing(&lines))
    }

    /// Starts the session over: the greeting is sent again, and the client sends `EHLO` again.
    fn xclient(&mut self, context: &DialogueContext, arguments: &[u8]) -> CommandOutcome {
        if !xclient::apply(&mut self.client_info, arguments) {
            return reply("501 5.5.4 Error in XCLIENT attributes");
        }
        self.hello = None;
        reply(&offer::greeting(context))
    }
}

impl Grammar for Submission {
    fn greet(&self, context: &DialogueContext) -> Vec<u8> {
        line(&offer::greeting(context))
    }

    fn command(&mut self, context: &DialogueContext, inbox: &mut Inbox) -> CommandOutcome {
        let limit = if command::is_auth(inbox.unread()) { sasl::MAX_LINE } else { MAX_COMMAND };
        let found = match self.next_line(inbox, limit, "500 5.5.2 Command line too long") {
            Ok(Some(found)) => found,
            Ok(None) => return CommandOutcome::NeedMore,
            Err(reply) => return CommandOutcome::Close(reply),
        };
        let text = &inbox.unread()[..found.text];
        let parsed = command::parse(text);
        if matches!(parsed, Ok(Command::Unknown)) && is_http_request(text) {
            return CommandOutcome::Close(line("500 5.5.1 This is SMTP"));
        }
        inbox.consume(found.whole);
        self.parsed(context, parsed)
    }

    /// Base64, or `*` (RFC 4954 section 4).
    fn line(&mut self, inbox: &mut Inbox) -> SaslLine {
        let found = match self.next_line(inbox, sasl::MAX_LINE, "500 5.5.6 Response too long") {
            Ok(Some(found)) => found,
            Ok(None) => return SaslLine::NeedMore,
            Err(reply) => return SaslLine::Close(reply),
        };
        let response = ResponseLine::read(&inbox.unread()[..found.text]);
        inbox.consume(found.whole);
        SaslLine::Response(response)
    }

    fn client_info(&mut self) -> ClientInfo {
        let mut client_info = self.client_info.clone();
        // A trusted proxy that reported the client's name sends EHLO with its own.
        if let (None, Some(hello)) = (&client_info.helo, &self.hello) {
            client_info.helo = Some(hello.name.clone());
            client_info.extended = hello.extended;
        }
        client_info
    }

    fn standard_reply(&self, reply: StandardReply) -> Vec<u8> {
        replies::standard(reply)
    }

    /// RFC 4954 section 4: the space is sent even before an empty challenge.
    fn challenge(&self, data: &[u8]) -> Vec<u8> {
        sasl::challenge(b"334 ", data)
    }

    fn verdict(&self, verdict: Verdict) -> Vec<u8> {
        replies::verdict(verdict)
    }

    fn farewell(why: CloseReason) -> Vec<u8> {
        replies::farewell(why)
    }

    fn too_many_unknown(&self, _reply: Vec<u8>) -> Vec<u8> {
        line("421 4.7.0 Too many unknown commands")
    }
}
