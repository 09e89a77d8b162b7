//! The selected mailbox as one client sees it.
//!
//! Other connections change the same mailbox, while message numbers may only shift when this client is told.
//! So each connection keeps a view (identifiers and flags as last reported), and everything that differs is
//! reported in one place: [`Selected::catch_up`].

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use imap_codec::imap_types::core::Vec1;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::{Flag, FlagFetch, FlagPerm};
use imap_codec::imap_types::response::{Code, Data};
use imap_codec::imap_types::sequence::{Sequence, SequenceSet};

use super::responses::{Responses, ok};
use crate::store::{Flags, Mailbox, Maildrop, Message, Refusal};

pub(super) struct Selected {
    pub(super) maildrop: Arc<Maildrop>,
    pub(super) name: String,
    validity: NonZeroU32,
    pub(super) read_only: bool,
    /// What the client knows, by ascending identifier. A message's number is its index plus 1.
    view: Vec<(NonZeroU32, Flags)>,
}

/// A message of the view, with the largest values in use: what a set of numbers is read against.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) number: NonZeroU32,
    pub(super) uid: NonZeroU32,
    last_number: NonZeroU32,
    last_uid: NonZeroU32,
}

// === impl Selected ===

impl Selected {
    /// SELECT or EXAMINE.
    pub(super) fn open(
        maildrop: Arc<Maildrop>,
        name: String,
        read_only: bool,
        out: &mut Responses,
    ) -> Result<Self, Refusal> {
        let flags = [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft];
        let permanent = flags.iter().cloned().map(FlagPerm::Flag).chain([FlagPerm::Asterisk]);
        let permanent = permanent.filter(|_| !read_only).collect();
        let (validity, next) = maildrop.read(|mail| {
            let mailbox = mail.get(&name)?;
            Ok((mailbox.validity, mailbox.next_uid))
        })?;
        let mut selected = Self { maildrop, name, validity, read_only, view: Vec::new() };
        out.data(Data::Flags(flags.to_vec()));
        selected.catch_up(true, out);
        if selected.view.is_empty() {
            out.data(Data::Exists(0));
        }
        out.data(Data::Recent(0));
        out.status(None, ok("limited").with(Code::PermanentFlags(permanent)));
        out.status(None, ok("identifiers valid").with(Code::UidValidity(validity)));
        out.status(None, ok("next identifier").with(Code::UidNext(next)));
        Ok(selected)
    }

    /// Looks at the mailbox, if it is still the one that was selected.
    fn read<T>(&self, look: impl FnOnce(&Mailbox) -> Option<T>) -> Option<T> {
        self.maildrop
            .read(|mail| look(mail.get(&self.name).ok().filter(|mailbox| mailbox.validity == self.validity)?))
    }

    /// Changes the mailbox, if it is still the one that was selected.
    fn write<T>(&self, change: impl FnOnce(&mut Mailbox) -> Option<T>) -> Option<T> {
        self.maildrop.write(|mail| {
            change(mail.get_mut(&self.name).ok().filter(|mailbox| mailbox.validity == self.validity)?)
        })
    }

    pub(super) fn message(&self, uid: NonZeroU32) -> Option<Message> {
        self.read(|mailbox| mailbox.messages.get(&uid).cloned())
    }

    pub(super) fn remove(&self, is_meant: impl Fn(NonZeroU32, &Message) -> bool) {
        self.write(|mailbox| {
            mailbox.messages.retain(|&uid, message| !is_meant(uid, message));
            Some(())
        });
    }

    /// Changes the flags of a message, and returns what they are now. The caller reports them, or the client
    /// asked for silence.
    pub(super) fn change_flags(&mut self, uid: NonZeroU32, change: impl FnOnce(&mut Flags)) -> Option<Flags> {
        let flags = self.write(|mailbox| {
            let flags = &mut mailbox.messages.get_mut(&uid)?.flags;
            change(flags);
            Some(flags.clone())
        })?;
        self.set_known(uid, &flags);
        Some(flags)
    }

    /// Remembers that the client knows these flags.
    pub(super) fn set_known(&mut self, uid: NonZeroU32, flags: &Flags) {
        if let Ok(index) = self.view.binary_search_by_key(&uid, |&(uid, _)| uid) {
            self.view[index].1.clone_from(flags);
        }
    }

    /// Every message of the view, oldest first.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let last_uid = self.view.last().map_or(NonZeroU32::MIN, |&(uid, _)| uid);
        let last_number = number(self.view.len().saturating_sub(1));
        let uids = self.view.iter().map(|&(uid, _)| uid).enumerate();
        uids.map(move |(index, uid)| Place { number: number(index), uid, last_number, last_uid })
    }

    /// The messages that a set means, oldest first.
    pub(super) fn find(&self, set: &SequenceSet, by_uid: bool) -> Vec<Place> {
        self.places().filter(|place| place.is_in(set, by_uid)).collect()
    }

    /// Reports what differs from the view. Removed messages shift numbers, so they are only reported when
    /// `may_expunge`: not while a command that speaks in numbers is answered (RFC 3501 section 7.4.1).
    pub(super) fn catch_up(&mut self, may_expunge: bool, out: &mut Responses) {
        let flags = |(uid, message): (&NonZeroU32, &Message)| (*uid, message.flags.clone());
        let mut now: BTreeMap<NonZeroU32, Flags> =
            self.read(|mailbox| Some(mailbox.messages.iter().map(flags).collect())).unwrap_or_default();
        // Backwards, so that the numbers still to be reported do not shift.
        for index in (0..self.view.len()).rev() {
            let (uid, known) = &mut self.view[index];
            match now.remove(uid) {
                None if may_expunge => {
                    out.data(Data::Expunge(number(index)));
                    self.view.remove(index);
                }
                Some(flags) if flags != *known => {
                    *known = flags;
                    report_flags(number(index), *uid, known, out);
                }
                _ => {}
            }
        }
        // What is left is new.
        if !now.is_empty() {
            self.view.extend(now);
            out.data(Data::Exists(u32::try_from(self.view.len()).unwrap_or(u32::MAX)));
        }
    }
}

// === impl Place ===

impl Place {
    pub(super) fn is_in(self, set: &SequenceSet, by_uid: bool) -> bool {
        let (value, last) = if by_uid { (self.uid, self.last_uid) } else { (self.number, self.last_number) };
        set.0.as_ref().iter().any(|sequence| match sequence {
            Sequence::Single(only) => only.expand(last) == value,
            Sequence::Range(one, other) => {
                let (one, other) = (one.expand(last), other.expand(last));
                (one.min(other)..=one.max(other)).contains(&value)
            }
        })
    }
}

/// The number of the message at that index.
fn number(index: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX))
}

pub(super) fn fetched_flags(flags: &Flags) -> MessageDataItem<'_> {
    let flags = flags.iter().filter_map(|name| Flag::try_from(name.as_str()).ok());
    MessageDataItem::Flags(flags.map(FlagFetch::Flag).collect())
}

pub(super) fn report_flags(seq: NonZeroU32, uid: NonZeroU32, flags: &Flags, out: &mut Responses) {
    let items = Vec1::unvalidated(vec![MessageDataItem::Uid(uid), fetched_flags(flags)]);
    out.data(Data::Fetch { seq, items });
}
