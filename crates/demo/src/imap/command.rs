//! One command, parsed from its frame (RFC 3501 section 9).

use std::sync::Arc;

use types::secret::Secret;

use super::fetch::{self, Item};
use super::search::{self, Key};
use super::selected::{Change, Mode};
use super::set::SequenceSet;
use super::words::Words;
use crate::date::{self, Stamp};
use crate::store::Flags;

/// What is asked.
#[derive(Debug)]
pub(super) enum Command {
    Capability,
    /// NOOP and CHECK.
    Noop,
    Id,
    Logout,
    Login {
        user: Vec<u8>,
        password: Secret,
    },
    Authenticate {
        mechanism: String,
        /// As it stood on the line.
        initial: Option<Secret>,
    },
    Mailboxes(OnMailboxes),
    Select {
        mailbox: String,
        read_only: bool,
    },
    Idle,
    Messages(OnMessages),
}

/// What is asked of the mailboxes of a user who has logged in.
#[derive(Debug)]
pub(super) enum OnMailboxes {
    Enable,
    Namespace,
    List { subscribed: bool, reference: String, pattern: String },
    Status { mailbox: String, items: Vec<StatusItem> },
    Create(String),
    Delete(String),
    Rename { from: String, to: String },
    Subscribe { mailbox: String, wanted: bool },
    Append { mailbox: String, flags: Flags, date: Option<Stamp>, raw: Arc<[u8]> },
}

/// What is asked of the messages in the selected mailbox.
#[derive(Debug)]
pub(super) enum OnMessages {
    Close,
    Unselect,
    Expunge {
        only: Option<SequenceSet>,
    },
    Fetch {
        by_uid: bool,
        set: SequenceSet,
        items: Vec<Item>,
    },
    Search {
        by_uid: bool,
        key: Key,
    },
    Store {
        by_uid: bool,
        set: SequenceSet,
        change: Change,
    },
    Copy {
        by_uid: bool,
        set: SequenceSet,
        mailbox: String,
        /// MOVE (RFC 6851).
        removes: bool,
    },
}

/// status-att
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
}

/// Parses one frame into its tag and, where it makes sense, its command. `None`: not even a tag.
pub(super) fn parse(frame: &[u8]) -> Option<(String, Option<Command>)> {
    let mut words = Words::new(frame);
    let tag = words.tag()?.to_owned();
    let command = words.space().and_then(|()| words.keyword()).and_then(|name| {
        let command = plain(&name).or_else(|| {
            words.space()?;
            session(&name, &mut words).or_else(|| messages(&name, &mut words))
        })?;
        words.is_at_end().then_some(command)
    });
    Some((tag, command))
}

/// The tag of a command that will not be parsed.
pub(super) fn tag_of(frame: &[u8]) -> Option<String> {
    Words::new(frame).tag().map(str::to_owned)
}

/// Commands without arguments.
fn plain(name: &str) -> Option<Command> {
    Some(match name {
        "CAPABILITY" => Command::Capability,
        "NOOP" | "CHECK" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "IDLE" => Command::Idle,
        "NAMESPACE" => Command::Mailboxes(OnMailboxes::Namespace),
        "CLOSE" => Command::Messages(OnMessages::Close),
        "UNSELECT" => Command::Messages(OnMessages::Unselect),
        "EXPUNGE" => Command::Messages(OnMessages::Expunge { only: None }),
        _ => return None,
    })
}

/// Commands about the session and its mailboxes.
fn session(name: &str, words: &mut Words<'_>) -> Option<Command> {
    Some(match name {
        "ID" => {
            // Who asks is of no interest here.
            words.rest();
            Command::Id
        }
        "LOGIN" => {
            let user = words.astring()?;
            words.space()?;
            Command::Login { user, password: Secret::new(words.astring()?) }
        }
        "AUTHENTICATE" => {
            let mechanism = words.keyword()?;
            let initial = words.space().map(|()| Secret::copy_of(words.rest()));
            Command::Authenticate { mechanism, initial }
        }
        "SELECT" | "EXAMINE" => Command::Select { mailbox: words.name()?, read_only: name == "EXAMINE" },
        _ => Command::Mailboxes(mailboxes(name, words)?),
    })
}

