//! The client side of IMAP towards backends: greeting, STARTTLS, `ID` and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::id;
use super::response::{self, Capabilities, Response, Status};
use crate::account_guard::AccountGuard;
use crate::frame::{Bounds, Framer, NextFrame};
use crate::inbox::Inbox;
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;

/// The client side of an IMAP connection to a backend.
pub type Replay = crate::replay::Replay<ImapBackend>;

/// IMAP as backends speak it.
#[derive(Debug, Default)]
pub struct ImapBackend {
    framer: Framer,
    capabilities: Option<Capabilities>,
    /// The number of the last tag.
    tags: u32,
    /// Untagged responses to the credential, with their line ends; the client receives them if the login succeeds.
    untagged: Vec<u8>,
    /// Those of them that have a status and no capabilities: they are the client's, should the login fail.
    alerts: Vec<u8>,
    /// The text of the last untagged `NO`: the refusal, should the backend send no other.
    untagged_no: Option<Vec<u8>>,
    /// Whether capabilities were announced since the credential.
    is_announced: bool,
    /// The `OK` to the credential, while the capabilities of the session are asked for.
    accepted: Option<Vec<u8>>,
    /// Untagged responses since the last command.
    untagged_count: usize,
    expected: ExpectedResponse,
}

/// The response that comes next before the credential.
#[derive(Clone, Copy, Debug, Default)]
enum ExpectedResponse {
    #[default]
    Greeting,
    Capability,
    Id,
}

/// Longest response with its literals, in bytes.
const MAX_WHOLE: usize = 64 * 1024;
/// Most untagged responses to one command.
const MAX_UNTAGGED: usize = 100;
/// Longest initial response on the command line, in bytes; a longer one is sent after the continuation request.
/// Dovecot accepts lines of 8 KiB, others as few as RFC 7162's 8192 octets.
const MAX_INITIAL: usize = 4 * 1024;

// === impl ImapBackend ===

impl BackendGrammar for ImapBackend {
    type Response = Vec<u8>;

    const RESPONSES_ARE_TAGGED: bool = true;

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
        if matches!(self.expected, ExpectedResponse::Greeting) {
            return self.greeting(without_line_end(&frame), context);
        }
        match self.completion(&frame) {
            Ok(None) => Introduction::Continue,
            Err(fault) => Introduction::Broken(fault),
            Ok(Some(Completion { status, .. })) => match self.expected {
                ExpectedResponse::Capability if status == Status::Ok && self.capabilities.is_some() => {
                    self.next(context)
                }
                ExpectedResponse::Greeting | ExpectedResponse::Capability => {
                    Introduction::Broken(Fault::Protocol)
                }
                ExpectedResponse::Id => Introduction::Ready { introduced: status == Status::Ok },
            },
        }
    }

    fn secured(&mut self, _: &ReplayContext) -> Introduction {
        // Capabilities from before the handshake are discarded (RFC 9051 section 6.2.1).
        self.capabilities = None;
        self.ask_capability()
    }

    fn starttls(&mut self, frame: Vec<u8>) -> StartTlsAnswer {
        match self.completion(&frame) {
            Ok(None) => StartTlsAnswer::Ignored,
            Ok(Some(Completion { status: Status::Ok, .. })) => StartTlsAnswer::Accepted,
            Ok(Some(_)) => StartTlsAnswer::Refused,
            Err(fault) => StartTlsAnswer::Broken(fault),
        }
    }

    fn offered(&self) -> Offered {
        self.capabilities.as_ref().map(Capabilities::offered).unwrap_or_default()
    }

    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand> {
        self.untagged.clear();
        self.alerts.clear();
        self.untagged_no = None;
        self.is_announced = false;
        Some(match method {
            LoginMethod::Sasl { mechanism, initial, relayed } => {
                self.authenticate(mechanism.name(), &initial, relayed)
            }
            LoginMethod::Native { user, password } => self.login(&user, &password),
            LoginMethod::Prompts { user, password } => {
                let first = self.line("AUTHENTICATE LOGIN");
                CredentialCommand {
                    first,
                    rest: vec![sasl::line(&user), sasl::line(&password)],
                    relayed: false,
                }
            }
        })
    }

    fn judge(&mut self, frame: Vec<u8>) -> Judgement {
        if let Response::Continue(text) = response::parse(without_line_end(&frame)) {
            return match self.accepted {
                None => Judgement::More(Some(text.to_vec())),
                Some(_) => Judgement::Broken(Fault::Protocol),
            };
        }
        if let Response::Status(status, text) = response::parse(without_line_end(&frame)) {
            match status {
                Status::Bye if self.accepted.is_some() => return Judgement::Broken(Fault::Closed),
                Status::Bye => return self.bye(text),
                Status::No => self.untagged_no = Some(text.to_vec()),
                Status::Ok | Status::Bad | Status::Preauth => {}
            }
            if Capabilities::parse(response::code(text).unwrap_or_default()).is_none() {
                self.alerts.extend_from_slice(&frame);
            }
        }
        let completion = match self.completion(&frame) {
            Ok(Some(completion)) => completion,
            Err(fault) => return Judgement::Broken(fault),
            Ok(None) => {
                self.untagged.extend_from_slice(&response::without_unauthenticate(&frame));
                return Judgement::Ignored;
            }
        };
        if let Some(last) = self.accepted.take() {
            // Whatever the answer to CAPABILITY is: the login has succeeded.
            return Judgement::Accepted(Reply { before: std::mem::take(&mut self.untagged), last });
        }
        let text = completion.from_status.get(3..).unwrap_or_default();
        let is_temporary = response::is_temporary(text);
        let last = [&response::without_unauthenticate(completion.from_status)[..], b"\r\n"].concat();
        match completion.status {
            Status::Ok => {
                self.learn(response::code(text).unwrap_or_default());
                self.accept(last)
            }
            Status::No if is_temporary => Judgement::NotNow(self.with_alerts(last)),
            _ => Judgement::Refused(self.with_alerts(last)),
        }
    }

    fn account_guard(&self) -> Option<AccountGuard> {
        match self.capabilities.as_ref().filter(|_| self.is_announced) {
            Some(capabilities) if !capabilities.unauthenticate => None,
            Some(capabilities) => Some(AccountGuard::imap(capabilities.literal_plus)),
            // The backend did not say what it has.
            None => Some(AccountGuard::imap(false)),
        }
    }

    fn sasl_message(message: &Secret) -> Secret {
        sasl::line(message)
    }

    fn incomplete_refusal(&mut self) -> Option<Reply> {
        let text = self.untagged_no.take().filter(|text| !response::is_temporary(text))?;
        Some(Reply { before: Vec::new(), last: [b"NO ", &text[..], b"\r\n"].concat() })
    }
}

