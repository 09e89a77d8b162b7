//! FETCH: which items are asked for, and how a message answers (RFC 3501 sections 6.4.5, 7.4.2).

use std::borrow::Cow;
use std::num::NonZeroU32;

use imap_codec::imap_types::core::{IString, Literal, NString, Vec1};
use imap_codec::imap_types::datetime::DateTime;
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItem as Item, MessageDataItemName as Name,
};
use imap_codec::imap_types::flag::Flag;
use imap_codec::imap_types::response::Data;
use mailparse::ParsedMail;

use super::responses::Responses;
use super::selected::{Place, Selected, fetched_flags};
use crate::mime;
use crate::store::{Message, add_flag, has_flag};

/// Items of one command: each may repeat a whole message in the response.
const MAX_ITEMS: usize = 16;

/// The items; `None` for too many, and for what is not offered.
pub(super) fn items<'a>(asked: &'a MacroOrMessageDataItemNames<'a>, by_uid: bool) -> Option<Vec<Name<'a>>> {
    let asked = match asked {
        MacroOrMessageDataItemNames::Macro(several) => several.expand(),
        MacroOrMessageDataItemNames::MessageDataItemNames(names) => names.clone(),
    };
    let is_offered = |name: &Name<'_>| !matches!(name, Name::Binary { .. } | Name::BinarySize { .. });
    if asked.len() > MAX_ITEMS || !asked.iter().all(is_offered) {
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
    if !selected.read_only && items.iter().any(marks_seen) && !has_flag(&message.flags, &Flag::Seen) {
        message.flags = add_flag(message.flags, &Flag::Seen);
        selected.change_flags(place.uid, |flags| flags.clone_from(&message.flags));
        items.push(Name::Flags);
    }
    let answers = items.iter().map(|name| answer(name, place.uid, &message, &mail)).collect();
    out.data(Data::Fetch { seq: place.number, items: Vec1::unvalidated(answers) });
    if items.contains(&Name::Flags) {
        selected.set_known(place.uid, &message.flags);
    }
}

fn marks_seen(name: &Name<'_>) -> bool {
    matches!(name, Name::Rfc822 | Name::Rfc822Text | Name::BodyExt { peek: false, .. })
}

fn answer<'a>(name: &Name<'a>, uid: NonZeroU32, message: &'a Message, mail: &ParsedMail<'a>) -> Item<'a> {
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
            let data = match section {
                Some(section) => mime::section(mail, section),
                None => Some(Cow::Borrowed(&message.raw[..])),
            };
            let data = data.map_or(NString(None), |data| literal(part_of(data, *partial)));
            Item::BodyExt { section: section.clone(), origin: partial.map(|(first, _)| first), data }
        }
        // The others are refused by `items`.
        _ => Item::Rfc822Size(u32::try_from(message.raw.len()).unwrap_or(u32::MAX)),
    }
}

fn part_of(data: Cow<'_, [u8]>, partial: Option<(u32, NonZeroU32)>) -> Cow<'_, [u8]> {
    let Some((first, count)) = partial else { return data };
    let limit = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    data.iter().copied().skip(limit(first)).take(limit(count.get())).collect()
}

/// A message has no NUL: it came as a literal, which cannot have one.
fn literal(data: Cow<'_, [u8]>) -> NString<'_> {
    NString(Some(IString::Literal(Literal::unvalidated(data))))
}
