//! Commands about mailboxes: LIST, STATUS, CREATE and their kin, APPEND (RFC 3501 section 6.3).

use super::answer::Answer;
use super::command::{OnMailboxes, StatusItem};
use super::text::{push, push_line, push_string};
use crate::date::Stamp;
use crate::store::{Flags, Folders, MAX_MESSAGE, Mailbox, Maildrop, Message, SEPARATOR};

/// Longest pattern of LIST.
const MAX_PATTERN: usize = 256;

/// Carries the command out; untagged responses go to `out`.
pub(super) fn execute(maildrop: &Maildrop, now: Stamp, command: OnMailboxes, out: &mut Vec<u8>) -> Answer {
    let changed = match command {
        OnMailboxes::Enable => {
            push_line(out, format_args!("* ENABLED"));
            Ok(())
        }
        OnMailboxes::Namespace => {
            push_line(out, format_args!("* NAMESPACE ((\"\" \"{SEPARATOR}\")) NIL NIL"));
            Ok(())
        }
        OnMailboxes::List { subscribed, reference, pattern } => {
            return maildrop.read(|folders| list(folders, subscribed, &(reference + &pattern), out));
        }
        OnMailboxes::Status { mailbox, items } => {
            maildrop.read(|folders| folders.get(&mailbox).map(|found| status(&mailbox, found, &items, out)))
        }
        OnMailboxes::Create(mailbox) => maildrop.write(|folders| folders.create(&mailbox)),
        OnMailboxes::Delete(mailbox) => maildrop.write(|folders| folders.delete(&mailbox)),
        OnMailboxes::Rename { from, to } => maildrop.write(|folders| folders.rename(&from, &to)),
        OnMailboxes::Subscribe { mailbox, wanted } => {
            maildrop.write(|folders| folders.subscribe(&mailbox, wanted))
        }
        OnMailboxes::Append { mailbox, flags, date, raw } => {
            return append(maildrop, &mailbox, Message::new(raw, flags, date.unwrap_or(now)));
        }
    };
    changed.map_or_else(Answer::refused, |()| Answer::ok("done"))
}

fn append(maildrop: &Maildrop, mailbox: &str, message: Message) -> Answer {
    if message.size() > MAX_MESSAGE {
        return Answer::no("[TOOBIG] the demo takes messages of up to 1 MiB");
    }
    if message.size() == 0 {
        return Answer::no("an empty message is none");
    }
    match maildrop.write(|folders| folders.append(mailbox, vec![message])) {
        Ok((validity, uids)) => {
            Answer::ok(format!("[APPENDUID {validity} {}] added", uids.first().copied().unwrap_or(0)))
        }
        Err(refusal) => Answer::refused_target(refusal),
    }
}

/// LIST and LSUB.
fn list(folders: &Folders, subscribed: bool, pattern: &str, out: &mut Vec<u8>) -> Answer {
    let verb = if subscribed { "LSUB" } else { "LIST" };
    if pattern.is_empty() {
        // What is between the levels of a name is asked for (RFC 3501 section 6.3.8).
        push_line(out, format_args!("* {verb} (\\Noselect) \"{SEPARATOR}\" \"\""));
        return Answer::ok("done");
    }
    if pattern.len() > MAX_PATTERN {
        return Answer::no("that pattern is too long");
    }
    let pattern = Folders::canonical_pattern(pattern);
    let names: Vec<&str> = if subscribed {
        folders.subscribed().collect()
    } else {
        folders.iter().map(|(name, _)| name).collect()
    };
    for name in names.into_iter().filter(|name| matches(pattern.as_bytes(), name.as_bytes())) {
        push(out, format_args!("* {verb} ("));
        let mailbox = folders.get(name).ok();
        let children = if folders.has_children(name) { "\\HasChildren" } else { "\\HasNoChildren" };
        let special_use = mailbox.and_then(Mailbox::special_use);
        let attributes: Vec<&str> = match (subscribed, mailbox) {
            (true, Some(_)) => Vec::new(),
            (true, None) => vec!["\\Noselect"],
            (false, _) => [children].into_iter().chain(special_use).collect(),
        };
        push(out, format_args!("{}) \"{SEPARATOR}\" ", attributes.join(" ")));
        push_string(out, name.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    Answer::ok("done")
}

/// `*` stands for anything, `%` for anything within a level. One pass over the name for each wildcard at
/// most: no pattern makes it slow.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    // reached[n]: the pattern so far matches the first n bytes of the name.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for &token in pattern {
        if matches!(token, b'*' | b'%') {
            for n in 1..reached.len() {
                let is_passable = token == b'*' || char::from(name[n - 1]) != SEPARATOR;
                reached[n] = reached[n] || (reached[n - 1] && is_passable);
            }
        } else {
            for n in (1..reached.len()).rev() {
                reached[n] = reached[n - 1] && name[n - 1] == token;
            }
            reached[0] = false;
        }
    }
    reached[name.len()]
}

fn status(name: &str, mailbox: &Mailbox, items: &[StatusItem], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* STATUS ");
    push_string(out, name.as_bytes());
    let unseen = || mailbox.messages().iter().filter(|message| !message.flags.contains(Flags::SEEN)).count();
    let values: Vec<String> = items
        .iter()
        .map(|item| {
            let value = match item {
                StatusItem::Messages => mailbox.messages().len().to_string(),
                StatusItem::Recent => "0".to_owned(),
                StatusItem::UidNext => mailbox.next().to_string(),
                StatusItem::UidValidity => mailbox.validity().to_string(),
                StatusItem::Unseen => unseen().to_string(),
            };
            format!("{} {value}", item.name())
        })
        .collect();
    push_line(out, format_args!(" ({})", values.join(" ")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "INBOX", true),
            ("*", "a/b/c", true),
            ("%", "a", true),
            ("%", "a/b", false),
            ("a/%", "a/b", true),
            ("a/%", "a/b/c", false),
            ("a/*", "a", false),
            ("a*", "a", true),
            ("%/%", "a/b", true),
            ("%b%", "abc", true),
            ("a", "ab", false),
            ("ab", "a", false),
            ("%*%", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(!matches("*a".repeat(128).as_bytes(), &[b'b'; 128]));
    }
}
