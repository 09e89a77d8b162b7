//! Commands about the messages in the selected mailbox, except FETCH (RFC 3501 section 6.4).

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::Vec1;
use imap_codec::imap_types::extensions::uidplus::{UidElement, UidSet};
use imap_codec::imap_types::flag::{Flag, StoreResponse, StoreType};
use imap_codec::imap_types::response::{Code, Data, StatusKind};
use imap_codec::imap_types::sequence::SequenceSet;

use super::mailboxes::name_of;
use super::responses::{Reply, Responses, bad, no, ok, refused_target};
use super::search;
use super::selected::{Place, Selected, report_flags};
use crate::store::{Flags, add_flag, has_flag};

/// Carries the command out. Numbers may shift when it speaks in identifiers.
pub(super) fn execute(selected: &mut Selected, command: CommandBody<'_>, out: &mut Responses) -> Reply {
    match command {
        CommandBody::Search { criteria, uid, .. } => {
            let mut found = Vec::new();
            for place in selected.places() {
                let message = selected.message(place.uid);
                if message.is_some_and(|message| search::matches(criteria.as_ref(), &message, place)) {
                    found.push(if uid { place.uid } else { place.number });
                }
            }
            out.data(Data::Search(found));
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
        CommandBody::Store { sequence_set, kind, response, flags: given, uid } => {
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
            out.status(None, reply);
            selected.catch_up(true, out);
        }
        _ => return bad("the command is not offered"),
    }
    ok("done")
}

/// Removes what is flagged as deleted: all of it, or what is in the set of identifiers.
pub(super) fn expunge(selected: &mut Selected, only: Option<&SequenceSet>, out: &mut Responses) {
    let places = selected.places().filter(|place| only.is_none_or(|set| place.is_in(set, true)));
    let meant: Vec<_> = places.map(|place| place.uid).collect();
    selected.remove(|uid, message| meant.contains(&uid) && has_flag(&message.flags, &Flag::Deleted));
    selected.catch_up(true, out);
}

fn store(flags: &mut Flags, kind: StoreType, given: &[Flag<'_>]) {
    match kind {
        StoreType::Replace => *flags = given.iter().fold(Flags::new(), add_flag),
        StoreType::Add => *flags = given.iter().fold(std::mem::take(flags), add_flag),
        StoreType::Remove => {
            flags.retain(|name| !given.iter().any(|flag| name.eq_ignore_ascii_case(&flag.to_string())));
        }
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
        Err(refusal) => refused_target(&refusal),
    }
}
