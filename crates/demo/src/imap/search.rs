//! SEARCH: whether a message is like that (RFC 3501 section 6.4.4).

use chrono::{DateTime, NaiveDate};
use imap_codec::imap_types::flag::Flag;
use imap_codec::imap_types::search::SearchKey;
use mailparse::{MailHeaderMap, ParsedMail};

use super::selected::Place;
use crate::mime;
use crate::store::{Message, has_flag};

/// Whether a message matches all keys. Texts are compared without regard to case.
pub(super) fn matches(keys: &[SearchKey<'_>], message: &Message, place: Place) -> bool {
    let mail = mime::parse(&message.raw);
    keys.iter().all(|key| matches_one(key, message, place, mail.as_ref()))
}

fn matches_one(key: &SearchKey<'_>, message: &Message, place: Place, mail: Option<&ParsedMail<'_>>) -> bool {
    let test = |key: &SearchKey<'_>| matches_one(key, message, place, mail);
    let has = |flag: Flag<'_>| has_flag(&message.flags, &flag);
    let field = |name: &[u8], needle: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let values = mail.map(|mail| mail.headers.get_all_values(&name)).unwrap_or_default();
        values.iter().any(|value| contains(value.as_bytes(), needle))
    };
    let arrived = message.date.date_naive();
    match key {
        SearchKey::All | SearchKey::Old => true,
        SearchKey::New | SearchKey::Recent => false,
        SearchKey::And(keys) => keys.as_ref().iter().all(test),
        SearchKey::Or(one, other) => test(one) || test(other),
        SearchKey::Not(key) => !test(key),
        SearchKey::SequenceSet(set) => place.is_in(set, false),
        SearchKey::Uid(set) => place.is_in(set, true),
        SearchKey::Answered => has(Flag::Answered),
        SearchKey::Deleted => has(Flag::Deleted),
        SearchKey::Draft => has(Flag::Draft),
        SearchKey::Flagged => has(Flag::Flagged),
        SearchKey::Seen => has(Flag::Seen),
        SearchKey::Keyword(name) => has(Flag::Keyword(name.clone())),
        SearchKey::Unanswered => !has(Flag::Answered),
        SearchKey::Undeleted => !has(Flag::Deleted),
        SearchKey::Undraft => !has(Flag::Draft),
        SearchKey::Unflagged => !has(Flag::Flagged),
        SearchKey::Unseen => !has(Flag::Seen),
        SearchKey::Unkeyword(name) => !has(Flag::Keyword(name.clone())),
        SearchKey::Larger(size) => message.raw.len() > usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Smaller(size) => message.raw.len() < usize::try_from(*size).unwrap_or(usize::MAX),
        SearchKey::Before(day) => arrived < *day.as_ref(),
        SearchKey::On(day) => arrived == *day.as_ref(),
        SearchKey::Since(day) => arrived >= *day.as_ref(),
        SearchKey::SentBefore(day) => sent(mail).is_some_and(|sent| sent < *day.as_ref()),
        SearchKey::SentOn(day) => sent(mail).is_some_and(|sent| sent == *day.as_ref()),
        SearchKey::SentSince(day) => sent(mail).is_some_and(|sent| sent >= *day.as_ref()),
        SearchKey::Bcc(needle) => field(b"Bcc", needle.as_ref()),
        SearchKey::Cc(needle) => field(b"Cc", needle.as_ref()),
        SearchKey::From(needle) => field(b"From", needle.as_ref()),
        SearchKey::Subject(needle) => field(b"Subject", needle.as_ref()),
        SearchKey::To(needle) => field(b"To", needle.as_ref()),
        SearchKey::Header(name, needle) => field(name.as_ref(), needle.as_ref()),
        SearchKey::Body(needle) => contains(mime::split(&message.raw).1, needle.as_ref()),
        SearchKey::Text(needle) => contains(&message.raw, needle.as_ref()),
    }
}

/// The day of the Date field, where its author was.
fn sent(mail: Option<&ParsedMail<'_>>) -> Option<NaiveDate> {
    let value = mail?.headers.get_first_value("Date")?;
    DateTime::parse_from_rfc2822(value.trim()).ok().map(|date| date.date_naive())
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    text.contains(&String::from_utf8_lossy(needle).to_lowercase())
}
