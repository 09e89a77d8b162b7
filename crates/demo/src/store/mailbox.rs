//! One mailbox: messages in the order of their unique identifiers.

use std::sync::Arc;

use super::Flags;
use crate::date::Stamp;

/// Messages under one name.
#[derive(Debug)]
pub(crate) struct Mailbox {
    validity: u32,
    next: u32,
    /// Invariant: ascending `uid`, all below `next`.
    messages: Vec<Message>,
    /// What it is for (RFC 6154): `\Sent`.
    pub(super) special_use: Option<&'static str>,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Unique identifier; 0 until it is in a mailbox.
    pub(crate) uid: u32,
    /// Its marks.
    pub(crate) flags: Flags,
    /// When it arrived.
    pub(crate) date: Stamp,
    /// As it is transferred.
    pub(crate) raw: Arc<[u8]>,
}

/// The largest message, in bytes: enough for a draft with a picture.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

// === impl Mailbox ===

impl Mailbox {
    pub(super) fn new(validity: u32) -> Self {
        Self { validity, next: 1, messages: Vec::new(), special_use: None }
    }

    /// UIDVALIDITY.
    pub(crate) fn validity(&self) -> u32 {
        self.validity
    }

    /// UIDNEXT.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// All messages, oldest first.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// What it is for.
    pub(crate) fn special_use(&self) -> Option<&'static str> {
        self.special_use
    }

    /// The message of that identifier.
    pub(crate) fn get(&self, uid: u32) -> Option<&Message> {
        self.position(uid).map(|index| &self.messages[index])
    }

    /// Changes the marks of a message, and returns what they are now.
    pub(crate) fn mark(&mut self, uid: u32, change: impl FnOnce(&mut Flags)) -> Option<&Flags> {
        let index = self.position(uid)?;
        let flags = &mut self.messages[index].flags;
        change(flags);
        Some(flags)
    }

    /// Removes the messages for which `is_gone` says so.
    pub(crate) fn remove(&mut self, is_gone: impl Fn(&Message) -> bool) {
        self.messages.retain(|message| !is_gone(message));
    }

    /// Adds at the end, under a new identifier, which is returned. The bounds are [`super::Folders`]' matter.
    pub(super) fn push(&mut self, message: Message) -> u32 {
        let uid = self.next;
        self.next += 1;
        self.messages.push(Message { uid, ..message });
        uid
    }

    /// Whether another message can be numbered.
    pub(super) fn can_number(&self, messages: usize) -> bool {
        u32::try_from(messages).is_ok_and(|count| self.next.checked_add(count).is_some())
    }

    fn position(&self, uid: u32) -> Option<usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid).ok()
    }
}

// === impl Message ===

impl Message {
    /// A message that is in no mailbox yet.
    pub(crate) fn new(raw: impl Into<Arc<[u8]>>, flags: Flags, date: Stamp) -> Self {
        Self { uid: 0, flags, date, raw: raw.into() }
    }

    /// Bytes.
    pub(crate) fn size(&self) -> usize {
        self.raw.len()
    }
}
