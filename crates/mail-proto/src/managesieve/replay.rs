//! The client side of ManageSieve towards backends: greeting, STARTTLS, XCLIENT and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::response::{self, Capabilities, Response, Status};
use super::string::{self, Writer};
use crate::account_guard::AccountGuard;
use crate::frame::{Bounds, Framer, NextFrame};
use crate::inbox::Inbox;
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;
use crate::xclient::{self, Style};

/// The client side of a ManageSieve connection to a backend.
pub type Replay = crate::replay::Replay<ManageSieveBackend>;

/// ManageSieve as backends speak it.
#[derive(Debug, Default)]
pub struct ManageSieveBackend {
    framer: Framer,
    capabilities: Capabilities,
    /// LineFinder of capabilities since the last status.
    capability_lines: usize,
    /// Whether XCLIENT was sent and accepted.
    introduced: bool,
    expected: ExpectedResponse,
}

/// The response that comes next before the credential.
#[derive(Clone, Copy, Debug, Default)]
enum ExpectedResponse {
    #[default]
    Greeting,
    /// The capabilities that a backend sends non_synchronizing after the handshake (RFC 5804 section 2.2).
    Capabilities,
    Xclient,
    /// The response to `NOOP`, which shows that the response to XCLIENT has ended.
    Sync,
}

/// Longest response, literals included, in bytes.
const MAX_WHOLE: usize = 64 * 1024;
/// Most lines of one capability list.
const MAX_CAPABILITIES: usize = 100;
/// The tag of `NOOP`, which its response repeats.
const SYNC: &str = "xclient-taken";

// === impl ManageSieveBackend ===

impl BackendGrammar for ManageSieveBackend {
    type Response = Vec<u8>;

    const RESPONSES_ARE_TAGGED: bool = false;

    fn read(&mut self, inbox: &mut Inbox) -> Reading<Vec<u8>> {
        let bounds = Bounds { line: MAX_WHOLE, whole: MAX_WHOLE, non_synchronizing: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                NextFrame::NeedMore => return Reading::NeedMore,
                // The octets of a server's literal follow at once.
                NextFrame::SynchronizingLiteral { .. } => {}
                NextFrame::TooLong => return Reading::Broken(Fault::Protocol),
                NextFrame::Whole(length) => {
                    let frame = inbox.unread()[..length].to_vec();
                    inbox.consume(length);
                    return Reading::Whole(frame);
                }
            }
        }
    }

    fn introduce(&mut self, frame: Vec<u8>, context: &ReplayContext) -> Introduction {
        let is_greeting = matches!(self.expected, ExpectedResponse::Greeting);
        match response::parse(&frame) {
            Response::Status(Status::Bye, _) if !is_greeting => Introduction::Broken(Fault::Closed),
            Response::Status(status, text) => self.introduction_status(status, text, context),
            Response::Strings(name, value) => self.capability(&name, value.as_ref()),
            Response::Invalid if is_greeting => Introduction::Broken(Fault::Greeting),
            Response::Invalid => Introduction::Broken(Fault::Protocol),
        }
    }

    fn secured(&mut self, _: &ReplayContext) -> Introduction {
        self.expected = ExpectedResponse::Capabilities;
        Introduction::Continue
    }

    fn starttls(&mut self, frame: Vec<u8>) -> StartTlsAnswer {
        self.capability_lines = 0;
        match response::parse(&frame) {
            Response::Status(Status::Bye, _) => StartTlsAnswer::Broken(Fault::Closed),
            Response::Status(Status::Ok, _) => StartTlsAnswer::Accepted,
            Response::Status(..) => StartTlsAnswer::Refused,
            Response::Strings(..) | Response::Invalid => StartTlsAnswer::Broken(Fault::Protocol),
        }
    }

    fn offered(&self) -> Offered {
        self.capabilities.offered()
    }

    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand> {
        match method {
            // Every server accepts an initial response (RFC 5804 section 2.1).
            LoginMethod::Sasl { mechanism, initial, relayed } => {
                let mut first = Secret::new(format!("AUTHENTICATE \"{mechanism}\" ").into_bytes());
                first.extend(encoded(&initial).expose());
                Some(CredentialCommand { first, rest: Vec::new(), relayed })
            }
            LoginMethod::Prompts { user, password } => {
                let first = Secret::new(b"AUTHENTICATE \"LOGIN\"\r\n".to_vec());
                let rest = vec![encoded(&user), encoded(&password)];
                Some(CredentialCommand { first, rest, relayed: false })
            }
            LoginMethod::Native { .. } => None,
        }
    }

    fn judge(&mut self, frame: Vec<u8>) -> Judgement {
        let (status, text) = match response::parse(&frame) {
            Response::Status(Status::Bye, text) => return bye(text),
            Response::Status(status, text) => (status, text),
            Response::Strings(challenge, None) => {
                return Judgement::More(Some(challenge.expose().to_vec()));
            }
            Response::Strings(..) | Response::Invalid => return Judgement::Broken(Fault::Protocol),
        };
        let line = frame.strip_suffix(b"\n").unwrap_or(&frame);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let reply = Reply { before: Vec::new(), last: [line, b"\r\n"].concat() };
        match status {
            Status::Ok => Judgement::Accepted(reply),
            _ if response::is_temporary(text) => Judgement::NotNow(reply),
            _ => Judgement::Refused(reply),
        }
    }

    fn account_guard(&self) -> Option<AccountGuard> {
        // No capability shows that a server has UNAUTHENTICATE.
        Some(AccountGuard::managesieve())
    }

    fn sasl_message(message: &Secret) -> Secret {
        encoded(message)
    }

    fn sasl_cancel() -> Secret {
        Secret::copy_of(b"\"*\"\r\n")
    }
}

