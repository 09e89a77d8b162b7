//! The client side of POP3 towards backends: greeting, STLS, XCLIENT, `CAPA` and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::response::{self, Response};
use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch};
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;
use crate::xclient::{self, Style};

/// The client side of a POP3 connection to a backend.
pub type Replay = crate::replay::Replay<Pop3Backend>;

/// POP3 as backends speak it.
#[derive(Debug)]
pub struct Pop3Backend {
    lines: LineFinder,
    /// Whether the greeting announced XCLIENT; the capability list does not.
    takes_xclient: bool,
    /// Whether XCLIENT was sent and accepted.
    introduced: bool,
    offered: Offered,
    /// Whether the capability list has `UTF8`.
    takes_utf8: bool,
    /// Whether `USER` was sent, so that `+OK` asks for `PASS`.
    expects_pass: bool,
    expected: ExpectedResponse,
}

/// The response that comes next before the credential.
#[derive(Clone, Copy, Debug)]
enum ExpectedResponse {
    Greeting,
    Xclient,
    Capa,
    /// A line of the capability list, with the number of lines read before it.
    Capability(usize),
    Utf8,
}

/// Longest line of a backend, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// How many lines of a capability list are accepted.
const MAX_CAPABILITIES: usize = 100;

// === impl Pop3Backend ===

impl Default for Pop3Backend {
    fn default() -> Self {
        Self {
            lines: LineFinder::new(),
            takes_xclient: false,
            introduced: false,
            offered: Offered::default(),
            takes_utf8: false,
            expects_pass: false,
            expected: ExpectedResponse::Greeting,
        }
    }
}

impl BackendGrammar for Pop3Backend {
    type Response = Vec<u8>;

    const RESPONSES_ARE_TAGGED: bool = false;

    fn read(&mut self, inbox: &mut Inbox) -> Reading<Vec<u8>> {
        match self.lines.find(inbox.unread(), MAX_LINE) {
            LineSearch::NeedMore => Reading::NeedMore,
            LineSearch::TooLong => Reading::Broken(Fault::Protocol),
            LineSearch::Found(found) => {
                let line = inbox.unread()[..found.text].to_vec();
                inbox.consume(found.whole);
                Reading::Whole(line)
            }
        }
    }

    fn introduce(&mut self, line: Vec<u8>, context: &ReplayContext) -> Introduction {
        if let ExpectedResponse::Capability(read) = self.expected {
            return self.capability(&line, read, context);
        }
        match (self.expected, response::parse(&line)) {
            (ExpectedResponse::Greeting, Response::Ok(text)) => {
                let code = response::code(text).unwrap_or_default();
                self.takes_xclient = code.eq_ignore_ascii_case(b"XCLIENT");
                self.next(context)
            }
            (ExpectedResponse::Greeting, _) => Introduction::Broken(Fault::Greeting),
            (ExpectedResponse::Xclient, Response::Ok(_)) => {
                self.introduced = true;
                self.ask_capa()
            }
            (ExpectedResponse::Xclient, _) => Introduction::Broken(Fault::Forwarding),
            (ExpectedResponse::Capa, Response::Ok(_)) => {
                self.expected = ExpectedResponse::Capability(0);
                Introduction::Continue
            }
            // A server older than RFC 2449 has USER and nothing else.
            (ExpectedResponse::Capa, Response::Err(_)) => {
                self.offered = Offered { sasl: Vec::new(), native: true };
                self.ready()
            }
            // After a refusal the session stays in the mode that every client understands.
            (ExpectedResponse::Utf8, Response::Ok(_) | Response::Err(_)) => self.ready(),
            _ => Introduction::Broken(Fault::Protocol),
        }
    }

    fn secured(&mut self, context: &ReplayContext) -> Introduction {
        self.next(context)
    }

    fn starttls(&mut self, line: Vec<u8>) -> StartTlsAnswer {
        match response::parse(&line) {
            Response::Ok(_) => StartTlsAnswer::Accepted,
            _ => StartTlsAnswer::Refused,
        }
    }

