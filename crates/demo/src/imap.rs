//! The IMAP server's side of a connection, as a machine (RFC 3501 with LITERAL+, SASL-IR, IDLE, UIDPLUS, MOVE).
//!
//! It exists for people's mail clients, so it answers what they ask, truthfully; what it does not know it
//! says so. Before a login it may take no more than a login needs, and no client may make it hold more than
//! one message or one chunk of a response.

mod answer;
mod command;
mod fetch;
mod frame;
mod login;
mod mailboxes;
mod messages;
mod search;
mod section;
mod selected;
mod set;
mod structure;
mod text;
mod words;

use std::mem;
use std::sync::Arc;

use mail_proto::inbox::Inbox;
use mail_proto::line::{Found, Line, Lines};

use self::answer::Answer;
use self::command::Command;
use self::frame::{Framed, Framer};
use self::messages::{Done, Fetching};
use self::selected::Selected;
use self::text::push_line;
use crate::machine::{Machine, Turn};
use crate::store::{MAX_MESSAGE, Maildrop, Store};

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    store: Arc<Store>,
    state: State,
    framer: Framer,
    lines: Lines,
    failures: u8,
    maildrop: Option<Arc<Maildrop>>,
    selected: Option<Selected>,
}

/// What is expected next.
#[derive(Debug)]
enum State {
    Command,
    /// The SASL PLAIN message.
    PlainMessage {
        tag: String,
    },
    /// DONE.
    EndOfIdle {
        tag: String,
    },
    /// Nothing, before a response is sent.
    Nothing(Fetching),
}

/// Longest command before a login, in bytes.
const MAX_BEFORE_LOGIN: usize = 16 * 1024;
/// Longest command: a message and the words around it.
const MAX_COMMAND: usize = MAX_MESSAGE + 16 * 1024;
/// Longest line that is no command.
const MAX_ANSWER: usize = 8 * 1024;

/// What an inbox for this machine holds.
pub(crate) const INBOX_LIMIT: usize = MAX_COMMAND;

const CAPABILITIES_BEFORE: &str = "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE AUTH=PLAIN";
const CAPABILITIES: &str =
    "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS UNSELECT CHILDREN MOVE APPENDLIMIT=1048576";

// === impl Connection ===

