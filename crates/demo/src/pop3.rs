//! The POP3 server's side of a connection, as a machine (RFC 1939, 2449, 5034).
//!
//! It reads INBOX. A client works on the messages that were there when it logged in, by identifier; there is
//! no lock, since whatever an IMAP client removes meanwhile is simply not there any more.

mod transaction;

use std::mem;
use std::sync::Arc;

use credentials::sasl;
use mail_proto::inbox::Inbox;
use mail_proto::line::{Found, Line, Lines};
use types::secret::Secret;

use self::transaction::Transaction;
use crate::machine::{MAX_FAILURES, Machine, Turn};
use crate::store::{Maildrop, Store};

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

/// A line's first word, and the rest without the space between. Passwords may contain spaces.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    line.iter().position(|&byte| byte == b' ').map_or((line, b""), |at| (&line[..at], &line[at + 1..]))
}

fn ok(text: &str) -> Turn {
    Turn::Write(format!("+OK {text}\r\n").into_bytes())
}

fn error(text: &str) -> Turn {
    Turn::Write(format!("-ERR {text}\r\n").into_bytes())
}

fn unknown() -> Turn {
    error("that command is not understood")
}

#[cfg(test)]
mod tests;
