//! ManageSieve towards backends: greeting, STARTTLS, XCLIENT and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::response::{self, Capabilities, Response, Status};
use super::string::{self, Writer};
use crate::frame::{Bounds, Framed, Framer};
use crate::inbox::Inbox;
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;
use crate::xclient::{self, Style};

/// ManageSieve's client side at a backend.
pub type Replay = crate::replay::Replay<ManageSieveBackend>;

/// ManageSieve as backends speak it.
#[derive(Debug, Default)]
pub struct ManageSieveBackend {
    framer: Framer,
    capabilities: Capabilities,
    /// Lines of capabilities since the last status.
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
    /// The capabilities that a backend sends unasked after the handshake (RFC 5804 section 2.2).
    Capabilities,
    Xclient,
    /// The answer to `NOOP`, which shows that XCLIENT's response has ended.
    Sync,
}

/// Longest response, literals included, in bytes.
const MAX_WHOLE: usize = 64 * 1024;
/// How many lines of one capability block are accepted.
const MAX_CAPABILITIES: usize = 100;
/// The argument of `NOOP`, by which its answer is recognised.
const SYNC: &str = "xclient-taken";

// === impl ManageSieveBackend ===

impl BackendGrammar for ManageSieveBackend {
    type Response = Vec<u8>;

    const ANSWERS_ARE_TAGGED: bool = false;

    fn read(&mut self, inbox: &mut Inbox) -> Reading<Vec<u8>> {
        let bounds = Bounds { line: MAX_WHOLE, whole: MAX_WHOLE, unasked: MAX_WHOLE };
        loop {
            match self.framer.next(inbox.unread(), bounds) {
                Framed::NeedMore => return Reading::NeedMore,
                // A server does not wait for a go-ahead: its octets follow at once.
                Framed::Announced { .. } => {}
                Framed::TooLong => return Reading::Broken(Fault::Protocol),
                Framed::Whole(length) => {
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
            Response::Nonsense if is_greeting => Introduction::Broken(Fault::Greeting),
            Response::Nonsense => Introduction::Broken(Fault::Protocol),
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
            Response::Strings(..) | Response::Nonsense => StartTlsAnswer::Broken(Fault::Protocol),
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
            Response::Strings(..) | Response::Nonsense => return Judgement::Broken(Fault::Protocol),
        };
        let line = frame.strip_suffix(b"\n").unwrap_or(&frame);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let reply = Reply { before: Vec::new(), last: [line, b"\r\n"].concat() };
        match status {
            Status::Ok => Judgement::Accepted(reply),
            _ if response::is_not_now(text) => Judgement::NotNow(reply),
            _ => Judgement::Refused(reply),
        }
    }

    fn sasl_message(message: &Secret) -> Secret {
        encoded(message)
    }
}

impl ManageSieveBackend {
    fn introduction_status(&mut self, status: Status, text: &[u8], context: &ReplayContext) -> Introduction {
        let had_block = std::mem::take(&mut self.capability_lines) > 0;
        match (self.expected, status) {
            (ExpectedResponse::Greeting, Status::Ok) if had_block => self.next(context),
            (ExpectedResponse::Greeting, _) => Introduction::Broken(Fault::Greeting),
            (ExpectedResponse::Capabilities, Status::Ok) if had_block => self.next(context),
            (ExpectedResponse::Capabilities, _) => Introduction::Broken(Fault::Protocol),
            (ExpectedResponse::Xclient, Status::Ok) => self.xclient_accepted(had_block),
            (ExpectedResponse::Xclient, _) => Introduction::Broken(Fault::Forwarding),
            // The end of the block that follows XCLIENT's OK; the answer to `NOOP` is still to come.
            (ExpectedResponse::Sync, Status::Ok)
                if had_block && !response::has_tag(text, SYNC.as_bytes()) =>
            {
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

    /// Goes on after XCLIENT. Dovecot answers `OK` and no more; others send their capabilities again, before that
    /// `OK` or after it. Unless they came, `NOOP` finds out, since a late `OK` must not be taken for the login's.
    fn xclient_accepted(&mut self, had_block: bool) -> Introduction {
        self.introduced = true;
        if had_block {
            return self.ready();
        }
        self.expected = ExpectedResponse::Sync;
        Introduction::SendAmidst(format!("NOOP \"{SYNC}\""))
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
    if response::has_code(text) && !response::is_not_now(text) {
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
