//! Commands about the messages in the selected mailbox, except FETCH (RFC 3501 section 6.4).

use chrono::DateTime;
use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::Vec1;
use imap_codec::imap_types::extensions::uidplus::{UidElement, UidSet};
use imap_codec::imap_types::flag::{Flag, StoreResponse, StoreType};
use imap_codec::imap_types::response::{Code, Data, StatusKind};
use imap_codec::imap_types::search::SearchKey;
use imap_codec::imap_types::sequence::SequenceSet;
use mailparse::{MailHeaderMap, ParsedMail};

use super::mailboxes::name_of;
use super::responses::{Reply, Responses, bad, data, no, ok, status};
use super::selected::{Place, Selected, report_flags};
use crate::mime;
use crate::store::{Flags, Message, add_flag};

/// Carries the command out. Numbers may shift when it speaks in identifiers.
pub(super) fn execute(selected: &mut Selected, command: CommandBody<'_>, out: &mut Responses) -> Reply {
    match command {
        CommandBody::Search { criteria, uid, .. } => {
            let mut found = Vec::new();
            for place in selected.places() {
                let message = selected.message(place.uid);
                if message.is_some_and(|message| matches(criteria.as_ref(), &message, place)) {
                    found.push(if uid { place.uid } else { place.number });
                }
            }
            data(out, Data::Search(found, None));
            selected.catch_up(uid, out);
        }
        CommandBody::Copy { sequence_set, mailbox, uid } => {
            let reply = copy(selected, &selected.find(&sequence_set, uid), &name_of(&mailbox), false);
            selected.catch_up(uid, out);
            return reply;
        }
        _ if selected.read_only => return no("READ-ONLY", "the mailbox was opened with EXAMINE"),
        CommandBody::Expunge => expunge(selected, None, out),
        CommandBody::ExpungeUid { sequence_set } => expunge(selected, Some(&sequence_set), out),
        CommandBody::Store { sequence_set, kind, response, flags: given, uid, .. } => {
            for Place { number, uid, .. } in selected.find(&sequence_set, uid) {
                let flags = selected.change_flags(uid, |flags| store(flags, kind, &given));
                if let (Some(flags), StoreResponse::Answer) = (flags, response) {
                    report_flags(number, uid, &flags, out);
                }
            }
            selected.catch_up(uid, out);
        }
        CommandBody::Move { sequence_set, mailbox, uid } => {
            let reply = copy(selected, &selected.find(&sequence_set, uid), &name_of(&mailbox), true);
            if reply.0.kind != StatusKind::Ok {
                return reply;
            }
            // COPYUID is sent before the messages are gone (RFC 6851 section 4.3).
            status(out, None, reply);
            selected.catch_up(true, out);
        }
        _ => return bad("the command is not offered"),
    }
    ok("done")
}

/// Removes the messages that are flagged as deleted: all of them, or those in the set of identifiers.
pub(super) fn expunge(selected: &mut Selected, only: Option<&SequenceSet>, out: &mut Responses) {
    let places = selected.places().filter(|place| only.is_none_or(|set| place.is_in(set, true)));
    let meant: Vec<_> = places.map(|place| place.uid).collect();
    selected.remove(|uid, message| meant.contains(&uid) && message.flags.contains("\\Deleted"));
    selected.catch_up(true, out);
}

fn store(flags: Flags, kind: StoreType, given: &[Flag<'_>]) -> Flags {
    let without = |flags: Flags, flag: &Flag<'_>| &flags - &[flag.to_string()].into();
    match kind {
        StoreType::Replace => given.iter().fold(Flags::new(), add_flag),
        StoreType::Add => given.iter().fold(flags, add_flag),
        StoreType::Remove => given.iter().fold(flags, without),
    }
}

/// COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851), with RFC 4315's COPYUID.
fn copy(selected: &Selected, places: &[Place], target: &str, removes: bool) -> Reply {
    let mut messages = Vec::new();
    let mut sources = Vec::new();
    for Place { uid, .. } in places {
        if let Some(message) = selected.message(*uid) {
            messages.push(message);
            sources.push(*uid);
        }
    }
    match selected.maildrop.write(|mail| mail.append(target, messages)) {
        Ok(_) if sources.is_empty() => ok("done"),
        Ok((uid_validity, copies)) => {
            if removes {
                selected.remove(|uid, _| sources.contains(&uid));
            }
            let set =
                |uids: Vec<_>| UidSet(Vec1::unvalidated(uids.into_iter().map(UidElement::Single).collect()));
            ok("done").with(Code::CopyUid { uid_validity, source: set(sources), destination: set(copies) })
        }
        Err(refusal) => refusal.into(),
    }
}

/// SEARCH (RFC 3501 section 6.4.4): whether a message matches all keys. Texts are compared
/// without regard to case.
fn matches(keys: &[SearchKey<'_>], message: &Message, place: Place) -> bool {
    let mail = mime::parse(&message.raw);
    keys.iter().all(|key| matches_one(key, message, place, mail.as_ref()))
}

fn matches_one(key: &SearchKey<'_>, message: &Message, place: Place, mail: Option<&ParsedMail<'_>>) -> bool {
    let test = |key: &SearchKey<'_>| matches_one(key, message, place, mail);
    let has = |flag: Flag<'_>| message.flags.contains(&flag.to_string());
    let field = |name: &[u8], needle: &[u8]| {
        let name = String::from_utf8_lossy(name);
        let values = mail.map(|mail| mail.headers.get_all_values(&name)).unwrap_or_default();
        values.iter().any(|value| contains(value.as_bytes(), needle))
    };
    let arrived = message.date.date_naive();
    // The day where the author was.
    let date = mail.and_then(|mail| mail.headers.get_first_value("Date")).unwrap_or_default();
    let sent = DateTime::parse_from_rfc2822(date.trim()).map(|date| date.date_naive());
    match key {
        SearchKey::All | SearchKey::Old => true,
        // CONDSTORE is not announced, so no message has such a value.
        SearchKey::ModSequence { .. } => false,
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
        SearchKey::SentBefore(day) => sent.is_ok_and(|sent| sent < *day.as_ref()),
        SearchKey::SentOn(day) => sent.is_ok_and(|sent| sent == *day.as_ref()),
        SearchKey::SentSince(day) => sent.is_ok_and(|sent| sent >= *day.as_ref()),
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

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_lowercase();
    text.contains(&String::from_utf8_lossy(needle).to_lowercase())
}