impl Connection {
    /// A client that has just connected.
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            state: State::Command,
            framer: Framer::default(),
            lines: Lines::new(),
            failures: 0,
            maildrop: None,
            selected: None,
        }
    }

    fn capabilities(&self) -> &'static str {
        if self.maildrop.is_some() { CAPABILITIES } else { CAPABILITIES_BEFORE }
    }

    fn next_command(&mut self, inbox: &mut Inbox) -> Turn {
        let most = if self.maildrop.is_some() { MAX_COMMAND } else { MAX_BEFORE_LOGIN };
        match self.framer.next(inbox.unread(), most) {
            Framed::NeedMore => Turn::NeedMore,
            Framed::Announced => Turn::Write(b"+ go ahead\r\n".to_vec()),
            Framed::TooLong => Turn::Close(b"* BYE that command is too long\r\n".to_vec()),
            Framed::Refused(length) => {
                let tag = command::tag_of(&inbox.unread()[..length]);
                inbox.consume(length);
                let tag = tag.as_deref().unwrap_or("*");
                self.finish(tag, &Answer::no("[TOOBIG] that literal is too long"), true, Vec::new())
            }
            Framed::Whole(length) => {
                let parsed = command::parse(&inbox.unread()[..length]);
                inbox.consume(length);
                match parsed {
                    None => Turn::Write(b"* BAD a command begins with a tag\r\n".to_vec()),
                    Some((tag, None)) => {
                        self.finish(&tag, &Answer::bad("that command is not understood"), true, Vec::new())
                    }
                    Some((tag, Some(command))) => self.execute(&tag, command),
                }
            }
        }
    }

    fn execute(&mut self, tag: &str, command: Command) -> Turn {
        let mut out = Vec::new();
        let answer = match command {
            Command::Capability => {
                push_line(&mut out, format_args!("* CAPABILITY {}", self.capabilities()));
                Answer::ok("done")
            }
            Command::Id => {
                push_line(&mut out, format_args!("* ID (\"name\" \"Pointsman's demo\")"));
                Answer::ok("done")
            }
            Command::Noop => return self.finish(tag, &Answer::ok("done"), false, out),
            Command::Logout => {
                return Turn::Close(format!("* BYE until next time\r\n{tag} OK done\r\n").into_bytes());
            }
            Command::Login { .. } | Command::Authenticate { .. } if self.maildrop.is_some() => {
                Answer::bad("you are logged in already")
            }
            Command::Login { user, password } => {
                let found = self.store.log_in(&user, password.expose());
                return self.logged_in(tag, found);
            }
            Command::Authenticate { mechanism, initial } => {
                return self.authenticate(tag, &mechanism, initial);
            }
            later => return self.execute_logged_in(tag, later, out),
        };
        self.finish(tag, &answer, true, out)
    }

    fn execute_logged_in(&mut self, tag: &str, command: Command, mut out: Vec<u8>) -> Turn {
        let Some(maildrop) = self.maildrop.clone() else {
            return self.finish(tag, &Answer::no("log in first"), true, out);
        };
        match command {
            Command::Mailboxes(command) => {
                let answer = mailboxes::execute(&maildrop, self.store.now(), command, &mut out);
                self.finish(tag, &answer, false, out)
            }
            Command::Select { mailbox, read_only } => self.select(tag, &maildrop, &mailbox, read_only),
            Command::Idle => {
                self.state = State::EndOfIdle { tag: tag.to_owned() };
                Turn::Write(b"+ idling\r\n".to_vec())
            }
            Command::Messages(command) => {
                let Some(selected) = &mut self.selected else {
                    return self.finish(tag, &Answer::bad("select a mailbox first"), true, out);
                };
                match messages::execute(tag, &maildrop, selected, command, &mut out) {
                    Done::Answered { answer, by_number } => self.finish(tag, &answer, by_number, out),
                    Done::Unselected(answer) => {
                        self.selected = None;
                        self.finish(tag, &answer, true, out)
                    }
                    Done::Fetching(fetching) => self.fetch(fetching),
                }
            }
            _ => self.finish(tag, &Answer::bad("not now"), true, out),
        }
    }

    fn select(&mut self, tag: &str, maildrop: &Maildrop, mailbox: &str, read_only: bool) -> Turn {
        let mut out = Vec::new();
        // A failed SELECT leaves nothing selected (RFC 3501 section 6.3.1).
        self.selected = None;
        let answer = match maildrop.read(|folders| Selected::open(folders, mailbox, read_only, &mut out)) {
            Ok(selected) => {
                self.selected = Some(selected);
                Answer::ok(if read_only { "[READ-ONLY] opened" } else { "[READ-WRITE] opened" })
            }
            Err(refusal) => Answer::refused(refusal),
        };
        self.finish(tag, &answer, true, out)
    }

    fn fetch(&mut self, mut fetching: Fetching) -> Turn {
        let mut out = Vec::new();
        let is_done = match (&self.maildrop, &mut self.selected) {
            (Some(maildrop), Some(selected)) => fetching.go_on(maildrop, selected, &mut out),
            _ => true,
        };
        if is_done {
            return self.finish(&fetching.tag, &Answer::ok("fetched"), !fetching.by_uid, out);
        }
        self.state = State::Nothing(fetching);
        Turn::Write(out)
    }

    fn idle(&mut self, tag: String, inbox: &mut Inbox) -> Turn {
        let mut out = Vec::new();
        self.catch_up(true, &mut out);
        if !out.is_empty() {
            self.state = State::EndOfIdle { tag };
            return Turn::Write(out);
        }
        match self.lines.find(inbox.unread(), MAX_ANSWER) {
            Found::NeedMore => {
                self.state = State::EndOfIdle { tag };
                Turn::NeedMore
            }
            Found::TooLong => Turn::Close(b"* BYE that line is too long\r\n".to_vec()),
            Found::Line(Line { text, whole, .. }) => {
                let is_done = inbox.unread()[..text].eq_ignore_ascii_case(b"DONE");
                inbox.consume(whole);
                let answer = if is_done { Answer::ok("done") } else { Answer::bad("DONE ends IDLE") };
                self.finish(&tag, &answer, false, Vec::new())
            }
        }
    }

    /// Tells what others did, then answers. With `by_number`, removed messages are not told yet.
    fn finish(&mut self, tag: &str, answer: &Answer, by_number: bool, mut out: Vec<u8>) -> Turn {
        self.catch_up(!by_number, &mut out);
        push_line(&mut out, format_args!("{tag} {} {}", answer.condition, answer.text));
        Turn::Write(out)
    }

    fn catch_up(&mut self, may_expunge: bool, out: &mut Vec<u8>) {
        if let (Some(maildrop), Some(selected)) = (&self.maildrop, &mut self.selected) {
            maildrop.read(|folders| selected.catch_up(folders, may_expunge, out));
        }
    }
}

impl Machine for Connection {
    fn greet(&mut self) -> Vec<u8> {
        let server = self.store.server();
        format!("* OK [CAPABILITY {CAPABILITIES_BEFORE}] the demo's server \"{server}\"\r\n").into_bytes()
    }

    fn feed(&mut self, inbox: &mut Inbox) -> Turn {
        match mem::replace(&mut self.state, State::Command) {
            State::Command => self.next_command(inbox),
            State::PlainMessage { tag } => self.plain_message(tag, inbox),
            State::EndOfIdle { tag } => self.idle(tag, inbox),
            State::Nothing(fetching) => self.fetch(fetching),
        }
    }

    fn maildrop(&self) -> Option<&Arc<Maildrop>> {
        self.maildrop.as_ref()
    }

    fn too_slow(&self) -> &'static [u8] {
        b"* BYE nothing was said for too long\r\n"
    }
}

#[cfg(test)]
mod tests;
