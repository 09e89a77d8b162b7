//! The selected mailbox as one client sees it.
//!
//! Other connections change the same mailbox, while message numbers may only shift when this client is informed.
//! So each connection keeps a view (identifiers and flags as last reported), and everything that differs is
//! reported in one place: [`Selected::catch_up`].

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use imap_codec::imap_types::core::Vec1;
use imap_codec::imap_types::fetch::MessageDataItem;
use imap_codec::imap_types::flag::{Flag, FlagFetch, FlagPerm};
use imap_codec::imap_types::response::{Code, Data};
use imap_codec::imap_types::sequence::{Sequence, SequenceSet};

use super::responses::{Responses, data, ok, status};
use crate::mime::count;
use crate::store::{Flags, Mailbox, Maildrop, Message, Refusal, Uid};

pub(super) struct Selected {
    pub(super) maildrop: Arc<Maildrop>,
    pub(super) name: String,
    validity: Uid,
    pub(super) read_only: bool,
    /// What the client knows, by identifier. A message's number is its place, counted from 1.
    view: BTreeMap<Uid, Flags>,
}

/// A message of the view, with the largest values in use: what a set of numbers is read against.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) number: Uid,
    pub(super) uid: Uid,
    last_number: Uid,
    last_uid: Uid,
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
        let mut selected = Self { maildrop, name, validity, read_only, view: BTreeMap::new() };
        data(out, Data::Flags(flags.to_vec()));
        selected.catch_up(true, out);
        if selected.view.is_empty() {
            data(out, Data::Exists(0));
        }
        data(out, Data::Recent(0));
        status(out, None, ok("limited").with(Code::PermanentFlags(permanent)));
        status(out, None, ok("identifiers valid").with(Code::UidValidity(validity)));
        status(out, None, ok("next identifier").with(Code::UidNext(next)));
        Ok(selected)
    }

    /// Looks at the mailbox, unless another one has its name by now.
    fn read<T>(&self, look: impl FnOnce(&Mailbox) -> Option<T>) -> Option<T> {
        self.maildrop
            .read(|mail| look(mail.get(&self.name).ok().filter(|mailbox| mailbox.validity == self.validity)?))
    }

    /// Changes the mailbox, unless another one has its name by now.
    fn write<T>(&self, change: impl FnOnce(&mut Mailbox) -> Option<T>) -> Option<T> {
        self.maildrop.write(|mail| {
            change(mail.get_mut(&self.name).ok().filter(|mailbox| mailbox.validity == self.validity)?)
        })
    }

    pub(super) fn message(&self, uid: Uid) -> Option<Message> {
        self.read(|mailbox| mailbox.messages.get(&uid).cloned())
    }

    pub(super) fn remove(&self, is_meant: impl Fn(Uid, &Message) -> bool) {
        self.write(|mailbox| {
            mailbox.messages.retain(|&uid, message| !is_meant(uid, message));
            Some(())
        });
    }

    /// Changes the flags of a message, and returns what they are now. The caller reports them, or the client
    /// asked for silence.
    pub(super) fn change_flags(&mut self, uid: Uid, change: impl FnOnce(Flags) -> Flags) -> Option<Flags> {
        let flags = self.write(|mailbox| {
            let flags = &mut mailbox.messages.get_mut(&uid)?.flags;
            *flags = change(mem::take(flags));
            Some(flags.clone())
        })?;
        self.view.insert(uid, flags.clone());
        Some(flags)
    }

    /// Every message of the view, oldest first.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let last_uid = self.view.keys().last().copied().unwrap_or(Uid::MIN);
        let number = |index| Uid::MIN.saturating_add(count(index));
        let last_number = number(self.view.len().saturating_sub(1));
        let uids = self.view.keys().enumerate();
        uids.map(move |(index, &uid)| Place { number: number(index), uid, last_number, last_uid })
    }

    /// The messages that a set means, oldest first.
    pub(super) fn find(&self, set: &SequenceSet, by_uid: bool) -> Vec<Place> {
        self.places().filter(|place| place.is_in(set, by_uid)).collect()
    }

    /// Reports what differs from the view. Removed messages shift numbers, so they are only reported when
    /// `may_expunge`: not while a command that speaks in numbers is answered (RFC 3501 section 7.4.1).
    pub(super) fn catch_up(&mut self, may_expunge: bool, out: &mut Responses) {
        let mut now: BTreeMap<Uid, Flags> = BTreeMap::new();
        self.read(|mailbox| {
            now.extend(mailbox.messages.iter().map(|(uid, message)| (*uid, message.flags.clone())));
            Some(())
        });
        // Backwards, so that the numbers still to be reported do not shift.
        for Place { number, uid, .. } in self.places().collect::<Vec<_>>().into_iter().rev() {
            match now.remove(&uid) {
                None if may_expunge => {
                    data(out, Data::Expunge(number));
                    self.view.remove(&uid);
                }
                Some(flags) if self.view.get(&uid) != Some(&flags) => {
                    report_flags(number, uid, &flags, out);
                    self.view.insert(uid, flags);
                }
                _ => {}
            }
        }
        // What is left is new.
        if !now.is_empty() {
            self.view.append(&mut now);
            data(out, Data::Exists(count(self.view.len())));
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

pub(super) fn fetched_flags(flags: &Flags) -> MessageDataItem<'_> {
    let flags = flags.iter().filter_map(|name| Flag::try_from(name.as_str()).ok());
    MessageDataItem::Flags(flags.map(FlagFetch::Flag).collect())
}

pub(super) fn report_flags(seq: Uid, uid: Uid, flags: &Flags, out: &mut Responses) {
    let items = Vec1::unvalidated(vec![MessageDataItem::Uid(uid), fetched_flags(flags)]);
    data(out, Data::Fetch { seq, items });
}
