//! The IMAP server's side of a connection (RFC 3501 with LITERAL+, IDLE, UIDPLUS, MOVE).
//!
//! `imap-codec` reads commands and writes responses. Reading a command whole is done here: before a login a
//! client may send no more than a login needs, no client may make the server hold more than one message or
//! the responses about one, and the octets of a literal are never taken for a command.

mod fetch;
mod mailboxes;
mod messages;
mod responses;
mod search;
mod selected;

use std::io;
use std::sync::Arc;

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::{Atom, IString, NString, Quoted, Tag, Vec1};
use imap_codec::imap_types::response::{Capability, Code, Data};
use types::secret::Secret;

use self::responses::{Reply, Responses, bad, no, ok, refused};
use self::selected::Selected;
use crate::client::{Client, MAX_FAILURES, MAX_LINE, Stream};
use crate::store::{MAX_MESSAGE, Maildrop, Store};

struct Session<S> {
    client: Client<S>,
    store: Arc<Store>,
    /// Once the client has logged in.
    maildrop: Option<Arc<Maildrop>>,
    selected: Option<Selected>,
    out: Responses,
    failures: u8,
}

const BEFORE_LOGIN: &str = "LITERAL+ ID ENABLE";
const AFTER_LOGIN: &str =
    "LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE APPENDLIMIT=1048576";

/// Serves one client to its end.
pub(crate) async fn serve(stream: impl Stream, store: Arc<Store>) -> io::Result<()> {
    let client = Client::new(stream, "* BYE");
    let out = Responses::default();
    let mut session = Session { client, store, maildrop: None, selected: None, out, failures: 0 };
    let greeting = format!("the demo's server \"{}\"", session.store.server);
    session.out.status(None, ok(greeting).with(Code::Capability(session.capabilities())));
    session.flush().await?;
    while session.failures < MAX_FAILURES {
        let Some(command) = session.read_command().await? else { continue };
        let tag = tag_of(command.expose());
        let reply = match CommandCodec::default().decode(command.expose()) {
            Ok((b"", Command { body: CommandBody::Logout, .. })) => {
                session.client.send(b"* BYE until next time\r\n").await?;
                session.out.status(tag, ok("done"));
                session.flush().await?;
                return session.client.end().await;
            }
            Ok((b"", Command { body, .. })) => session.execute(body).await?,
            _ => bad("the command is not understood"),
        };
        session.out.status(tag, reply);
        session.flush().await?;
    }
    Err(session.client.close("too many failures").await)
}

// === impl Session ===

impl<S: Stream> Session<S> {
    /// The next command with its literals, ending in CRLF. `None`: it was refused, and the client knows.
    async fn read_command(&mut self) -> io::Result<Option<Secret>> {
        let limit = if self.maildrop.is_some() { MAX_MESSAGE + MAX_LINE } else { MAX_LINE };
        let mut command = Secret::with_capacity(1024);
        loop {
            let line = self.client.line().await?;
            command.extend(line.expose());
            command.extend(b"\r\n");
            let Some((octets, is_sync)) = announced_literal(line.expose()) else {
                return Ok(Some(command));
            };
            let is_too_long = octets > MAX_MESSAGE || command.len() + octets > limit;
            if is_too_long && !is_sync {
                return Err(self.client.close("the command is too long").await);
            }
            if is_too_long {
                self.out.status(tag_of(command.expose()), no("TOOBIG", "the literal is too long"));
                self.flush().await?;
                return Ok(None);
            }
            if is_sync {
                self.client.send(b"+ go ahead\r\n").await?;
            }
            command.extend(self.client.octets(octets).await?.expose());
        }
    }

    async fn execute(&mut self, body: CommandBody<'_>) -> io::Result<Reply> {
        match (&body, self.maildrop.clone()) {
            (CommandBody::Capability, _) => self.out.data(Data::Capability(self.capabilities())),
            (CommandBody::Id { .. }, _) => {
                let name = IString::Quoted(Quoted::unvalidated("name"));
                let value = IString::Quoted(Quoted::unvalidated("Pointsman's demo"));
                self.out.data(Data::Id { parameters: Some(vec![(name, NString(Some(value)))]) });
            }
            (CommandBody::Noop | CommandBody::Check, _) => self.catch_up(),
            (CommandBody::Login { username, password }, None) => {
                return Ok(self.log_in(username.as_ref(), password.declassify().as_ref()));
            }
            (CommandBody::Login { .. }, Some(_)) => return Ok(bad("the client has logged in already")),
            (_, None) => return Ok(bad("log in first")),
            (CommandBody::Idle, Some(maildrop)) => return self.idle(&maildrop).await,
            (_, Some(maildrop)) => {
                let Some(reply) = mailboxes::execute(&maildrop, &body, &mut self.out) else {
                    return self.execute_on_messages(body, maildrop).await;
                };
                self.catch_up();
                return Ok(reply);
            }
        }
        Ok(ok("done"))
    }

