//! Submission towards backends: greeting, EHLO, STARTTLS, XCLIENT and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::response::{Gathered, Gatherer, Keywords, Response};
use crate::inbox::Inbox;
use crate::line::{Found, Lines};
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;
use crate::xclient::{self, Style};

/// Submission's client side at a backend.
pub type Replay = crate::replay::Replay<SubmissionBackend>;

/// Submission as backends speak it.
#[derive(Debug)]
pub struct SubmissionBackend {
    lines: Lines,
    gatherer: Gatherer,
    /// From the last `EHLO`; what was announced before a handshake or XCLIENT does not count.
    keywords: Keywords,
    /// Whether XCLIENT was sent and accepted. It is sent once: Postfix accepts no second one.
    introduced: bool,
    expected: ExpectedResponse,
}

/// The response that comes next before the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedResponse {
    Greeting,
    /// The answer to `EHLO` with our own name.
    Ehlo,
    /// The answer to `EHLO` with the client's name.
    EhloForClient,
    /// The greeting that starts over after XCLIENT.
    Xclient,
}

/// Longest line of a backend, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Longest command line with an initial response (RFC 4954 section 4: the 512 octets of RFC 5321 section
/// 4.5.3.1.4, line end included); longer ones wait for their 334.
const MAX_COMMAND: usize = 512;

// === impl SubmissionBackend ===

impl Default for SubmissionBackend {
    fn default() -> Self {
        Self {
            lines: Lines::new(),
            gatherer: Gatherer::default(),
            keywords: Keywords::default(),
            introduced: false,
            expected: ExpectedResponse::Greeting,
        }
    }
}

impl BackendGrammar for SubmissionBackend {
    type Response = Response;

    const ANSWERS_ARE_TAGGED: bool = false;

    fn read(&mut self, inbox: &mut Inbox) -> Reading<Response> {
        loop {
            let found = match self.lines.find(inbox.unread(), MAX_LINE) {
                Found::NeedMore => return Reading::NeedMore,
                Found::TooLong => return Reading::Broken(Fault::Protocol),
                Found::Line(found) => found,
            };
            let gathered = self.gatherer.line(&inbox.unread()[..found.text]);
            inbox.consume(found.whole);
            match gathered {
                Gathered::NeedMore => {}
                Gathered::Whole(response) => return Reading::Whole(response),
                Gathered::Nonsense if self.expected == ExpectedResponse::Greeting => {
                    return Reading::Broken(Fault::Greeting);
                }
                Gathered::Nonsense => return Reading::Broken(Fault::Protocol),
            }
        }
    }

    fn introduce(&mut self, response: Response, context: &ReplayContext) -> Introduction {
        match (self.expected, &response.code) {
            (ExpectedResponse::Greeting, b"220") => self.ehlo(context),
            (ExpectedResponse::Greeting, _) => Introduction::Broken(Fault::Greeting),
            // RFC 5321 section 3.8: the server closes, whatever was asked.
            (_, b"421") => Introduction::Broken(Fault::Closed),
            (ExpectedResponse::Ehlo | ExpectedResponse::EhloForClient, b"250") => {
                self.keywords = Keywords::parse(&response);
                self.next(context)
            }
            // A name that a client made up must not make the backend look broken.
            (ExpectedResponse::EhloForClient, [b'5', ..]) => self.ehlo(context),
            (ExpectedResponse::Xclient, b"220") => {
                self.introduced = true;
                self.ehlo_for_client(context)
            }
            // Perhaps half applied (Postfix).
            (ExpectedResponse::Xclient, _) => Introduction::Broken(Fault::Forwarding),
            _ => Introduction::Broken(Fault::Protocol),
        }
    }

    fn secured(&mut self, context: &ReplayContext) -> Introduction {
        self.keywords = Keywords::default();
        self.ehlo(context)
    }