    fn offered(&self) -> Offered {
        self.offered.clone()
    }

    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand> {
        match method {
            LoginMethod::Sasl { mechanism, initial, relayed } => {
                Some(auth(mechanism.name(), vec![sasl::line(&initial)], relayed))
            }
            LoginMethod::Prompts { user, password } => {
                Some(auth("LOGIN", vec![sasl::line(&user), sasl::line(&password)], false))
            }
            // The arguments of `USER` and `PASS` end with the line, so they cannot contain a line end.
            LoginMethod::Native { user, password } => {
                if !fits_line(&user) || !fits_line(&password) {
                    return None;
                }
                self.expects_pass = true;
                let rest = vec![command("PASS ", &password)];
                Some(CredentialCommand { first: command("USER ", &user), rest, relayed: false })
            }
        }
    }

    fn judge(&mut self, line: Vec<u8>) -> Judgement {
        let expects_pass = std::mem::take(&mut self.expects_pass);
        match response::parse(&line) {
            Response::Ok(_) if expects_pass => Judgement::More(None),
            Response::Ok(_) => Judgement::Accepted(reply(&line)),
            Response::Err(text) if response::is_temporary(text) => Judgement::NotNow(reply(&line)),
            Response::Err(_) => Judgement::Refused(reply(&line)),
            Response::Continue(text) if !expects_pass => Judgement::More(Some(text.to_vec())),
            Response::Continue(_) | Response::Invalid => Judgement::Broken(Fault::Protocol),
        }
    }

    fn sasl_message(message: &Secret) -> Secret {
        sasl::line(message)
    }
}

impl Pop3Backend {
    fn capability(&mut self, line: &[u8], read: usize, context: &ReplayContext) -> Introduction {
        if line == b"." {
            // Without USER and SASL a list says nothing about logins; clients then try USER and PASS.
            self.offered.native |= self.offered.sasl.is_empty();
            return self.enter_utf8(context);
        }
        if read == MAX_CAPABILITIES {
            return Introduction::Broken(Fault::Protocol);
        }
        response::add_capability(&mut self.offered, line);
        self.takes_utf8 |= response::is_utf8(line);
        self.expected = ExpectedResponse::Capability(read + 1);
        Introduction::Continue
    }

    /// Returns the next step after the greeting and after the handshake: encryption first, then XCLIENT.
    fn next(&mut self, context: &ReplayContext) -> Introduction {
        if context.starttls {
            return Introduction::StartTls("STLS".to_owned());
        }
        let forward = context.forward.as_ref().filter(|_| self.takes_xclient);
        let attributes =
            forward.and_then(|forward| xclient::attributes(Style::Bare, b"", forward, &context.client_info));
        match attributes {
            Some(attributes) => {
                self.expected = ExpectedResponse::Xclient;
                Introduction::Send(format!("XCLIENT {attributes}"))
            }
            None => self.ask_capa(),
        }
    }

    fn ask_capa(&mut self) -> Introduction {
        self.expected = ExpectedResponse::Capa;
        Introduction::Send("CAPA".to_owned())
    }

    /// Enters the mode that the client chose before its backend was known.
    fn enter_utf8(&mut self, context: &ReplayContext) -> Introduction {
        if context.client_info.utf8 && self.takes_utf8 {
            self.expected = ExpectedResponse::Utf8;
            return Introduction::Send("UTF8".to_owned());
        }
        self.ready()
    }

    const fn ready(&self) -> Introduction {
        Introduction::Ready { introduced: self.introduced }
    }
}

/// `AUTH` without an initial response: RFC 5034 section 4 bounds its line at 255 octets, and servers of RFC 1734
/// accept none.
fn auth(mechanism: &str, rest: Vec<Secret>, relayed: bool) -> CredentialCommand {
    let first = Secret::new(format!("AUTH {mechanism}\r\n").into_bytes());
    CredentialCommand { first, rest, relayed }
}

fn fits_line(text: &Secret) -> bool {
    !text.expose().iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n'))
}

fn reply(line: &[u8]) -> Reply {
    Reply { before: Vec::new(), last: [line, b"\r\n"].concat() }
}

fn command(keyword: &str, argument: &Secret) -> Secret {
    let mut line = Secret::with_capacity(keyword.len() + argument.len() + 2);
    line.extend(keyword.as_bytes());
    line.extend(argument.expose());
    line.extend(b"\r\n");
    line
}
