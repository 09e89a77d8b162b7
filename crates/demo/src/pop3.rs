//! The POP3 server's side of a connection (RFC 1939, 2449), over the account's INBOX.
//!
//! A client works on the messages that were there when it logged in. There is no lock: a message that an IMAP
//! client removes meanwhile is kept until the POP3 client has gone.

use std::io;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::client::{Client, MAX_FAILURES, Stream};
use crate::mime;
use crate::store::{INBOX, Maildrop, Store};

/// What a client who has logged in works on.
struct Transaction {
    maildrop: Arc<Maildrop>,
    validity: u32,
    messages: Vec<Listed>,
}

struct Listed {
    uid: NonZeroU32,
    raw: Arc<[u8]>,
    is_deleted: bool,
}

const CAPABILITIES: &str =
    "+OK\r\nUSER\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n.\r\n";

/// Serves one client to its end.
pub(crate) async fn serve(stream: impl Stream, store: Arc<Store>) -> io::Result<()> {
    let mut client = Client::new(stream, "-ERR");
    client.send(format!("+OK the demo's server \"{}\"\r\n", store.server).as_bytes()).await?;
    let Some(mut transaction) = log_in(&mut client, &store).await? else {
        return client.end().await;
    };
    client.extend_idle_limit();
    loop {
        let line = client.line().await?;
        let words: Vec<&str> = std::str::from_utf8(line.expose()).unwrap_or_default().split(' ').collect();
        let verb = words[0].to_ascii_uppercase();
        client.send(&transaction.execute(&verb, &words[1..])).await?;
        if verb == "QUIT" {
            return client.end().await;
        }
    }
}

/// The authorization state. `None`: the client quits, or has failed too often.
async fn log_in(client: &mut Client<impl Stream>, store: &Store) -> io::Result<Option<Transaction>> {
    let mut user: Option<Vec<u8>> = None;
    let mut failures = 0;
    while failures < MAX_FAILURES {
        let line = client.line().await?;
        // Passwords may contain spaces.
        let mut words = line.expose().splitn(2, |&byte| byte == b' ');
        let verb = words.next().unwrap_or_default().to_ascii_uppercase();
        let reply = match (verb.as_slice(), words.next(), user.take()) {
            (b"CAPA", ..) => CAPABILITIES,
            (b"USER", Some(name), _) => {
                user = Some(name.to_vec());
                "+OK and the password?\r\n"
            }
            (b"PASS", Some(password), Some(user)) => {
                if let Some(maildrop) = store.log_in(&user, password) {
                    let reply = format!("+OK {} is logged in on {}\r\n", maildrop.login, store.server);
                    client.send(reply.as_bytes()).await?;
                    return Ok(Some(Transaction::begin(maildrop)));
                }
                failures += 1;
                "-ERR [AUTH] wrong name or password\r\n"
            }
            (b"PASS", ..) => "-ERR USER comes first\r\n",
            (b"QUIT", ..) => {
                client.send(b"+OK until next time\r\n").await?;
                return Ok(None);
            }
            _ => "-ERR log in first\r\n",
        };
        client.send(reply.as_bytes()).await?;
    }
    Ok(None)
}

// === impl Transaction ===

impl Transaction {
    fn begin(maildrop: Arc<Maildrop>) -> Self {
        let mut messages = Vec::new();
        let validity = maildrop.read(|mail| {
            let inbox = mail.get(INBOX).ok()?;
            for (&uid, message) in &inbox.messages {
                messages.push(Listed { uid, raw: Arc::clone(&message.raw), is_deleted: false });
            }
            Some(inbox.validity.get())
        });
        Self { maildrop, validity: validity.unwrap_or(0), messages }
    }

    fn execute(&mut self, verb: &str, arguments: &[&str]) -> Vec<u8> {
        let number = arguments.first().and_then(|number| number.parse::<usize>().ok());
        let index = number.and_then(|number| number.checked_sub(1));
        let named =
            index.filter(|&index| self.messages.get(index).is_some_and(|message| !message.is_deleted));
        match (verb, arguments, named) {
            ("CAPA", ..) => CAPABILITIES.into(),
            ("NOOP", ..) => b"+OK done\r\n".into(),
            ("RSET", ..) => {
                self.messages.iter_mut().for_each(|message| message.is_deleted = false);
                b"+OK nothing is deleted\r\n".into()
            }
            ("STAT", ..) => {
                let sizes: Vec<usize> = self.left().map(|index| self.messages[index].raw.len()).collect();
                format!("+OK {} {}\r\n", sizes.len(), sizes.iter().sum::<usize>()).into()
            }
            ("LIST" | "UIDL", [], _) => {
                let lines: String = self.left().map(|index| self.list(verb, index)).collect();
                format!("+OK\r\n{lines}.\r\n").into()
            }
            ("LIST" | "UIDL", [_], Some(index)) => format!("+OK {}", self.list(verb, index)).into(),
            ("RETR", [_], Some(index)) => retrieve(&self.messages[index].raw, usize::MAX),
            ("TOP", [_, lines], Some(index)) => {
                retrieve(&self.messages[index].raw, lines.parse().unwrap_or(0))
            }
            ("DELE", [_], Some(index)) => {
                self.messages[index].is_deleted = true;
                b"+OK deleted at QUIT\r\n".into()
            }
            ("LIST" | "UIDL" | "RETR" | "TOP" | "DELE", [_, ..], None) => {
                b"-ERR there is no such message\r\n".into()
            }
            ("QUIT", ..) => {
                let deleted = self.messages.iter().filter(|message| message.is_deleted);
                self.maildrop.write(|mail| {
                    let Ok(inbox) = mail.get_mut(INBOX) else { return };
                    deleted.for_each(|message| drop(inbox.messages.remove(&message.uid)));
                });
                b"+OK until next time\r\n".into()
            }
            _ => b"-ERR the command is not understood\r\n".into(),
        }
    }

    /// The line of LIST or UIDL about a message.
    fn list(&self, verb: &str, index: usize) -> String {
        let Listed { uid, raw, .. } = &self.messages[index];
        match verb {
            "UIDL" => format!("{} {}.{uid}\r\n", index + 1, self.validity),
            _ => format!("{} {}\r\n", index + 1, raw.len()),
        }
    }

    /// The messages that are not deleted.
    fn left(&self) -> impl Iterator<Item = usize> {
        (0..self.messages.len()).filter(|&index| !self.messages[index].is_deleted)
    }
}

/// RETR, and TOP with so many lines of the body: a multi-line response (RFC 1939 section 3).
fn retrieve(raw: &[u8], body_lines: usize) -> Vec<u8> {
    let (header, body) = mime::split(raw);
    let mut out = b"+OK\r\n".to_vec();
    let by_line = |text| <[u8]>::split_inclusive(text, |&byte| byte == b'\n');
    for line in by_line(header).chain(by_line(body).take(body_lines)) {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        out.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