impl ManageSieveBackend {
    fn introduction_status(&mut self, status: Status, text: &[u8], context: &ReplayContext) -> Introduction {
        let had_list = std::mem::take(&mut self.capability_lines) > 0;
        match (self.expected, status) {
            (ExpectedResponse::Greeting, Status::Ok) if had_list => self.next(context),
            (ExpectedResponse::Greeting, _) => Introduction::Broken(Fault::Greeting),
            (ExpectedResponse::Capabilities, Status::Ok) if had_list => self.next(context),
            (ExpectedResponse::Capabilities, _) => Introduction::Broken(Fault::Protocol),
            (ExpectedResponse::Xclient, Status::Ok) => self.xclient_accepted(had_list),
            (ExpectedResponse::Xclient, _) => Introduction::Broken(Fault::Forwarding),
            // The end of the capability list after XCLIENT's OK; the response to `NOOP` follows.
            (ExpectedResponse::Sync, Status::Ok) if had_list && !response::has_tag(text, SYNC.as_bytes()) => {
                Introduction::Continue
            }
            (ExpectedResponse::Sync, _) => self.ready(),
        }
    }

    fn capability(&mut self, name: &Secret, value: Option<&Secret>) -> Introduction {
        if self.capability_lines == MAX_CAPABILITIES {
            return Introduction::Broken(Fault::Protocol);
        }
        if self.capability_lines == 0 {
            self.capabilities = Capabilities::default();
        }
        self.capability_lines += 1;
        self.capabilities.add(name.expose(), value.map(Secret::expose));
        Introduction::Continue
    }

    /// Returns the next step once capabilities are known: encryption first, then XCLIENT.
    fn next(&mut self, context: &ReplayContext) -> Introduction {
        if context.starttls {
            if !self.capabilities.starttls {
                return Introduction::Broken(Fault::NoStartTls);
            }
            return Introduction::StartTls("STARTTLS".to_owned());
        }
        let announced = self.capabilities.xclient.as_deref();
        let attributes = context.forward.as_ref().zip(announced).and_then(|(forward, announced)| {
            xclient::attributes(Style::Bare, announced, forward, &context.client_info)
        });
        match attributes {
            Some(attributes) => {
                self.expected = ExpectedResponse::Xclient;
                Introduction::Send(format!("XCLIENT {attributes}"))
            }
            None => self.ready(),
        }
    }

    /// Continues after XCLIENT. Dovecot replies with `OK` alone; others send their capabilities again, before that `OK` or
    /// after it. If they did not come before it, a `NOOP` follows, so that a late `OK` is not taken for the login's.
    fn xclient_accepted(&mut self, had_list: bool) -> Introduction {
        self.introduced = true;
        if had_list {
            return self.ready();
        }
        self.expected = ExpectedResponse::Sync;
        Introduction::SendPipelined(format!("NOOP \"{SYNC}\""))
    }

    const fn ready(&self) -> Introduction {
        Introduction::Ready { introduced: self.introduced }
    }
}

/// Judges a `BYE` in place of the verdict: it becomes a `NO`, since the client stays. Without a response code it does not
/// show that the login was refused.
fn bye(text: &[u8]) -> Judgement {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let code = if response::has_code(text) { &b""[..] } else { b"(TRYLATER) " };
    let last = [b"NO ", code, text].concat();
    let reply = Reply { before: Vec::new(), last: [last.trim_ascii_end(), b"\r\n"].concat() };
    if response::has_code(text) && !response::is_temporary(text) {
        Judgement::Refused(reply)
    } else {
        Judgement::NotNow(reply)
    }
}

/// Returns a line of a SASL exchange: a string of base64.
fn encoded(message: &Secret) -> Secret {
    let mut text = Secret::with_capacity(message.len().div_ceil(3) * 4);
    sasl::encode_into(&mut text, message.expose());
    let mut line = Secret::with_capacity(text.len() + 16);
    string::push(&mut line, text.expose(), Writer::Client);
    line.extend(b"\r\n");
    line
}
