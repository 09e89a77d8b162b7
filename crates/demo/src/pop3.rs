//! The POP3 server's side of a connection, as a machine (RFC 1939, 2449, 5034).
//!
//! It reads INBOX. A client works on the messages that were there when it logged in, by identifier; there is
//! no lock, since whatever an IMAP client removes meanwhile is simply not there any more.

use std::fmt::Write as _;
use std::mem;
use std::sync::Arc;

use wire::inbox::Inbox;
use wire::line::{Found, Line, Lines};
use wire::sasl;
use wire::secret::Secret;

use crate::machine::{MAX_FAILURES, Machine, Turn};
use crate::mime::header;
use crate::store::{INBOX, Maildrop, Message, Store};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    store: Arc<Store>,
    state: State,
    lines: Lines,
    failures: u8,
}

/// What is expected next.
#[derive(Debug)]
enum State {
    /// A command of the authorization state; the name that USER gave.
    Login { user: Option<Vec<u8>> },
    /// The SASL PLAIN message.
    PlainMessage,
    /// A command of the transaction state.
    Transaction(Transaction),
}

/// What a client who has logged in works on.
#[derive(Debug)]
struct Transaction {
    maildrop: Arc<Maildrop>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    uid: u32,
    size: usize,
    is_deleted: bool,
}

/// Longest line of a client: a base64 message, a long password.
const MAX_LINE: usize = 8 * 1024;

/// What an inbox for this machine holds: a line and its end.
pub(crate) const INBOX_LIMIT: usize = MAX_LINE + 2;

const CAPABILITIES: &str =
    "+OK\r\nUSER\r\nSASL PLAIN\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n.\r\n";

// === impl Connection ===

impl Connection {
    /// A client that has just connected.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self { store, state: State::Login { user: None }, lines: Lines::new(), failures: 0 }
    }

    fn line(&mut self, line: &[u8]) -> Turn {
        let (keyword, argument) = split(line);
        let keyword = keyword.to_ascii_uppercase();
        match (keyword.as_slice(), mem::replace(&mut self.state, State::Login { user: None })) {
            (_, State::PlainMessage) if line == b"*" => error("cancelled"),
            (_, State::PlainMessage) => self.plain(sasl::decode(line).as_ref()),
            (b"CAPA", state) => {
                self.state = state;
                Turn::Write(CAPABILITIES.as_bytes().to_vec())
            }
            (b"QUIT", State::Transaction(transaction)) => transaction.quit(),
            (b"QUIT", State::Login { .. }) => Turn::Close(b"+OK until next time\r\n".to_vec()),
            (_, State::Login { user }) => self.log_in(&keyword, argument, user),
            (_, State::Transaction(mut transaction)) => {
                let turn = transaction.command(&keyword, argument);
                self.state = State::Transaction(transaction);
                turn
            }
        }
    }

    fn log_in(&mut self, keyword: &[u8], argument: &[u8], user: Option<Vec<u8>>) -> Turn {
        match (keyword, user) {
            (b"USER", _) if argument.is_empty() => error("USER takes a name"),
            (b"USER", _) => {
                self.state = State::Login { user: Some(argument.to_vec()) };
                ok("and the password?")
            }
            (b"PASS", Some(user)) => {
                let found = self.store.log_in(&user, argument);
                self.logged_in(found)
            }
            (b"PASS", None) => error("USER comes first"),
            (b"AUTH", _) if argument.is_empty() => Turn::Write(b"+OK\r\nPLAIN\r\n.\r\n".to_vec()),
            (b"AUTH", _) => self.authenticate(argument),
            (b"STAT" | b"LIST" | b"UIDL" | b"RETR" | b"TOP" | b"DELE" | b"RSET" | b"NOOP", _) => {
                error("log in first")
            }
            _ => unknown(),
        }
    }

    /// AUTH mechanism [initial-response] (RFC 5034 section 4)
    fn authenticate(&mut self, argument: &[u8]) -> Turn {
        let (mechanism, initial) = split(argument);
        if !mechanism.eq_ignore_ascii_case(b"PLAIN") {
            return error("only PLAIN is offered");
        }
        if initial.is_empty() {
            self.state = State::PlainMessage;
            return Turn::Write(b"+ \r\n".to_vec());
        }
        self.plain(sasl::decode_initial(initial).as_ref())
    }

    fn plain(&mut self, message: Option<&Secret>) -> Turn {
        match message {
            None => error("that is no base64"),
            Some(message) => {
                let found = self.store.log_in_plain(message);
                self.logged_in(found)
            }
        }
    }

    fn logged_in(&mut self, found: Option<Arc<Maildrop>>) -> Turn {
        if let Some(maildrop) = found {
            let turn = ok(&format!("{} is logged in on {}", maildrop.login(), self.store.server()));
            self.state = State::Transaction(Transaction::begin(maildrop));
            return turn;
        }
        self.failures += 1;
        let line = b"-ERR [AUTH] wrong name or password\r\n".to_vec();
        if self.failures < MAX_FAILURES { Turn::Write(line) } else { Turn::Close(line) }
    }
}

impl Machine for Connection {
    fn greet(&mut self) -> Vec<u8> {
        format!("+OK the demo's server \"{}\"\r\n", self.store.server()).into_bytes()
    }

    fn feed(&mut self, inbox: &mut Inbox) -> Turn {
        match self.lines.find(inbox.unread(), MAX_LINE) {
            Found::NeedMore => Turn::NeedMore,
            Found::TooLong => Turn::Close(b"-ERR that line is too long\r\n".to_vec()),
            Found::Line(Line { text, whole, .. }) => {
                let turn = self.line(&inbox.unread()[..text]);
                inbox.consume(whole);
                turn
            }
        }
    }

