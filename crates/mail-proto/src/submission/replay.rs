//! The client side of submission towards backends: greeting, EHLO, STARTTLS, XCLIENT and the login.

use credentials::sasl::{self, LoginMethod, Offered};
use types::fault::Fault;
use types::secret::Secret;

use super::response::{Keywords, NextReply, ReplyReader, Response};
use crate::inbox::Inbox;
use crate::line::{LineFinder, LineSearch};
use crate::replay::{BackendGrammar, CredentialCommand, Introduction, Judgement, Reading, StartTlsAnswer};
use crate::step::ReplayContext;
use crate::verdict::Reply;
use crate::xclient::{self, Style};

/// The client side of a submission connection to a backend.
pub type Replay = crate::replay::Replay<SubmissionBackend>;

/// Submission as backends speak it.
#[derive(Debug)]
pub struct SubmissionBackend {
    lines: LineFinder,
    reply_reader: ReplyReader,
    /// From the last `EHLO`; keywords from before the handshake or XCLIENT are discarded.
    keywords: Keywords,
    /// Whether XCLIENT was sent and accepted. It is sent once: Postfix accepts no second one.
    introduced: bool,
    expected: ExpectedResponse,
}

/// The response that comes next before the credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExpectedResponse {
    Greeting,
    /// The reply to `EHLO` with the proxy's name.
    Ehlo,
    /// The reply to `EHLO` with the client's name.
    EhloForClient,
    /// The greeting after XCLIENT.
    Xclient,
}

/// Longest line of a backend, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Longest command line with an initial response (RFC 4954 section 4: the 512 octets of RFC 5321 section 4.5.3.1.4, with
/// the line end); a longer response is sent after the 334.
const MAX_COMMAND: usize = 512;

// === impl SubmissionBackend ===

impl Default for SubmissionBackend {
    fn default() -> Self {
        Self {
            lines: LineFinder::new(),
            reply_reader: ReplyReader::default(),
            keywords: Keywords::default(),
            introduced: false,
            expected: ExpectedResponse::Greeting,
        }
    }
}

impl BackendGrammar for SubmissionBackend {
    type Response = Response;

    const RESPONSES_ARE_TAGGED: bool = false;

    fn read(&mut self, inbox: &mut Inbox) -> Reading<Response> {
        loop {
            let found = match self.lines.find(inbox.unread(), MAX_LINE) {
                LineSearch::NeedMore => return Reading::NeedMore,
                LineSearch::TooLong => return Reading::Broken(Fault::Protocol),
                LineSearch::Found(found) => found,
            };
            let next = self.reply_reader.line(&inbox.unread()[..found.text]);
            inbox.consume(found.whole);
            match next {
                NextReply::NeedMore => {}
                NextReply::Whole(response) => return Reading::Whole(response),
                NextReply::Invalid if self.expected == ExpectedResponse::Greeting => {
                    return Reading::Broken(Fault::Greeting);
                }
                NextReply::Invalid => return Reading::Broken(Fault::Protocol),
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
            // A name that the client chose must not count as a fault of the backend.
            (ExpectedResponse::EhloForClient, [b'5', ..]) => self.ehlo(context),
            (ExpectedResponse::Xclient, b"220") => {
                self.introduced = true;
                self.ehlo_for_client(context)
            }
            // Postfix may have applied some of the attributes.
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
            // SMTP has no login command besides AUTH.
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

    /// Sends `EHLO` with the client's name after XCLIENT: servers write the name of the last `EHLO` into their `Received`
    /// fields, whatever XCLIENT reported.
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

    /// Returns the attributes for a backend that announced XCLIENT and has not received it yet.
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
