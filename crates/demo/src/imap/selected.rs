//! The selected mailbox as one client sees it.
//!
//! Other connections change the same mailbox, while message numbers may only shift when this client is told.
//! So each connection keeps a view (identifiers and flags as last told), and everything that differs is told
//! in one place: [`Selected::catch_up`].

use super::search::{Candidate, Key};
use super::set::SequenceSet;
use super::text::push_line;
use crate::store::{Flags, Folders, Mailbox, Refusal};

/// A selected mailbox.
#[derive(Debug)]
pub(super) struct Selected {
    name: String,
    validity: u32,
    read_only: bool,
    /// Ascending identifiers; a message's number is its place, counted from 1.
    view: Vec<Known>,
}

/// What the client was told of a message.
#[derive(Debug)]
struct Known {
    uid: u32,
    flags: Flags,
}

/// STORE's data item.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) mode: Mode,
    pub(super) silent: bool,
    pub(super) flags: Flags,
}

/// FLAGS, +FLAGS, -FLAGS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Replace,
    Add,
    Remove,
}

// === impl Selected ===

impl Selected {
    /// SELECT or EXAMINE.
    pub(super) fn open(
        folders: &Folders,
        name: &str,
        read_only: bool,
        out: &mut Vec<u8>,
    ) -> Result<Self, Refusal> {
        let mailbox = folders.get(name)?;
        let known =
            |message: &crate::store::Message| Known { uid: message.uid, flags: message.flags.clone() };
        let view: Vec<Known> = mailbox.messages().iter().map(known).collect();
        let permanent = if read_only { "()" } else { "(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)" };
        push_line(out, format_args!("* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)"));
        push_line(out, format_args!("* {} EXISTS", view.len()));
        push_line(out, format_args!("* 0 RECENT"));
        if let Some(first) = view.iter().position(|known| !known.flags.contains(Flags::SEEN)) {
            push_line(out, format_args!("* OK [UNSEEN {}] first unseen", first + 1));
        }
        push_line(out, format_args!("* OK [PERMANENTFLAGS {permanent}] limited"));
        push_line(out, format_args!("* OK [UIDVALIDITY {}] identifiers valid", mailbox.validity()));
        push_line(out, format_args!("* OK [UIDNEXT {}] next identifier", mailbox.next()));
        Ok(Self { name: Folders::canonical(name), validity: mailbox.validity(), read_only, view })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The mailbox, if it is still the one that was selected.
    pub(super) fn mailbox<'a>(&self, folders: &'a Folders) -> Option<&'a Mailbox> {
        folders.get(&self.name).ok().filter(|mailbox| mailbox.validity() == self.validity)
    }

    /// The number of a message.
    pub(super) fn number(&self, uid: u32) -> Option<u32> {
        let index = self.view.binary_search_by_key(&uid, |known| known.uid).ok()?;
        u32::try_from(index + 1).ok()
    }

    /// The identifiers that a set means, ascending.
    pub(super) fn uids(&self, set: &SequenceSet, by_uid: bool) -> Vec<u32> {
        let (last_number, last_uid) = self.last();
        self.numbered()
            .filter(
                |&(number, uid)| {
                    if by_uid { set.contains(uid, last_uid) } else { set.contains(number, last_number) }
                },
            )
            .map(|(_, uid)| uid)
            .collect()
    }

    /// The messages that are like that, by identifier or by number.
    pub(super) fn search(&self, folders: &Folders, key: &Key, by_uid: bool) -> Vec<u32> {
        let Some(mailbox) = self.mailbox(folders) else {
            return Vec::new();
        };
        let (last_number, last_uid) = self.last();
        self.numbered()
            .filter(|&(number, uid)| {
                mailbox
                    .get(uid)
                    .is_some_and(|message| key.matches(&Candidate { message, number, last_number, last_uid }))
            })
            .map(|(number, uid)| if by_uid { uid } else { number })
            .collect()
    }

    /// Changes flags. What a silent change does is not told; what anybody else did is.
    pub(super) fn store(&mut self, folders: &mut Folders, uids: &[u32], change: &Change, out: &mut Vec<u8>) {
        if self.mailbox(folders).is_none() {
            return;
        }
        let Ok(mailbox) = folders.get_mut(&self.name) else {
            return;
        };
        for &uid in uids {
            let (Some(number), Some(flags)) =
                (self.number(uid), mailbox.mark(uid, |flags| change.apply(flags)))
            else {
                continue;
            };
            if !change.silent {
                push_line(out, format_args!("* {number} FETCH (UID {uid} FLAGS {flags})"));
            }
            self.told(uid, flags.clone());
        }
    }

    /// Removes what is marked as deleted: all of it, or what is in the set of identifiers.
    pub(super) fn expunge(&self, folders: &mut Folders, only: Option<&SequenceSet>) {
        let (_, last_uid) = self.last();
        if self.mailbox(folders).is_some()
            && let Ok(mailbox) = folders.get_mut(&self.name)
        {
            mailbox.remove(|message| {
                let is_meant = only.is_none_or(|set| set.contains(message.uid, last_uid));
                is_meant && message.flags.contains(Flags::DELETED)
            });
        }
    }

    /// Tells what differs from the view. Removed messages shift numbers, so they are only told when
    /// `may_expunge`: not while a command that speaks in numbers is answered (RFC 3501 section 7.4.1).
    pub(super) fn catch_up(&mut self, folders: &Folders, may_expunge: bool, out: &mut Vec<u8>) {
        let mailbox = self.mailbox(folders);
        if may_expunge {
            // Backwards, so that the numbers still to be told are not shifted.
            for index in (0..self.view.len()).rev() {
                if mailbox.and_then(|mailbox| mailbox.get(self.view[index].uid)).is_none() {
                    push_line(out, format_args!("* {} EXPUNGE", index + 1));
                    self.view.remove(index);
                }
            }
        }
        let Some(mailbox) = mailbox else {
            return;
        };
        for (index, known) in self.view.iter_mut().enumerate() {
            if let Some(message) = mailbox.get(known.uid)
                && message.flags != known.flags
            {
                known.flags = message.flags.clone();
                push_line(
                    out,
                    format_args!("* {} FETCH (UID {} FLAGS {})", index + 1, known.uid, known.flags),
                );
            }
        }
        self.take_new(mailbox, out);
    }

    /// Remembers that the client knows these flags.
    pub(super) fn told(&mut self, uid: u32, flags: Flags) {
        if let Ok(index) = self.view.binary_search_by_key(&uid, |known| known.uid) {
            self.view[index].flags = flags;
        }
    }

    fn take_new(&mut self, mailbox: &Mailbox, out: &mut Vec<u8>) {
        let (_, last_uid) = self.last();
        let messages = mailbox.messages();
        let first_new = messages.partition_point(|message| message.uid <= last_uid);
        if first_new == messages.len() {
            return;
        }
        for message in &messages[first_new..] {
            self.view.push(Known { uid: message.uid, flags: message.flags.clone() });
        }
        push_line(out, format_args!("* {} EXISTS", self.view.len()));
        push_line(out, format_args!("* 0 RECENT"));
    }

    /// Numbers with their identifiers.
    fn numbered(&self) -> impl Iterator<Item = (u32, u32)> {
        (1..).zip(self.view.iter().map(|known| known.uid))
    }

    /// The largest number and identifier in use; 0 when there is none.
    fn last(&self) -> (u32, u32) {
        self.numbered().last().unwrap_or((0, 0))
    }
}

// === impl Change ===

impl Change {
    fn apply(&self, flags: &mut Flags) {
        match self.mode {
            Mode::Replace => *flags = self.flags.clone(),
            Mode::Add => self.flags.iter().for_each(|flag| flags.insert(flag)),
            Mode::Remove => self.flags.iter().for_each(|flag| flags.remove(flag)),
        }
    }
}
