//! FETCH: which items are asked for, and how a message answers (RFC 3501 sections 6.4.5, 7.4.2).

use std::borrow::Cow;

use imap_codec::imap_types::core::{IString, Literal, NString, Vec1};
use imap_codec::imap_types::datetime::DateTime;
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItem as Item, MessageDataItemName as Name,
};
use imap_codec::imap_types::flag::Flag;
use imap_codec::imap_types::response::Data;
use mailparse::ParsedMail;

use super::responses::{Responses, data};
use super::selected::{Place, Selected, fetched_flags};
use crate::mime;
use crate::store::{Message, Uid, add_flag};

/// Items of one command: each may repeat a whole message in the response.
const MAX_ITEMS: usize = 16;

/// Returns the items; `None` when they are too many or one is not offered.
pub(super) fn items<'a>(asked: &'a MacroOrMessageDataItemNames<'a>, by_uid: bool) -> Option<Vec<Name<'a>>> {
    let asked = match asked {
        MacroOrMessageDataItemNames::Macro(several) => several.expand(),
        MacroOrMessageDataItemNames::MessageDataItemNames(names) => names.clone(),
    };
    let is_binary = asked.iter().any(|name| matches!(name, Name::Binary { .. } | Name::BinarySize { .. }));
    if asked.len() > MAX_ITEMS || is_binary {
        return None;
    }
    let uid = (by_uid && !asked.contains(&Name::Uid)).then_some(Name::Uid);
    Some(uid.into_iter().chain(asked).collect())
}

/// Answers with one message, and marks it as seen where reading it does so.
pub(super) fn respond(selected: &mut Selected, place: Place, items: &[Name<'_>], out: &mut Responses) {
    let Some(mut message) = selected.message(place.uid) else { return };
    let Some(mail) = mime::parse(&message.raw) else { return };
    let mut items = items.to_vec();
    if !selected.read_only && items.iter().any(marks_seen) && !message.flags.contains("\\Seen") {
        let changed = selected.change_flags(place.uid, |flags| add_flag(flags, &Flag::Seen));
        message.flags = changed.unwrap_or_default();
        items.retain(|name| *name != Name::Flags);
        items.push(Name::Flags);
    }
    let answers = items.iter().map(|name| answer(name, place.uid, &message, &mail)).collect();
    data(out, Data::Fetch { seq: place.number, items: Vec1::unvalidated(answers) });
}

fn marks_seen(name: &Name<'_>) -> bool {
    matches!(name, Name::Rfc822 | Name::Rfc822Text | Name::BodyExt { peek: false, .. })
}

fn answer<'a>(name: &Name<'a>, uid: Uid, message: &'a Message, mail: &ParsedMail<'a>) -> Item<'a> {
    let (header, text) = mime::split(&message.raw);
    match name {
        Name::Flags => fetched_flags(&message.flags),
        Name::Uid => Item::Uid(uid),
        Name::InternalDate => Item::InternalDate(DateTime::unvalidated(message.date)),
        Name::Envelope => Item::Envelope(mime::envelope(mail)),
        Name::Body => Item::Body(mime::structure(mail, false)),
        Name::BodyStructure => Item::BodyStructure(mime::structure(mail, true)),
        Name::Rfc822 => Item::Rfc822(literal(message.raw[..].into())),
        Name::Rfc822Header => Item::Rfc822Header(literal(header.into())),
        Name::Rfc822Text => Item::Rfc822Text(literal(text.into())),
        Name::BodyExt { section, partial, .. } => {
            let content = match section {
                Some(section) => mime::section(mail, section),
                None => Some(Cow::Borrowed(&message.raw[..])),
            };
            let data = match (content, partial) {
                (Some(content), Some((first, count))) => literal(part_of(&content, *first, count.get())),
                (Some(content), None) => literal(content),
                (None, _) => NString(None),
            };
            Item::BodyExt { section: section.clone(), origin: partial.map(|(first, _)| first), data }
        }
        // The others are refused by `items`.
        _ => Item::Rfc822Size(mime::count(message.raw.len())),
    }
}

fn part_of(content: &[u8], first: u32, count: u32) -> Cow<'static, [u8]> {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    content.iter().copied().skip(first).take(count).collect()
}

/// A message has no NUL: it came as a literal, which cannot have one.
fn literal(data: Cow<'_, [u8]>) -> NString<'_> {
    NString(Some(IString::Literal(Literal::unvalidated(data))))
}
