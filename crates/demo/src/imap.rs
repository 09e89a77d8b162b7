//! The IMAP server's side of a connection (RFC 3501 with LITERAL+, IDLE, UIDPLUS, MOVE).
//!
//! `imap-codec` parses commands and writes responses; what it parses it borrows, so that a password stays in
//! memory that is wiped, unless it is quoted and has a `"` or `\` in it. Commands are read whole before they are
//! parsed: before a login a client may send no more than a login needs, no client may make the server hold more
//! than one message or the responses about one, and the octets of a literal are never taken for a command.

mod fetch;
mod mailboxes;
mod messages;
mod responses;
mod selected;

use std::io;
use std::mem;
use std::sync::Arc;

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::{Command, CommandBody};
use imap_codec::imap_types::core::{Atom, Tag, Vec1};
use imap_codec::imap_types::response::{Capability, Code, Data};
use tokio::io::{AsyncRead, AsyncWrite};
use types::secret::Secret;

use self::responses::{Reply, Responses, bad, data, no, ok, status};
use self::selected::Selected;
use crate::client::{Client, LOGGED_IN_LIMIT, MAX_FAILURES, MAX_LINE};
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

/// Beside IMAP4rev1.
const CAPABILITIES: &str =
    "LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE APPENDLIMIT=1048576";

/// Serves one client to its end.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, store: Arc<Store>) -> io::Result<()> {
    let client = Client::new(stream, "* BYE");
    let mut session = Session { client, store, maildrop: None, selected: None, out: Vec::new(), failures: 0 };
    let greeting = format!("the demo's server \"{}\"", session.store.server);
    status(&mut session.out, None, ok(greeting).with(Code::Capability(capabilities())));
    session.flush().await?;
    while session.failures < MAX_FAILURES {
        let command = session.read_command().await?;
        let word = command.expose().trim_ascii_end().split(|&byte| byte == b' ').next().unwrap_or_default();
        let tag = Tag::try_from(word).ok();
        let reply = match CommandCodec::default().decode(command.expose()) {
            Ok((b"", Command { body: CommandBody::Logout, .. })) => {
                session.client.send(b"* BYE until next time\r\n").await?;
                status(&mut session.out, tag, ok("done"));
                session.flush().await?;
                return session.client.end().await;
            }
            Ok((b"", Command { body, .. })) => session.execute(body).await?,
            _ => bad("the command is not understood"),
        };
        status(&mut session.out, tag, reply);
        session.flush().await?;
    }
    Err(session.client.close("too many failures").await)
}

// === impl Session ===

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The next command with its literals, ending in CRLF.
    async fn read_command(&mut self) -> io::Result<Secret> {
        let limit = if self.maildrop.is_some() { MAX_MESSAGE + MAX_LINE } else { MAX_LINE };
        let mut command = Secret::with_capacity(1024);
        loop {
            let line = self.client.line().await?;
            command.extend(line.expose());
            command.extend(b"\r\n");
            let Some((octets, is_sync)) = announced_literal(line.expose()) else {
                return Ok(command);
            };
            if octets > MAX_MESSAGE || command.len() + octets > limit {
                return Err(self.client.close("[TOOBIG] the command is too long").await);
            }
            if is_sync {
                self.client.send(b"+ go ahead\r\n").await?;
            }
            self.client.octets(octets, &mut command).await?;
        }
    }

    async fn execute(&mut self, body: CommandBody<'_>) -> io::Result<Reply> {
        match (&body, self.maildrop.clone()) {
            (CommandBody::Capability, _) => data(&mut self.out, Data::Capability(capabilities())),
            (CommandBody::Id { .. }, _) => data(&mut self.out, Data::Id { parameters: None }),
            (CommandBody::Noop | CommandBody::Check, _) => self.catch_up(),
            (CommandBody::Login { username, password }, None) => {
                return Ok(self.log_in(username.as_ref(), password.declassify().as_ref()));
            }
            (CommandBody::Login { .. }, Some(_)) => return Ok(bad("the client has logged in already")),
            (_, None) => return Ok(bad("log in first")),
            (CommandBody::Idle, Some(maildrop)) => return self.idle(&maildrop).await,
            (_, Some(maildrop)) => {
                let reply = mailboxes::execute(&maildrop, &body, &mut self.out);
                let Some(reply) = reply.unwrap_or_else(|refusal| Some(refusal.into())) else {
                    return self.on_messages(body, maildrop).await;
                };
                self.catch_up();
                return Ok(reply);
            }
        }
        Ok(ok("done"))
    }

    async fn on_messages(&mut self, body: CommandBody<'_>, maildrop: Arc<Maildrop>) -> io::Result<Reply> {
        let read_only = matches!(body, CommandBody::Examine { .. });
        match (body, &mut self.selected) {
            (CommandBody::Select { mailbox, .. } | CommandBody::Examine { mailbox, .. }, selected) => {
                // A failed SELECT leaves nothing selected (RFC 3501 section 6.3.1).
                *selected = None;
                let name = mailboxes::name_of(&mailbox);
                return Ok(match Selected::open(maildrop, name, read_only, &mut self.out) {
                    Ok(opened) => {
                        *selected = Some(opened);
                        ok("opened").with(if read_only { Code::ReadOnly } else { Code::ReadWrite })
                    }
                    Err(refusal) => refusal.into(),
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
            (CommandBody::Fetch { sequence_set, macro_or_item_names, uid, .. }, Some(selected)) => {
                let Some(items) = fetch::items(&macro_or_item_names, uid) else {
                    return Ok(bad("too many items, or one that is not offered"));
                };
                for place in selected.find(&sequence_set, uid) {
                    fetch::respond(selected, place, &items, &mut self.out);
                    self.client.send(&mem::take(&mut self.out)).await?;
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
        self.client.idle_limit = LOGGED_IN_LIMIT;
        ok(text).with(Code::Capability(capabilities()))
    }

    /// Reports what other connections changed.
    fn catch_up(&mut self) {
        if let Some(selected) = &mut self.selected {
            selected.catch_up(true, &mut self.out);
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.client.send(&mem::take(&mut self.out)).await
    }
}

fn capabilities() -> Vec1<Capability<'static>> {
    let others = CAPABILITIES.split(' ').map(|name| Capability::from(Atom::unvalidated(name)));
    Vec1::unvalidated([Capability::Imap4Rev1].into_iter().chain(others).collect())
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