    async fn execute_on_messages(
        &mut self,
        body: CommandBody<'_>,
        maildrop: Arc<Maildrop>,
    ) -> io::Result<Reply> {
        let read_only = matches!(body, CommandBody::Examine { .. });
        match (body, &mut self.selected) {
            (CommandBody::Select { mailbox } | CommandBody::Examine { mailbox }, selected) => {
                // A failed SELECT leaves nothing selected (RFC 3501 section 6.3.1).
                *selected = None;
                let name = mailboxes::name_of(&mailbox);
                return Ok(match Selected::open(maildrop, name, read_only, &mut self.out) {
                    Ok(opened) => {
                        *selected = Some(opened);
                        ok("opened").with(if read_only { Code::ReadOnly } else { Code::ReadWrite })
                    }
                    Err(refusal) => refused(&refusal),
                });
            }
            (_, None) => return Ok(bad("select a mailbox first")),
            (CommandBody::Unselect, selected) => *selected = None,
            (CommandBody::Close, Some(selected)) => {
                if !selected.read_only {
                    messages::expunge(selected, None, &mut Responses::default());
                }
                self.selected = None;
            }
            (CommandBody::Fetch { sequence_set, macro_or_item_names, uid }, Some(selected)) => {
                let Some(items) = fetch::items(&macro_or_item_names, uid) else {
                    return Ok(bad("too many items, or one that is not offered"));
                };
                for place in selected.find(&sequence_set, uid) {
                    fetch::respond(selected, place, &items, &mut self.out);
                    self.client.send(&self.out.take()).await?;
                }
                selected.catch_up(uid, &mut self.out);
            }
            (body, Some(selected)) => return Ok(messages::execute(selected, body, &mut self.out)),
        }
        Ok(ok("done"))
    }

    async fn idle(&mut self, maildrop: &Maildrop) -> io::Result<Reply> {
        let mut changes = maildrop.changes.subscribe();
        self.client.send(b"+ idling\r\n").await?;
        loop {
            self.catch_up();
            self.flush().await?;
            tokio::select! {
                line = self.client.line() => {
                    let is_done = line?.expose().eq_ignore_ascii_case(b"DONE");
                    return Ok(if is_done { ok("done") } else { bad("DONE ends IDLE") });
                }
                _ = changes.changed() => {}
            }
        }
    }

    fn log_in(&mut self, name: &[u8], password: &[u8]) -> Reply {
        let Some(maildrop) = self.store.log_in(name, password) else {
            self.failures += 1;
            return no("AUTHENTICATIONFAILED", "wrong name or password");
        };
        let text = format!("{} is logged in on {}", maildrop.login, self.store.server);
        self.maildrop = Some(maildrop);
        self.client.extend_idle_limit();
        ok(text).with(Code::Capability(self.capabilities()))
    }

    fn capabilities(&self) -> Vec1<Capability<'static>> {
        let others = if self.maildrop.is_some() { AFTER_LOGIN } else { BEFORE_LOGIN };
        let others = others.split(' ').map(|name| Capability::from(Atom::unvalidated(name)));
        Vec1::unvalidated([Capability::Imap4Rev1].into_iter().chain(others).collect())
    }

    /// Reports what other connections changed.
    fn catch_up(&mut self) {
        if let Some(selected) = &mut self.selected {
            selected.catch_up(true, &mut self.out);
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.client.send(&self.out.take()).await
    }
}

/// The octets of the literal that a line announces at its end, and whether the client waits for permission to
/// send it: literal = "{" number ["+"] "}" CRLF *CHAR8
fn announced_literal(line: &[u8]) -> Option<(usize, bool)> {
    let inner = line.strip_suffix(b"}")?;
    let open = inner.iter().rposition(|&byte| byte == b'{')?;
    let number = std::str::from_utf8(&inner[open + 1..]).ok()?;
    let digits = number.strip_suffix('+').unwrap_or(number);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (digits.parse().unwrap_or(usize::MAX), digits == number))
}

fn tag_of(command: &[u8]) -> Option<Tag<'_>> {
    let word = command.trim_ascii_end().split(|&byte| byte == b' ').next()?;
    Tag::try_from(word).ok()
}
