//! The messages of one folder, as hashes.
//!
//! A message is recognised by its Message-ID, since UIDs and dates may change when it is copied. Header fields are hashed
//! as they arrive, so 24 bytes of a message remain, and its flags once for each combination.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, NString, Vec1};
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItem, MessageDataItemName, Section,
};
use imap_codec::imap_types::flag::{Flag, FlagFetch};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{Code, Data};
use imap_codec::imap_types::sequence::SequenceSet;

use crate::error::Cause;
use crate::imap_session::{ImapSession, Untagged};

/// A folder.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) uid_validity: u32,
    pub(crate) uid_next: u32,
    pub(crate) messages: Vec<Message>,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Hash of the Message-ID, or of Date, From and Subject where there is none.
    pub(crate) fingerprint: u64,
    /// Hash of the flags: a key of [`Hashes`].
    pub(crate) flags: u64,
    pub(crate) uid: u32,
    pub(crate) size: u32,
}

/// Computes the hashes of one comparison. The key is random, so nobody can write a message whose hash is that of another.
#[derive(Debug, Default)]
pub(crate) struct Hashes {
    key: RandomState,
    /// The flags behind each hash.
    flags: HashMap<u64, String>,
}

/// Messages of one folder.
pub(crate) const MAX_MESSAGES: usize = 1 << 20;

/// Bytes of a message's header fields that are read.
const MAX_HEADER: NonZeroU32 = NonZeroU32::MIN.saturating_add(4_095);

/// Combinations of flags whose text is kept.
const MAX_FLAG_SETS: usize = 4_096;

/// What identifies a message, in the order of preference.
const HEADER_FIELDS: [&str; 4] = ["MESSAGE-ID", "DATE", "FROM", "SUBJECT"];

/// UIDs in one command: some servers limit a line to 8 KiB.
const UIDS_AT_ONCE: usize = 100;

/// Characters of a Message-ID that are reported.
const MAX_ID: usize = 200;

// === impl Contents ===

impl Contents {
    /// Reads all messages of `mailbox`, which is opened read-only.
    pub(crate) async fn read(
        session: &mut ImapSession,
        mailbox: &Mailbox<'static>,
        hashes: &mut Hashes,
    ) -> Result<Self, Cause> {
        let mut contents = Self::default();
        let mut exists = 0;
        let examine = CommandBody::Examine { mailbox: mailbox.clone(), parameters: Vec::new() };
        let each = |untagged: Untagged<'_>| {
            match untagged {
                Untagged::Data(Data::Exists(count)) => exists = count as usize,
                Untagged::Code(Code::UidValidity(value)) => contents.uid_validity = value.get(),
                Untagged::Code(Code::UidNext(value)) => contents.uid_next = value.get(),
                _ => {}
            }
            Ok(())
        };
        session.run("EXAMINE", examine, each).await?;
        if exists == 0 {
            return Ok(contents);
        }
        let mut names =
            vec![MessageDataItemName::Uid, MessageDataItemName::Flags, MessageDataItemName::Rfc822Size];
        names.push(header_fields(&HEADER_FIELDS)?);
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::Fetch { items, .. }) = untagged
                && let Some(message) = hashes.message(items.as_ref())
            {
                if contents.messages.len() >= MAX_MESSAGES {
                    return Err(Cause::TooMany { what: "messages in a folder", limit: MAX_MESSAGES });
                }
                contents.messages.push(message);
            }
            Ok(())
        };
        session.run("FETCH", uid_fetch("1:*", names)?, each).await?;
        Ok(contents)
    }
}

/// Returns the Message-IDs of messages of the folder that is open, by UID.
pub(crate) async fn message_ids(
    session: &mut ImapSession,
    uids: &[u32],
) -> Result<HashMap<u32, String>, Cause> {
    let mut found = HashMap::new();
    for part in uids.chunks(UIDS_AT_ONCE) {
        let set: Vec<String> = part.iter().map(ToString::to_string).collect();
        let names = vec![MessageDataItemName::Uid, header_fields(&HEADER_FIELDS[..1])?];
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::Fetch { items, .. }) = untagged
                && let Some(uid) = uid_of(items.as_ref())
                && let Some(header) = header_of(items.as_ref())
                && let Some(id) = message_id(header)
                && part.contains(&uid)
            {
                let text = String::from_utf8_lossy(&id).chars().take(MAX_ID).collect();
                found.insert(uid, text);
            }
            Ok(())
        };
        session.run("FETCH", uid_fetch(&set.join(","), names)?, each).await?;
    }
    Ok(found)
}

// === impl Hashes ===