/// The tagged response that completes a command.
struct Completion<'f> {
    status: Status,
    /// The response from its status on.
    from_status: &'f [u8],
}

impl ImapBackend {
    fn greeting(&mut self, text: &[u8], context: &ReplayContext) -> Introduction {
        match response::parse(text) {
            Response::Status(Status::Ok, text) => {
                self.learn(response::code(text).unwrap_or_default());
                self.next(context)
            }
            Response::Status(Status::Preauth, _) => Introduction::Broken(Fault::Preauth),
            _ => Introduction::Broken(Fault::Greeting),
        }
    }

    /// Handles a response to a command; returns `None` for an untagged one.
    fn completion<'f>(&mut self, frame: &'f [u8]) -> Result<Option<Completion<'f>>, Fault> {
        match response::parse(without_line_end(frame)) {
            Response::Status(Status::Bye, _) => Err(Fault::Closed),
            Response::Status(_, text) => {
                self.learn(response::code(text).unwrap_or_default());
                self.count_untagged(frame)
            }
            Response::Untagged(text) => {
                self.learn(text);
                self.count_untagged(frame)
            }
            Response::Done { tag, status, from_status } if tag == self.tag().as_bytes() => {
                Ok(Some(Completion { status, from_status }))
            }
            Response::Continue(_) | Response::Done { .. } | Response::Invalid => Err(Fault::Protocol),
        }
    }

    fn count_untagged<'f>(&mut self, frame: &[u8]) -> Result<Option<Completion<'f>>, Fault> {
        self.untagged_count += 1;
        if self.untagged_count > MAX_UNTAGGED || self.untagged.len() + frame.len() > MAX_WHOLE {
            return Err(Fault::Protocol);
        }
        Ok(None)
    }

    /// Judges the `OK` to the credential. The client knows what we announced before the login, which need not be true for
    /// this backend. A server may send capabilities unasked (RFC 9051 section 7.2.2), and a client that learns nothing
    /// keeps what it knows: where the backend announces nothing with its `OK`, it is asked first.
    fn accept(&mut self, last: Vec<u8>) -> Judgement {
        if self.is_announced {
            return Judgement::Accepted(Reply { before: std::mem::take(&mut self.untagged), last });
        }
        self.accepted = Some(last);
        Judgement::Ask(self.command("CAPABILITY"))
    }

    fn with_alerts(&mut self, last: Vec<u8>) -> Reply {
        Reply { before: std::mem::take(&mut self.alerts), last }
    }

    /// Judges a `BYE` in place of the completion: it becomes a tagged `NO`, since the client stays.
    fn bye(&mut self, text: &[u8]) -> Judgement {
        if let Some(reply) = self.incomplete_refusal() {
            return Judgement::Refused(reply);
        }
        if response::bye_is_refusal(text) {
            return Judgement::Refused(self.with_alerts([b"NO ", text, b"\r\n"].concat()));
        }
        let code = if response::code(text).is_some() { &b""[..] } else { b"[UNAVAILABLE] " };
        Judgement::NotNow(self.with_alerts([b"NO ", code, text, b"\r\n"].concat()))
    }

    /// Returns the next step once capabilities are known: encryption first, then `ID`.
    fn next(&mut self, context: &ReplayContext) -> Introduction {
        let Some(capabilities) = &self.capabilities else {
            return self.ask_capability();
        };
        if context.starttls {
            if !capabilities.starttls {
                return Introduction::Broken(Fault::NoStartTls);
            }
            return Introduction::StartTls(self.command("STARTTLS"));
        }
        match id::arguments(context.forward.as_ref(), &context.client_info) {
            Some(arguments) if capabilities.id => {
                self.expected = ExpectedResponse::Id;
                Introduction::Send(self.command(&format!("ID {arguments}")))
            }
            Some(_) => Introduction::Ready { introduced: false },
            None => Introduction::Ready { introduced: true },
        }
    }

    fn ask_capability(&mut self) -> Introduction {
        self.expected = ExpectedResponse::Capability;
        Introduction::Send(self.command("CAPABILITY"))
    }

    /// Stores the capabilities in `text`, a response code or an untagged response.
    fn learn(&mut self, text: &[u8]) {
        if let Some(capabilities) = Capabilities::parse(text) {
            self.capabilities = Some(capabilities);
            self.is_announced = true;
        }
    }

    fn tag(&self) -> String {
        format!("P{}", self.tags)
    }

    /// Starts a command with a new tag.
    fn command(&mut self, command: &str) -> String {
        self.tags += 1;
        self.untagged_count = 0;
        format!("{} {command}", self.tag())
    }

    fn line(&mut self, command: &str) -> Secret {
        Secret::new(format!("{}\r\n", self.command(command)).into_bytes())
    }

    fn authenticate(&mut self, mechanism: &str, initial: &Secret, relayed: bool) -> CredentialCommand {
        let mut first = Secret::new(self.command(&format!("AUTHENTICATE {mechanism}")).into_bytes());
        let mut rest = Vec::new();
        let has_ir = self.capabilities.as_ref().is_some_and(|capabilities| capabilities.sasl_ir);
        if has_ir && initial.len() <= MAX_INITIAL {
            first.extend(b" ");
            sasl::encode_initial_into(&mut first, initial.expose());
        } else {
            rest.push(sasl::line(initial));
        }
        first.extend(b"\r\n");
        CredentialCommand { first, rest, relayed }
    }

    /// Writes `LOGIN` with quoted strings, or with literals for text that is not valid inside quotes.
    fn login(&mut self, user: &Secret, password: &Secret) -> CredentialCommand {
        let mut line = Secret::new(self.command("LOGIN").into_bytes());
        let mut parts = Vec::new();
        let waits = !self.capabilities.as_ref().is_some_and(|capabilities| capabilities.literal_plus);
        for argument in [user, password] {
            line.extend(b" ");
            if is_quotable(argument.expose()) {
                quote_into(&mut line, argument.expose());
                continue;
            }
            let plus = if waits { "" } else { "+" };
            line.extend(format!("{{{}{plus}}}\r\n", argument.len()).as_bytes());
            if waits {
                parts.push(std::mem::take(&mut line));
            }
            line.extend(argument.expose());
        }
        line.extend(b"\r\n");
        parts.push(line);
        let first = parts.remove(0);
        CredentialCommand { first, rest: parts, relayed: false }
    }
}

fn without_line_end(frame: &[u8]) -> &[u8] {
    let text = frame.strip_suffix(b"\n").unwrap_or(frame);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// Returns whether `text` is QUOTED-CHAR without 8-bit bytes, which some servers refuse between quotes.
fn is_quotable(text: &[u8]) -> bool {
    text.iter().all(|byte| (b' '..0x7f).contains(byte))
}

fn quote_into(line: &mut Secret, text: &[u8]) {
    line.extend(b"\"");
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            line.extend(b"\\");
        }
        line.extend(&[byte]);
    }
    line.extend(b"\"");
}
