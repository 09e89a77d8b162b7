//! Commands about the messages in the selected mailbox (RFC 3501 section 6.4).

use std::collections::VecDeque;

use super::answer::Answer;
use super::command::OnMessages;
use super::fetch::{self, Item};
use super::search::Key;
use super::selected::Selected;
use super::text::{push, push_line};
use crate::store::{Flags, Maildrop, Message};

/// A FETCH under way. Its responses can be many times what the mailbox holds, so they are made a chunk at a
/// time, as the client takes them.
#[derive(Debug)]
pub(super) struct Fetching {
    pub(super) tag: String,
    /// Numbers may shift when it is done.
    pub(super) by_uid: bool,
    items: Vec<Item>,
    left: VecDeque<u32>,
}

/// What became of a command.
#[derive(Debug)]
pub(super) enum Done {
    /// Answer it. `by_number`: it speaks in numbers, which must not shift yet.
    Answered { answer: Answer, by_number: bool },
    /// Answer it; no mailbox is selected any more.
    Unselected(Answer),
    /// Its responses come in chunks.
    Fetching(Fetching),
}

/// Size after which a chunk of responses is sent, in bytes.
const CHUNK: usize = 64 * 1024;

/// Carries the command out; untagged responses go to `out`.
pub(super) fn execute(
    tag: &str,
    maildrop: &Maildrop,
    selected: &mut Selected,
    command: OnMessages,
    out: &mut Vec<u8>,
) -> Done {
    if writes(&command) && selected.is_read_only() {
        return answered(Answer::no("[READ-ONLY] the mailbox was opened with EXAMINE"), true);
    }
    match command {
        OnMessages::Unselect => Done::Unselected(Answer::ok("closed")),
        OnMessages::Close => {
            if !selected.is_read_only() {
                maildrop.write(|folders| selected.expunge(folders, None));
            }
            Done::Unselected(Answer::ok("closed"))
        }
        OnMessages::Expunge { only } => {
            maildrop.write(|folders| selected.expunge(folders, only.as_ref()));
            answered(Answer::ok("removed"), false)
        }
        OnMessages::Search { by_uid, key } => {
            search(maildrop, selected, &key, by_uid, out);
            answered(Answer::ok("searched"), !by_uid)
        }
        OnMessages::Store { by_uid, set, change } => {
            let uids = selected.uids(&set, by_uid);
            maildrop.write(|folders| selected.store(folders, &uids, &change, out));
            answered(Answer::ok("stored"), !by_uid)
        }
        OnMessages::Fetch { by_uid, set, items } => {
            let left: VecDeque<u32> = selected.uids(&set, by_uid).into();
            Done::Fetching(Fetching { tag: tag.to_owned(), by_uid, items, left })
        }
        OnMessages::Copy { by_uid, set, mailbox, removes } => {
            let uids = selected.uids(&set, by_uid);
            let answer = copy(maildrop, selected, &uids, &mailbox, removes, out);
            answered(answer, !by_uid && !removes)
        }
    }
}

/// Whether the command changes the selected mailbox.
fn writes(command: &OnMessages) -> bool {
    match command {
        OnMessages::Expunge { .. } | OnMessages::Store { .. } => true,
        OnMessages::Copy { removes, .. } => *removes,
        _ => false,
    }
}

/// mailbox-data = "SEARCH" *(SP nz-number)
fn search(maildrop: &Maildrop, selected: &Selected, key: &Key, by_uid: bool, out: &mut Vec<u8>) {
    push(out, format_args!("* SEARCH"));
    for number in maildrop.read(|folders| selected.search(folders, key, by_uid)) {
        push(out, format_args!(" {number}"));
    }
    out.extend_from_slice(b"\r\n");
}

fn answered(answer: Answer, by_number: bool) -> Done {
    Done::Answered { answer, by_number }
}

/// COPY and MOVE (RFC 3501 section 6.4.7, RFC 6851), with RFC 4315's COPYUID.
fn copy(
    maildrop: &Maildrop,
    selected: &Selected,
    uids: &[u32],
    target: &str,
    removes: bool,
    out: &mut Vec<u8>,
) -> Answer {
    let copied = maildrop.write(|folders| {
        let source = selected.mailbox(folders);
        let messages: Vec<Message> =
            uids.iter().filter_map(|&uid| source.and_then(|mailbox| mailbox.get(uid)).cloned()).collect();
        let sources: Vec<u32> = messages.iter().map(|message| message.uid).collect();
        let (validity, copies) = folders.append(target, messages)?;
        if removes && let Ok(mailbox) = folders.get_mut(selected.name()) {
            mailbox.remove(|message| sources.binary_search(&message.uid).is_ok());
        }
        Ok((validity, sources, copies))
    });
    match copied {
        Err(refusal) => Answer::refused_target(refusal),
        Ok((_, sources, _)) if sources.is_empty() => Answer::ok("nothing to copy"),
        Ok((validity, sources, copies)) => {
            let code = format!("[COPYUID {validity} {} {}]", list(&sources), list(&copies));
            if !removes {
                return Answer::ok(format!("{code} copied"));
            }
            // Told before the messages are gone (RFC 6851 section 4.3).
            push_line(out, format_args!("* OK {code} moved"));
            Answer::ok("moved")
        }
    }
}

fn list(uids: &[u32]) -> String {
    uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

// === impl Fetching ===

impl Fetching {
    /// The next chunk of responses; whether it was the last.
    pub(super) fn go_on(&mut self, maildrop: &Maildrop, selected: &mut Selected, out: &mut Vec<u8>) -> bool {
        while out.len() < CHUNK {
            let Some(uid) = self.left.pop_front() else {
                return true;
            };
            let marks = fetch::marks_seen(&self.items) && !selected.is_read_only();
            let found =
                if marks { mark_and_get(maildrop, selected, uid) } else { get(maildrop, selected, uid) };
            if let (Some((message, is_newly_seen)), Some(number)) = (found, selected.number(uid)) {
                let mut items = self.items.clone();
                if is_newly_seen && !items.contains(&Item::Flags) {
                    items.push(Item::Flags);
                }
                fetch::respond(out, number, &message, &items);
                if items.contains(&Item::Flags) {
                    selected.told(uid, message.flags);
                }
            }
        }
        false
    }
}

fn get(maildrop: &Maildrop, selected: &Selected, uid: u32) -> Option<(Message, bool)> {
    maildrop.read(|folders| selected.mailbox(folders)?.get(uid).cloned().map(|message| (message, false)))
}

/// The message, marked as seen, and whether it was not before.
fn mark_and_get(maildrop: &Maildrop, selected: &Selected, uid: u32) -> Option<(Message, bool)> {
    let (message, _) = get(maildrop, selected, uid)?;
    if message.flags.contains(Flags::SEEN) {
        return Some((message, false));
    }
    maildrop.write(|folders| {
        selected.mailbox(folders)?;
        let mailbox = folders.get_mut(selected.name()).ok()?;
        mailbox.mark(uid, |flags| flags.insert(Flags::SEEN))?;
        mailbox.get(uid).cloned().map(|message| (message, true))
    })
}