impl Hashes {
    /// Returns a message of a FETCH response; `None` when the response is an update of flags, which nobody asked for.
    fn message(&mut self, items: &[MessageDataItem<'_>]) -> Option<Message> {
        let uid = uid_of(items)?;
        let header = header_of(items)?;
        let mut flags = String::new();
        let mut size = 0;
        for item in items {
            match item {
                MessageDataItem::Flags(found) => flags = text_of(found),
                MessageDataItem::Rfc822Size(found) => size = *found,
                _ => {}
            }
        }
        let fingerprint = match message_id(header) {
            Some(id) => self.key.hash_one(id),
            None => self.key.hash_one(without_whitespace(header)),
        };
        let hash = self.key.hash_one(&flags);
        if self.flags.len() < MAX_FLAG_SETS {
            self.flags.entry(hash).or_insert(flags);
        }
        Some(Message { fingerprint, flags: hash, uid, size })
    }

    pub(crate) fn uidl(&self, uidl: &[u8]) -> u64 {
        self.key.hash_one(uidl)
    }

    /// Returns the flags of a message, for an operator.
    pub(crate) fn flags_text(&self, message: &Message) -> &str {
        match self.flags.get(&message.flags) {
            Some(flags) if flags.is_empty() => "no flags",
            Some(flags) => flags,
            None => "other flags",
        }
    }

    /// Returns the hashes of another server's folders: the same key, and flags of their own.
    pub(crate) fn same_key(&self) -> Self {
        Self { key: self.key.clone(), flags: HashMap::new() }
    }
}

fn uid_fetch(uids: &str, names: Vec<MessageDataItemName<'static>>) -> Result<CommandBody<'static>, Cause> {
    let sequence_set = SequenceSet::try_from(uids).map_err(|error| Cause::Unreadable(error.to_string()))?;
    let macro_or_item_names = MacroOrMessageDataItemNames::MessageDataItemNames(names);
    Ok(CommandBody::Fetch { sequence_set, macro_or_item_names, uid: true, modifiers: Vec::new() })
}

/// A part of each message's header, read without setting \Seen.
fn header_fields(fields: &[&'static str]) -> Result<MessageDataItemName<'static>, Cause> {
    let fields: Vec<AString<'static>> =
        fields.iter().filter_map(|field| AString::try_from(*field).ok()).collect();
    let Ok(fields) = Vec1::try_from(fields) else {
        return Err(Cause::Unreadable("no header field".to_owned()));
    };
    let section = Some(Section::HeaderFields(None, fields));
    Ok(MessageDataItemName::BodyExt { section, partial: Some((0, MAX_HEADER)), peek: true })
}

fn uid_of(items: &[MessageDataItem<'_>]) -> Option<u32> {
    items.iter().find_map(|item| match item {
        MessageDataItem::Uid(uid) => Some(uid.get()),
        _ => None,
    })
}

fn header_of<'a>(items: &'a [MessageDataItem<'_>]) -> Option<&'a [u8]> {
    items.iter().find_map(|item| match item {
        MessageDataItem::BodyExt { data: NString(Some(data)), .. } => Some(data.as_ref()),
        MessageDataItem::BodyExt { data: NString(None), .. } => Some(&b""[..]),
        _ => None,
    })
}

/// Returns the flags in an order of their own, in lower case, without \Recent, which belongs to a session.
fn text_of(flags: &[FlagFetch<'_>]) -> String {
    let mut texts: Vec<String> = Vec::new();
    for flag in flags {
        match flag {
            FlagFetch::Recent => {}
            FlagFetch::Flag(flag @ (Flag::Keyword(_) | Flag::Extension(_))) => {
                texts.push(flag.to_string().to_lowercase());
            }
            FlagFetch::Flag(flag) => texts.push(flag.to_string()),
        }
    }
    texts.sort_unstable();
    texts.dedup();
    texts.join(" ")
}

/// Returns the value of the first Message-ID field without white space; `None` when it is missing or empty.
fn message_id(header: &[u8]) -> Option<Vec<u8>> {
    const NAME: &[u8] = b"message-id:";
    let mut lines = header.split_inclusive(|&byte| byte == b'\n');
    let first =
        lines.find(|line| line.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME)))?;
    let mut value = without_whitespace(&first[NAME.len()..]);
    // A folded field goes on with a line that begins with white space (RFC 5322 section 2.2.3).
    for line in lines.take_while(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
        value.extend(without_whitespace(line));
    }
    (!value.is_empty()).then_some(value)
}

/// Servers fold header fields in different places.
fn without_whitespace(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_found_wherever_it_is() {
        for (header, id) in [
            ("Message-ID: <a@b>\r\nSubject: x\r\n\r\n", Some("<a@b>")),
            ("Subject: message-id: <no>\r\nMESSAGE-Id:\r\n <folded@b>\r\nDate: x\r\n", Some("<folded@b>")),
            ("Message-ID: \r\nSubject: x\r\n", None),
            ("Subject: x\r\n", None),
            ("", None),
        ] {
            assert_eq!(message_id(header.as_bytes()).as_deref(), id.map(str::as_bytes), "{header:?}");
        }
    }

    #[test]
    fn flags_do_not_depend_on_order_or_session() {
        let keyword = |name: &'static str| FlagFetch::Flag(Flag::Keyword(name.try_into().expect("an atom")));
        let one = [FlagFetch::Recent, FlagFetch::Flag(Flag::Seen), keyword("$Forwarded")];
        let two = [keyword("$forwarded"), FlagFetch::Flag(Flag::Seen)];
        assert_eq!(text_of(&one), text_of(&two));
        assert_eq!(text_of(&two), "$forwarded \\Seen");
    }
}
