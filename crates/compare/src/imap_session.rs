//! IMAP commands and their responses, one at a time.
//!
//! The grammar is the library's. A response is parsed in the connection's bounded buffer and handed on before the next one
//! is read, so a folder of any size needs the memory of one response.

use imap_codec::CommandCodec;
use imap_codec::ResponseCodec;
use imap_codec::decode::{Decoder, ResponseDecodeError};
use imap_codec::encode::{Encoder, Fragment};
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::{LiteralMode, Tag};
use imap_codec::imap_types::response::{
    Bye, Capability, Code, Data, Response, Status, StatusBody, StatusKind, Tagged,
};
use mail_leg::{Leg, MAX_RESPONSE};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use crate::error::Cause;
use crate::side::SILENCE;

/// A connection on which the account is logged in.
pub(crate) struct ImapSession {
    leg: Leg,
    deadline: Instant,
    commands: u32,
    /// Extensions that the server has announced after the login.
    pub(crate) extensions: Extensions,
}

/// Extensions that make a difference here.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extensions {
    pub(crate) namespace: bool,
    pub(crate) condstore: bool,
    pub(crate) acl: bool,
}

/// An untagged response.
pub(crate) enum Untagged<'a> {
    Data(Data<'a>),
    Code(Code<'a>),
    /// A line that the library does not parse, without its line end.
    Line(&'a [u8]),
}

/// A complete response, or what takes its place.
enum Received {
    Untagged,
    Continuation,
    Completed,
}

/// Data that commands of this crate ask for: where it cannot be parsed, something would be missing from the comparison.
const NEEDED: [&str; 6] = ["LIST", "LSUB", "STATUS", "FETCH", "NAMESPACE", "CAPABILITY"];

/// Characters of a server's words in an error.
const MAX_EXCERPT: usize = 200;

// === impl ImapSession ===

impl ImapSession {
    /// Takes over a connection after the login.
    pub(crate) async fn new(leg: Leg, deadline: Instant) -> Result<Self, Cause> {
        let mut session = Self { leg, deadline, commands: 0, extensions: Extensions::default() };
        let mut extensions = Extensions::default();
        let note = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::Capability(capabilities)) = untagged {
                extensions = Extensions::of(capabilities.as_ref());
            }
            Ok(())
        };
        session.run("CAPABILITY", CommandBody::Capability, note).await?;
        session.extensions = extensions;
        Ok(session)
    }

    /// Sends a command, and passes each untagged response to `each` until the command is completed. `name` is for errors.
    pub(crate) async fn run(
        &mut self,
        name: &'static str,
        body: CommandBody<'_>,
        each: impl FnMut(Untagged<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let tag = self.next_tag();
        let Ok(typed_tag) = Tag::try_from(tag.as_str()) else {
            return Err(Cause::Unreadable(tag));
        };
        let command = Command { tag: typed_tag, body };
        let fragments: Vec<Fragment> = CommandCodec::new().encode(&command).collect();
        self.converse(name, &tag, &fragments, each).await
    }

    /// Sends a command that the library does not know: one line, without tag and line end.
    pub(crate) async fn run_line(
        &mut self,
        name: &'static str,
        line: &str,
        each: impl FnMut(Untagged<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let tag = self.next_tag();
        let data = format!("{tag} {line}\r\n").into_bytes();
        self.converse(name, &tag, &[Fragment::Line { data }], each).await
    }

    fn next_tag(&mut self) -> String {
        self.commands += 1;
        format!("p{}", self.commands)
    }

    async fn converse(
        &mut self,
        name: &'static str,
        tag: &str,
        fragments: &[Fragment],
        mut each: impl FnMut(Untagged<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        for fragment in fragments {
            match fragment {
                Fragment::Line { data } => self.write(data).await?,
                Fragment::Literal { data, mode } => {
                    if *mode == LiteralMode::Sync {
                        self.await_continuation(name, tag, &mut each).await?;
                    }
                    self.write(data).await?;
                }
            }
        }
        loop {
            match self.receive(name, tag, &mut each).await? {
                Received::Completed => return Ok(()),
                Received::Untagged | Received::Continuation => {}
            }
        }
    }

    async fn await_continuation(
        &mut self,
        name: &'static str,
        tag: &str,
        each: &mut impl FnMut(Untagged<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        loop {
            match self.receive(name, tag, each).await? {
                Received::Continuation => return Ok(()),
                Received::Untagged => {}
                Received::Completed => {
                    return Err(Cause::Unreadable(format!("{tag} OK before the end of the command")));
                }
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Cause> {
        let limit = self.limit();
        match timeout_at(limit, self.leg.connection.write(bytes)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Cause::Closed(error.to_string())),
            Err(_) => Err(Cause::TimedOut),
        }
    }

    /// Reads one response.
    async fn receive(
        &mut self,
        name: &'static str,
        tag: &str,
        each: &mut impl FnMut(Untagged<'_>) -> Result<(), Cause>,
    ) -> Result<Received, Cause> {
        loop {
            let unread = self.leg.connection.inbox.unread();
            if let Some((length, received)) = parse(unread, name, tag, each)? {
                self.leg.connection.inbox.consume(length);
                return Ok(received);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Result<(), Cause> {
        let limit = self.limit();
        let connection = &mut self.leg.connection;
        let spare = connection.inbox.spare();
        if spare.is_empty() {
            return Err(Cause::ResponseTooLong(MAX_RESPONSE));
        }
        match timeout_at(limit, connection.stream.read(spare)).await {
            Ok(Ok(0)) => Err(Cause::Closed("in the middle of a command".to_owned())),
            Ok(Ok(n)) => {
                connection.inbox.filled(n);
                Ok(())
            }
            Ok(Err(error)) => Err(Cause::Closed(error.to_string())),
            Err(_) => Err(Cause::TimedOut),
        }
    }

    fn limit(&self) -> Instant {
        self.deadline.min(Instant::now() + SILENCE)
    }
}

// === impl Extensions ===

impl Extensions {
    fn of(capabilities: &[Capability<'_>]) -> Self {
        let mut extensions = Self::default();
        for capability in capabilities {
            match capability {
                Capability::Namespace => extensions.namespace = true,
                Capability::CondStore | Capability::QResync => extensions.condstore = true,
                other if other.to_string().eq_ignore_ascii_case("ACL") => extensions.acl = true,
                _ => {}
            }
        }
        extensions
    }
}

/// Parses the first response of `unread`, and returns its length. `None`: it is incomplete.
fn parse(
    unread: &[u8],
    name: &'static str,
    tag: &str,
    each: &mut impl FnMut(Untagged<'_>) -> Result<(), Cause>,
) -> Result<Option<(usize, Received)>, Cause> {
    if unread.is_empty() {
        return Ok(None);
    }
    let (rest, response) = match ResponseCodec::new().decode(unread) {
        Ok(decoded) => decoded,
        Err(ResponseDecodeError::Incomplete) => return Ok(None),
        // The literal is not complete yet: with all of it, the response can be parsed.
        Err(ResponseDecodeError::LiteralFound { length }) if (length as usize) < MAX_RESPONSE => {
            return Ok(None);
        }
        Err(ResponseDecodeError::LiteralFound { .. }) => {
            return Err(Cause::ResponseTooLong(MAX_RESPONSE));
        }
        Err(ResponseDecodeError::Failed) => return parse_unknown(unread, each),
    };
    let length = unread.len() - rest.len();
    let received = match response {
        Response::Data(data) => {
            each(Untagged::Data(data))?;
            Received::Untagged
        }
        Response::CommandContinuationRequest(_) => Received::Continuation,
        Response::Status(Status::Untagged(StatusBody { code, .. })) => {
            if let Some(code) = code {
                each(Untagged::Code(code))?;
            }
            Received::Untagged
        }
        Response::Status(Status::Bye(Bye { text, .. })) => {
            return Err(Cause::Closed(text.to_string()));
        }
        Response::Status(Status::Tagged(Tagged { tag: found, body })) => {
            if found.as_ref() != tag {
                return Err(Cause::Unreadable(excerpt(&unread[..length])));
            }
            if body.kind != StatusKind::Ok {
                return Err(Cause::Refused { command: name, reply: body.text.to_string() });
            }
            Received::Completed
        }
    };
    Ok(Some((length, received)))
}

/// Handles a response that the library does not parse: one of an extension, which nobody asked for, or a broken one.
fn parse_unknown(
    unread: &[u8],
    each: &mut impl FnMut(Untagged<'_>) -> Result<(), Cause>,
) -> Result<Option<(usize, Received)>, Cause> {
    let Some(end) = unread.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let line = &unread[..end];
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line).to_ascii_uppercase();
    let mut words = text.split(' ');
    let is_untagged = words.next() == Some("*");
    let is_needed = words.take(2).any(|word| NEEDED.contains(&word));
    // What follows a literal on the next line cannot be told from a response.
    if !is_untagged || is_needed || line.ends_with(b"}") {
        return Err(Cause::Unreadable(excerpt(line)));
    }
    each(Untagged::Line(line))?;
    Ok(Some((end + 1, Received::Untagged)))
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().chars().take(MAX_EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what was made of the bytes: the length, what it was, and which kinds of untagged responses were passed on.
    fn parsed(bytes: &[u8]) -> (String, Vec<&'static str>) {
        let mut passed = Vec::new();
        let mut each = |untagged: Untagged<'_>| {
            passed.push(match untagged {
                Untagged::Data(_) => "data",
                Untagged::Code(_) => "code",
                Untagged::Line(_) => "line",
            });
            Ok(())
        };
        let result = match parse(bytes, "LIST", "p1", &mut each) {
            Ok(None) => "incomplete".to_owned(),
            Ok(Some((length, Received::Untagged))) => format!("untagged {length}"),
            Ok(Some((length, Received::Continuation))) => format!("continuation {length}"),
            Ok(Some((length, Received::Completed))) => format!("completed {length}"),
            Err(cause) => cause.to_string(),
        };
        (result, passed)
    }

    #[test]
    fn responses() {
        for (bytes, result, passed) in [
            ("", "incomplete", vec![]),
            ("* LIST () \"/\" INB", "incomplete", vec![]),
            ("* LIST () \"/\" {5}\r\nINB", "incomplete", vec![]),
            ("* LIST () \"/\" {5}\r\nINBOX\r\np1 OK", "untagged 26", vec!["data"]),
            ("* OK [UIDVALIDITY 7] fine\r\n", "untagged 27", vec!["code"]),
            ("* OK still here\r\n", "untagged 17", vec![]),
            ("* ACL INBOX bob lr\r\n", "untagged 20", vec!["line"]),
            ("* 7 XUNKNOWN (what\r\n", "untagged 20", vec!["line"]),
            ("+ go on\r\n", "continuation 9", vec![]),
            ("p1 OK done\r\n* 1 EXISTS\r\n", "completed 12", vec![]),
            ("p1 NO not you\r\n", "LIST was refused: not you", vec![]),
            ("* BYE later\r\n", "the server closed the connection: later", vec![]),
        ] {
            assert_eq!(parsed(bytes.as_bytes()), (result.to_owned(), passed), "{bytes:?}");
        }
    }

    /// What was asked for must not be skipped: it would be missing from the comparison without a word.
    #[test]
    fn broken_responses_are_errors() {
        for bytes in [
            "* LIST (\\Noselect \"/\" INBOX\r\n",
            "* 5 FETCH (UID x)\r\n",
            "* STATUS INBOX (UIDNEXT 0)\r\n",
            "* XUNKNOWN {5}\r\n",
            "p2 OK not ours\r\n",
            "nonsense\r\n",
        ] {
            let (result, passed) = parsed(bytes.as_bytes());
            assert!(result.starts_with("found a response that cannot be read"), "{bytes:?}: {result}");
            assert!(passed.is_empty(), "{bytes:?}");
        }
        let (result, _) = parsed(b"* LIST () \"/\" {99999999}\r\n");
        assert_eq!(result, format!("found a response of more than {MAX_RESPONSE} bytes"));
    }
}