fn mailboxes(name: &str, words: &mut Words<'_>) -> Option<OnMailboxes> {
    Some(match name {
        "ENABLE" => {
            words.rest();
            OnMailboxes::Enable
        }
        "LIST" | "LSUB" => {
            let reference = words.name()?;
            words.space()?;
            OnMailboxes::List { subscribed: name == "LSUB", reference, pattern: words.pattern()? }
        }
        "STATUS" => {
            let mailbox = words.name()?;
            words.space()?;
            OnMailboxes::Status { mailbox, items: words.list(StatusItem::parse)? }
        }
        "CREATE" => OnMailboxes::Create(words.name()?),
        "DELETE" => OnMailboxes::Delete(words.name()?),
        "RENAME" => {
            let from = words.name()?;
            words.space()?;
            OnMailboxes::Rename { from, to: words.name()? }
        }
        "SUBSCRIBE" | "UNSUBSCRIBE" => {
            OnMailboxes::Subscribe { mailbox: words.name()?, wanted: name == "SUBSCRIBE" }
        }
        "APPEND" => append(words)?,
        _ => return None,
    })
}

/// append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal
fn append(words: &mut Words<'_>) -> Option<OnMailboxes> {
    let mailbox = words.name()?;
    words.space()?;
    let mut flags = Flags::default();
    if words.peek()? == b'(' {
        flags = words.flags()?;
        words.space()?;
    }
    let mut date = None;
    if words.peek()? == b'"' {
        let text = String::from_utf8(words.string()?).ok()?;
        date = Some(date::parse_internal(&text)?);
        words.space()?;
    }
    Some(OnMailboxes::Append { mailbox, flags, date, raw: words.literal()?.into() })
}

/// Commands about messages, with and without UID before them.
fn messages(name: &str, words: &mut Words<'_>) -> Option<Command> {
    let by_uid = name == "UID";
    let name = if by_uid {
        let name = words.keyword()?;
        words.space()?;
        name
    } else {
        name.to_owned()
    };
    Some(Command::Messages(match name.as_str() {
        "SEARCH" => OnMessages::Search { by_uid, key: search::parse(words)? },
        "EXPUNGE" if by_uid => OnMessages::Expunge { only: Some(SequenceSet::parse(words)?) },
        "FETCH" => {
            let set = set(words)?;
            let mut items = fetch::items(words)?;
            if by_uid && !items.contains(&Item::Uid) {
                items.insert(0, Item::Uid);
            }
            OnMessages::Fetch { by_uid, set, items }
        }
        "STORE" => OnMessages::Store { by_uid, set: set(words)?, change: change(words)? },
        "COPY" | "MOVE" => {
            let set = set(words)?;
            OnMessages::Copy { by_uid, set, mailbox: words.name()?, removes: name == "MOVE" }
        }
        _ => return None,
    }))
}

fn set(words: &mut Words<'_>) -> Option<SequenceSet> {
    let set = SequenceSet::parse(words)?;
    words.space()?;
    Some(set)
}

/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
fn change(words: &mut Words<'_>) -> Option<Change> {
    let mode = match words.peek()? {
        b'+' => Mode::Add,
        b'-' => Mode::Remove,
        _ => Mode::Replace,
    };
    let _ = words.byte(b'+').or_else(|| words.byte(b'-'));
    let silent = match words.keyword()?.as_str() {
        "FLAGS" => false,
        "FLAGS.SILENT" => true,
        _ => return None,
    };
    words.space()?;
    Some(Change { mode, silent, flags: words.flags()? })
}

// === impl StatusItem ===

impl StatusItem {
    const ALL: [(Self, &str); 5] = [
        (Self::Messages, "MESSAGES"),
        (Self::Recent, "RECENT"),
        (Self::UidNext, "UIDNEXT"),
        (Self::UidValidity, "UIDVALIDITY"),
        (Self::Unseen, "UNSEEN"),
    ];

    /// As it is written.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(item, _)| *item == self).map_or("", |(_, name)| name)
    }

    fn parse(words: &mut Words<'_>) -> Option<Self> {
        let keyword = words.keyword()?;
        Self::ALL.iter().find(|(_, name)| *name == keyword).map(|(item, _)| *item)
    }
}