    fn starttls(&mut self, response: Response) -> StartTlsAnswer {
        match &response.code {
            b"220" => StartTlsAnswer::Accepted,
            b"421" => StartTlsAnswer::Broken(Fault::Closed),
            _ => StartTlsAnswer::Refused,
        }
    }

    fn offered(&self) -> Offered {
        self.keywords.offered.clone()
    }

    fn credential(&mut self, method: LoginMethod) -> Option<CredentialCommand> {
        match method {
            LoginMethod::Sasl { mechanism, initial, relayed } => {
                Some(auth(mechanism.name(), &initial, relayed))
            }
            LoginMethod::Prompts { user, password } => {
                let first = Secret::new(b"AUTH LOGIN\r\n".to_vec());
                let rest = vec![sasl::line(&user), sasl::line(&password)];
                Some(CredentialCommand { first, rest, relayed: false })
            }
            // SMTP has no login of its own.
            LoginMethod::Native { .. } => None,
        }
    }

    fn judge(&mut self, response: Response) -> Judgement {
        match &response.code {
            b"235" => Judgement::Accepted(reply(response)),
            b"334" => match &response.texts[..] {
                [text] => Judgement::More(Some(text.clone())),
                _ => Judgement::More(None),
            },
            [b'4', ..] => Judgement::NotNow(reply(response)),
            [b'5', ..] => Judgement::Refused(reply(response)),
            _ => Judgement::Broken(Fault::Protocol),
        }
    }

    fn sasl_message(message: &Secret) -> Secret {
        sasl::line(message)
    }
}

impl SubmissionBackend {
    fn ehlo(&mut self, context: &ReplayContext) -> Introduction {
        self.expected = ExpectedResponse::Ehlo;
        Introduction::Send(format!("EHLO {}", context.hostname))
    }

    /// After XCLIENT the session is the client's: servers take the name for their `Received` fields from the last
    /// `EHLO`, whatever XCLIENT said.
    fn ehlo_for_client(&mut self, context: &ReplayContext) -> Introduction {
        let Some(name) = xclient::helo(&context.client_info) else {
            return self.ehlo(context);
        };
        self.expected = ExpectedResponse::EhloForClient;
        Introduction::Send(format!("EHLO {name}"))
    }

    /// Returns the next step once the keywords are known: encryption first, then XCLIENT.
    fn next(&mut self, context: &ReplayContext) -> Introduction {
        if context.starttls {
            if !self.keywords.starttls {
                return Introduction::Broken(Fault::NoStartTls);
            }
            return Introduction::StartTls("STARTTLS".to_owned());
        }
        match self.attributes(context) {
            Some(attributes) => {
                self.expected = ExpectedResponse::Xclient;
                Introduction::Send(format!("XCLIENT {attributes}"))
            }
            None => Introduction::Ready { introduced: self.introduced },
        }
    }

    /// Returns what the backend is still to learn of the client, and accepts.
    fn attributes(&self, context: &ReplayContext) -> Option<String> {
        let forward = context.forward.as_ref().filter(|_| !self.introduced)?;
        let announced = self.keywords.xclient.as_deref()?;
        xclient::attributes(Style::Smtp, announced, forward, &context.client_info)
    }
}

fn auth(mechanism: &str, initial: &Secret, relayed: bool) -> CredentialCommand {
    let mut first = Secret::with_capacity(MAX_COMMAND);
    first.extend(format!("AUTH {mechanism}").as_bytes());
    let mut rest = Vec::new();
    let length = initial.len().div_ceil(3) * 4;
    if first.len() + " \r\n".len() + length.max("=".len()) <= MAX_COMMAND {
        first.extend(b" ");
        sasl::encode_initial_into(&mut first, initial.expose());
    } else {
        rest.push(sasl::line(initial));
    }
    first.extend(b"\r\n");
    CredentialCommand { first, rest, relayed }
}

fn reply(response: Response) -> Reply {
    Reply { before: Vec::new(), last: response.whole }
}
