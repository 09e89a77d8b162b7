//! The POP3 server's side of a connection (RFC 1939, 2449), over the account's INBOX.
//!
//! A client works on the messages that were there when it logged in. There is no lock: a message that an IMAP
//! client removes at the same time stays readable until the POP3 client disconnects.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::{Client, LOGGED_IN_LIMIT, MAX_FAILURES};
use crate::mime;
use crate::store::{INBOX, Maildrop, Store, Uid};

/// What a client who has logged in works on.
struct Transaction {
    maildrop: Arc<Maildrop>,
    validity: u32,
    all: Messages,
    /// Without those that the client has deleted.
    left: Messages,
}

/// Identifiers and contents by number.
type Messages = BTreeMap<usize, (Uid, Arc<[u8]>)>;

const CAPABILITIES: &str =
    "+OK\r\nUSER\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n.\r\n";

/// Serves one client to its end.
pub(crate) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, store: Arc<Store>) -> io::Result<()> {
    let mut client = Client::new(stream, "-ERR");
    client.send(format!("+OK the demo's server \"{}\"\r\n", store.server).as_bytes()).await?;
    let mut user = None;
    let mut failures = 0;
    let mut transaction = None;
    loop {
        let line = client.line().await?;
        // Passwords may contain spaces.
        let mut words = line.expose().splitn(2, |&byte| byte == b' ');
        let verb = String::from_utf8_lossy(words.next().unwrap_or_default()).to_ascii_uppercase();
        let reply = match (verb.as_str(), words.next(), &mut transaction) {
            ("CAPA", ..) => CAPABILITIES.into(),
            (_, argument, Some(transaction)) => {
                let argument = String::from_utf8_lossy(argument.unwrap_or_default());
                Transaction::execute(transaction, &verb, &argument.split_whitespace().collect::<Vec<_>>())
            }
            ("QUIT", ..) => b"+OK until next time\r\n".into(),
            ("USER", Some(name), None) => {
                user = Some(name.to_vec());
                b"+OK and the password?\r\n".into()
            }
            ("PASS", Some(password), None) => {
                match store.log_in(&user.take().unwrap_or_default(), password) {
                    Some(maildrop) => {
                        let reply = format!("+OK {} is logged in on {}\r\n", maildrop.login, store.server);
                        transaction = Some(Transaction::begin(maildrop));
                        client.idle_limit = LOGGED_IN_LIMIT;
                        reply.into()
                    }
                    None => {
                        failures += 1;
                        b"-ERR [AUTH] wrong name or password\r\n".to_vec()
                    }
                }
            }
            _ => b"-ERR log in first\r\n".into(),
        };
        client.send(&reply).await?;
        if verb == "QUIT" || failures >= MAX_FAILURES {
            return client.end().await;
        }
    }
}

// === impl Transaction ===

impl Transaction {
    fn begin(maildrop: Arc<Maildrop>) -> Self {
        let mut all = Messages::new();
        let validity = maildrop.read(|mail| {
            let inbox = mail.get(INBOX).ok()?;
            let contents = inbox.messages.iter().map(|(&uid, message)| (uid, Arc::clone(&message.raw)));
            all.extend((1..).zip(contents));
            Some(inbox.validity.get())
        });
        Self { maildrop, validity: validity.unwrap_or(0), left: all.clone(), all }
    }

    fn execute(&mut self, verb: &str, arguments: &[&str]) -> Vec<u8> {
        let number = arguments.first().and_then(|number| number.parse().ok());
        let named = number.and_then(|number: usize| Some((number, self.left.get(&number)?)));
        let validity = self.validity;
        let list = |number: usize, (uid, raw): &(Uid, Arc<[u8]>)| match verb {
            "UIDL" => format!("{number} {validity}.{uid}\r\n"),
            _ => format!("{number} {}\r\n", raw.len()),
        };
        match (verb, arguments, named) {
            ("NOOP", ..) => b"+OK done\r\n".into(),
            ("RSET", ..) => {
                self.left = self.all.clone();
                b"+OK nothing is deleted\r\n".into()
            }
            ("STAT", ..) => {
                let octets: usize = self.left.values().map(|(_, raw)| raw.len()).sum();
                format!("+OK {} {octets}\r\n", self.left.len()).into()
            }
            ("LIST" | "UIDL", [], _) => {
                let lines: String =
                    self.left.iter().map(|(number, message)| list(*number, message)).collect();
                format!("+OK\r\n{lines}.\r\n").into()
            }
            ("LIST" | "UIDL", [_], Some((number, message))) => {
                format!("+OK {}", list(number, message)).into()
            }
            ("RETR", [_], Some((_, (_, raw)))) => retrieve(raw, usize::MAX),
            ("TOP", [_, lines], Some((_, (_, raw)))) => retrieve(raw, lines.parse().unwrap_or(0)),
            ("DELE", [_], Some((number, _))) => {
                self.left.remove(&number);
                b"+OK deleted at QUIT\r\n".into()
            }
            ("LIST" | "UIDL" | "RETR" | "TOP" | "DELE", [_, ..], None) => {
                b"-ERR there is no such message\r\n".into()
            }
            ("QUIT", ..) => {
                let deleted = self.all.iter().filter(|(number, _)| !self.left.contains_key(number));
                self.maildrop.write(|mail| {
                    let Ok(inbox) = mail.get_mut(INBOX) else { return };
                    deleted.for_each(|(_, (uid, _))| drop(inbox.messages.remove(uid)));
                });
                b"+OK until next time\r\n".into()
            }
            _ => b"-ERR the command is not understood\r\n".into(),
        }
    }
}

/// RETR, and TOP with so many lines of the body: a multi-line response (RFC 1939 section 3).
fn retrieve(raw: &[u8], body_lines: usize) -> Vec<u8> {
    let (header, body) = mime::split(raw);
    let by_line = |text| <[u8]>::split_inclusive(text, |&byte| byte == b'\n');
    let mut out = b"+OK\r\n".to_vec();
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