    fn maildrop(&self) -> Option<&Arc<Maildrop>> {
        match &self.state {
            State::Transaction(transaction) => Some(&transaction.maildrop),
            State::Login { .. } | State::PlainMessage => None,
        }
    }

    fn too_slow(&self) -> &'static [u8] {
        b"-ERR nothing was said for too long\r\n"
    }
}

// === impl Transaction ===

impl Transaction {
    fn begin(maildrop: Arc<Maildrop>) -> Self {
        let entry = |message: &Message| Entry { uid: message.uid, size: message.size(), is_deleted: false };
        let entries = maildrop
            .read(|folders| folders.get(INBOX).map(|inbox| inbox.messages().iter().map(entry).collect()))
            .unwrap_or_default();
        Self { maildrop, entries }
    }

    fn command(&mut self, keyword: &[u8], argument: &[u8]) -> Turn {
        match keyword {
            b"NOOP" => ok("done"),
            b"RSET" => {
                self.entries.iter_mut().for_each(|entry| entry.is_deleted = false);
                ok("nothing is deleted")
            }
            b"STAT" => {
                let left: Vec<usize> = self.left().map(|(_, entry)| entry.size).collect();
                ok(&format!("{} {}", left.len(), left.iter().sum::<usize>()))
            }
            b"LIST" => self.listing(argument, |entry| entry.size.to_string()),
            b"UIDL" => {
                let validity =
                    self.maildrop.read(|folders| folders.get(INBOX).map_or(0, |inbox| inbox.validity()));
                self.listing(argument, |entry| format!("{validity}.{}", entry.uid))
            }
            b"RETR" => self.retrieve(argument, None),
            b"TOP" => {
                let (number, lines) = split(argument);
                match parse(lines) {
                    Some(lines) => self.retrieve(number, Some(lines)),
                    None => error("TOP takes a message and a number of lines"),
                }
            }
            b"DELE" => match self.find(argument) {
                Some(index) => {
                    self.entries[index].is_deleted = true;
                    ok("deleted at QUIT")
                }
                None => no_such_message(),
            },
            _ => unknown(),
        }
    }

    fn quit(self) -> Turn {
        let deleted: Vec<u32> =
            self.entries.iter().filter(|entry| entry.is_deleted).map(|entry| entry.uid).collect();
        if !deleted.is_empty() {
            self.maildrop.write(|folders| {
                if let Ok(inbox) = folders.get_mut(INBOX) {
                    inbox.remove(|message| deleted.binary_search(&message.uid).is_ok());
                }
            });
        }
        Turn::Close(b"+OK until next time\r\n".to_vec())
    }

    /// LIST and UIDL: of one message or of all.
    fn listing(&self, argument: &[u8], tell: impl Fn(&Entry) -> String) -> Turn {
        if !argument.is_empty() {
            return match self.find(argument) {
                Some(index) => ok(&format!("{} {}", index + 1, tell(&self.entries[index]))),
                None => no_such_message(),
            };
        }
        let mut out = "+OK\r\n".to_owned();
        for (number, entry) in self.left() {
            // Writing into a string cannot fail.
            let _ = write!(out, "{number} {}\r\n", tell(entry));
        }
        out.push_str(".\r\n");
        Turn::Write(out.into_bytes())
    }

    /// RETR, and TOP with so many lines of the body.
    fn retrieve(&self, number: &[u8], lines: Option<usize>) -> Turn {
        let uid = self.find(number).map(|index| self.entries[index].uid);
        let message = uid.and_then(|uid| {
            self.maildrop
                .read(|folders| folders.get(INBOX).ok()?.get(uid).map(|message| Arc::clone(&message.raw)))
        });
        match message {
            Some(raw) => Turn::Write(dotted(&raw, lines)),
            None => no_such_message(),
        }
    }

    /// Messages that are not deleted, with their numbers.
    fn left(&self) -> impl Iterator<Item = (usize, &Entry)> {
        (1..).zip(&self.entries).filter(|(_, entry)| !entry.is_deleted)
    }

    /// The place of a message that is not deleted.
    fn find(&self, number: &[u8]) -> Option<usize> {
        let index = parse(number)?.checked_sub(1)?;
        self.entries.get(index).filter(|entry| !entry.is_deleted).map(|_| index)
    }
}

/// A multi-line response (RFC 1939 section 3): lines end in CRLF, those that begin with a dot get another.
fn dotted(raw: &[u8], lines: Option<usize>) -> Vec<u8> {
    let (head, body) = raw.split_at(header::length(raw));
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 16 + 16);
    out.extend_from_slice(b"+OK\r\n");
    let by_line = |text| <[u8]>::split_inclusive(text, |&byte| byte == b'\n');
    for line in by_line(head).chain(by_line(body).take(lines.unwrap_or(usize::MAX))) {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(header::trim_line_end(line));
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// A line's first word, and the rest without the space between. Passwords may contain spaces.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    line.iter().position(|&byte| byte == b' ').map_or((line, b""), |at| (&line[..at], &line[at + 1..]))
}

fn parse(number: &[u8]) -> Option<usize> {
    std::str::from_utf8(number).ok()?.trim().parse().ok()
}

fn ok(text: &str) -> Turn {
    Turn::Write(format!("+OK {text}\r\n").into_bytes())
}

fn error(text: &str) -> Turn {
    Turn::Write(format!("-ERR {text}\r\n").into_bytes())
}

fn no_such_message() -> Turn {
    error("there is no such message")
}

fn unknown() -> Turn {
    error("that command is not understood")
}

#[cfg(test)]
mod tests;
