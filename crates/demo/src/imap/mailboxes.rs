//! Commands about mailboxes: LIST, STATUS, CREATE and the like, APPEND (RFC 3501 section 6.3).

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{Atom, IString, Quoted, QuotedChar};
use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8;
use imap_codec::imap_types::extensions::namespace::Namespace;
use imap_codec::imap_types::flag::{Flag, FlagNameAttribute};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox as Name};
use imap_codec::imap_types::response::{Code, Data};
use imap_codec::imap_types::status::{StatusDataItem, StatusDataItemName};
use regex::Regex;

use super::responses::{Reply, Responses, bad, no, ok, refused, refused_target};
use crate::store::{self, Flags, INBOX, Mail, Mailbox, Maildrop, Message, SEPARATOR, add_flag, has_flag};

/// Longest pattern of LIST.
const MAX_PATTERN: usize = 256;

/// Carries the command out, if it is one about mailboxes.
pub(super) fn execute(maildrop: &Maildrop, command: &CommandBody<'_>, out: &mut Responses) -> Option<Reply> {
    let done = match command {
        CommandBody::Enable { .. } => {
            out.data(Data::Enabled { capabilities: Vec::new() });
            Ok(())
        }
        CommandBody::Namespace => {
            let prefix = IString::Quoted(Quoted::unvalidated(""));
            let personal = vec![Namespace::new(prefix, Some(QuotedChar::unvalidated(SEPARATOR)))];
            out.data(Data::Namespace { personal, other: Vec::new(), shared: Vec::new() });
            Ok(())
        }
        CommandBody::List { reference, mailbox_wildcard }
        | CommandBody::Lsub { reference, mailbox_wildcard } => {
            let subscribed = matches!(command, CommandBody::Lsub { .. });
            return Some(maildrop.read(|mail| list(mail, subscribed, reference, mailbox_wildcard, out)));
        }
        CommandBody::Status { mailbox, item_names } => maildrop.read(|mail| {
            let found = mail.get(&name_of(mailbox))?;
            let items: Vec<_> = item_names.iter().filter_map(|item| status_item(found, item)).collect();
            out.data(Data::Status { mailbox: mailbox.clone(), items: items.into() });
            Ok(())
        }),
        CommandBody::Create { mailbox } => maildrop.write(|mail| mail.create(&name_of(mailbox)).map(|_| ())),
        CommandBody::Delete { mailbox } => maildrop.write(|mail| mail.delete(&name_of(mailbox))),
        CommandBody::Rename { from, to } => maildrop.write(|mail| mail.rename(&name_of(from), &name_of(to))),
        CommandBody::Subscribe { mailbox } | CommandBody::Unsubscribe { mailbox } => maildrop.write(|mail| {
            mail.get_mut(&name_of(mailbox))?.is_subscribed = matches!(command, CommandBody::Subscribe { .. });
            Ok(())
        }),
        CommandBody::Append { mailbox, flags, date, message } => {
            let LiteralOrLiteral8::Literal(literal) = message else {
                return Some(no("UNKNOWN-CTE", "BINARY is not offered"));
            };
            let date = date.as_ref().map_or_else(store::now, |date| *date.as_ref());
            let flags = flags.iter().fold(Flags::new(), add_flag);
            let message = Message { flags, date, raw: literal.data().into() };
            return Some(append(maildrop, &name_of(mailbox), message));
        }
        _ => return None,
    };
    Some(match done {
        Ok(()) => ok("done"),
        Err(refusal) => refused(&refusal),
    })
}

pub(super) fn name_of(mailbox: &Name<'_>) -> String {
    match mailbox {
        Name::Inbox => INBOX.to_owned(),
        Name::Other(other) => String::from_utf8_lossy(other.as_ref()).into_owned(),
    }
}

fn append(maildrop: &Maildrop, name: &str, message: Message) -> Reply {
    if message.raw.is_empty() {
        return bad("the message is empty");
    }
    match maildrop.write(|mail| mail.append(name, vec![message])) {
        Ok((uid_validity, uids)) => ok("added").with(Code::AppendUid { uid_validity, uid: uids[0] }),
        Err(refusal) => refused_target(&refusal),
    }
}

/// LIST and LSUB.
fn list(
    mail: &Mail,
    subscribed: bool,
    reference: &Name<'_>,
    pattern: &ListMailbox<'_>,
    out: &mut Responses,
) -> Reply {
    let pattern = match pattern {
        ListMailbox::Token(token) => token.as_ref(),
        ListMailbox::String(string) => string.as_ref(),
    };
    let pattern = name_of(reference) + &String::from_utf8_lossy(pattern);
    let Some(regex) = compile(&pattern) else {
        return bad("the pattern is too long");
    };
    let mut respond = |items: Vec<FlagNameAttribute<'static>>, name: &str| {
        let Ok(mailbox) = Name::try_from(name) else { return };
        let delimiter = Some(QuotedChar::unvalidated(SEPARATOR));
        out.data(match subscribed {
            true => Data::Lsub { items, delimiter, mailbox },
            false => Data::List { items, delimiter, mailbox },
        });
    };
    if pattern.is_empty() {
        // The client asks for the separator (RFC 3501 section 6.3.8).
        respond(vec![FlagNameAttribute::Noselect], "");
    }
    for (name, mailbox) in mail.mailboxes.iter().filter(|(name, _)| regex.is_match(name)) {
        if mailbox.is_subscribed || !subscribed {
            let children = if mail.has_children(name) { "HasChildren" } else { "HasNoChildren" };
            let words = [Some(children), mailbox.special_use].into_iter().flatten();
            respond(words.map(|word| Atom::unvalidated(word).into()).collect(), name);
        }
    }
    ok("done")
}

/// `*` stands for anything, `%` for anything within a level. The time to match is linear in the name.
fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > MAX_PATTERN {
        return None;
    }
    let pattern = regex::escape(&Mail::canonical(pattern)).replace("\\*", ".*").replace('%', "[^/]*");
    Regex::new(&format!("^{pattern}$")).ok()
}

fn status_item(mailbox: &Mailbox, name: &StatusDataItemName) -> Option<StatusDataItem> {
    let is_unseen = |message: &&Message| !has_flag(&message.flags, &Flag::Seen);
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Some(match name {
        StatusDataItemName::Messages => StatusDataItem::Messages(count(mailbox.messages.len())),
        StatusDataItemName::Recent => StatusDataItem::Recent(0),
        StatusDataItemName::UidNext => StatusDataItem::UidNext(mailbox.next_uid),
        StatusDataItemName::UidValidity => StatusDataItem::UidValidity(mailbox.validity),
        StatusDataItemName::Unseen => {
            StatusDataItem::Unseen(count(mailbox.messages.values().filter(is_unseen).count()))
        }
        StatusDataItemName::Deleted | StatusDataItemName::DeletedStorage => return None,
    })
}
