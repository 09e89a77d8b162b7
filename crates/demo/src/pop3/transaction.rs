//! The transaction and update states (RFC 1939 sections 5 and 6): the messages of one login.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{error, ok, split, unknown};
use crate::machine::Turn;
use crate::mime::header;
use crate::store::{INBOX, Mailbox, Maildrop, Message};

/// What a client who has logged in works on.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) maildrop: Arc<Maildrop>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    uid: u32,
    size: usize,
    is_deleted: bool,
}

// === impl Transaction ===

impl Transaction {
    /// Takes down what is there now.
    pub(super) fn begin(maildrop: Arc<Maildrop>) -> Self {
        let entry = |message: &Message| Entry { uid: message.uid, size: message.size(), is_deleted: false };
        let entries = maildrop
            .read(|folders| folders.get(INBOX).map(|inbox| inbox.messages().iter().map(entry).collect()))
            .unwrap_or_default();
        Self { maildrop, entries }
    }

    /// Carries a command out.
    pub(super) fn command(&mut self, keyword: &[u8], argument: &[u8]) -> Turn {
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
                let validity = self.maildrop.read(|folders| folders.get(INBOX).map_or(0, Mailbox::validity));
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

    /// Removes what was deleted, and says goodbye.
    pub(super) fn quit(self) -> Turn {
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

fn parse(number: &[u8]) -> Option<usize> {
    std::str::from_utf8(number).ok()?.trim().parse().ok()
}

fn no_such_message() -> Turn {
    error("there is no such message")
}
