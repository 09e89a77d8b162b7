//! Commands about mailboxes: LIST, STATUS, CREATE and the like, APPEND (RFC 3501 section 6.3).

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{Atom, IString, Quoted, QuotedChar};
use imap_codec::imap_types::extensions::binary::LiteralOrLiteral8;
use imap_codec::imap_types::extensions::namespace::Namespace;
use imap_codec::imap_types::flag::FlagNameAttribute;
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox as Name};
use imap_codec::imap_types::response::{Code, Data};
use imap_codec::imap_types::status::{StatusDataItem, StatusDataItemName};
use regex::Regex;

use super::responses::{Reply, Responses, bad, data, ok};
use crate::mime::count;
use crate::store::{
    self, Flags, INBOX, Mail, Mailbox, Maildrop, Message, Refusal, SEPARATOR, SPECIAL_USE, add_flag,
};

/// Carries the command out, if it is one about mailboxes.
pub(super) fn execute(
    maildrop: &Maildrop,
    command: &CommandBody<'_>,
    out: &mut Responses,
) -> Result<Option<Reply>, Refusal> {
    match command {
        CommandBody::Enable { .. } => data(out, Data::Enabled { capabilities: Vec::new() }),
        CommandBody::Namespace => {
            let prefix = IString::Quoted(Quoted::unvalidated(""));
            let personal = vec![Namespace::new(prefix, Some(QuotedChar::unvalidated(SEPARATOR)))];
            data(out, Data::Namespace { personal, other: Vec::new(), shared: Vec::new() });
        }
        CommandBody::List { reference, mailbox_wildcard }
        | CommandBody::Lsub { reference, mailbox_wildcard } => {
            let subscribed = matches!(command, CommandBody::Lsub { .. });
            let pattern = match mailbox_wildcard {
                ListMailbox::Token(token) => token.as_ref(),
                ListMailbox::String(string) => string.as_ref(),
            };
            let pattern = name_of(reference) + &String::from_utf8_lossy(pattern);
            return Ok(Some(maildrop.read(|mail| list(mail, subscribed, &pattern, out))));
        }
        CommandBody::Status { mailbox, item_names } => maildrop.read(|mail| {
            let found = mail.get(&name_of(mailbox))?;
            let items: Vec<_> = item_names.iter().filter_map(|item| status_item(found, item)).collect();
            data(out, Data::Status { mailbox: mailbox.clone(), items: items.into() });
            Ok(())
        })?,
        CommandBody::Create { mailbox } => maildrop.write(|mail| mail.create(&name_of(mailbox)).map(drop))?,
        CommandBody::Delete { mailbox } => maildrop.write(|mail| mail.delete(&name_of(mailbox)))?,
        CommandBody::Rename { from, to } => {
            maildrop.write(|mail| mail.rename(&name_of(from), &name_of(to)))?;
        }
        CommandBody::Subscribe { mailbox } | CommandBody::Unsubscribe { mailbox } => {
            maildrop.write(|mail| {
                mail.get_mut(&name_of(mailbox))?.is_subscribed =
                    matches!(command, CommandBody::Subscribe { .. });
                Ok(())
            })?;
        }
        CommandBody::Append { mailbox, flags, date, message: LiteralOrLiteral8::Literal(literal) } => {
            let date = date.as_ref().map_or_else(store::now, |date| *date.as_ref());
            let flags = flags.iter().fold(Flags::new(), add_flag);
            let message = Message { flags, date, raw: literal.data().into() };
            let (uid_validity, uids) =
                maildrop.write(|mail| mail.append(&name_of(mailbox), vec![message]))?;
            return Ok(Some(ok("added").with(Code::AppendUid { uid_validity, uid: uids[0] })));
        }
        _ => return Ok(None),
    }
    Ok(Some(ok("done")))
}

pub(super) fn name_of(mailbox: &Name<'_>) -> String {
    match mailbox {
        Name::Inbox => INBOX.to_owned(),
        Name::Other(other) => String::from_utf8_lossy(other.as_ref()).into_owned(),
    }
}

/// LIST and LSUB.
fn list(mail: &Mail, subscribed: bool, pattern: &str, out: &mut Responses) -> Reply {
    // `*` stands for anything, `%` for anything within a level. The time to match is linear in the name.
    let regex = regex::escape(&Mail::canonical(pattern)).replace("\\*", ".*").replace('%', "[^/]*");
    let Ok(regex) = Regex::new(&format!("^{regex}$")) else {
        return bad("the pattern is too long");
    };
    let mut respond = |items: Vec<FlagNameAttribute<'static>>, name: &str| {
        let Ok(mailbox) = Name::try_from(name) else { return };
        let delimiter = Some(QuotedChar::unvalidated(SEPARATOR));
        match subscribed {
            true => data(out, Data::Lsub { items, delimiter, mailbox }),
            false => data(out, Data::List { items, delimiter, mailbox }),
        }
    };
    if pattern.is_empty() {
        // The client asks for the separator (RFC 3501 section 6.3.8).
        respond(vec![FlagNameAttribute::Noselect], "");
    }
    for (name, mailbox) in mail.mailboxes.iter().filter(|(name, _)| regex.is_match(name)) {
        if mailbox.is_subscribed || !subscribed {
            let prefix = format!("{name}{SEPARATOR}");
            let has_children = mail.mailboxes.keys().any(|other| other.starts_with(&prefix));
            let children = if has_children { "HasChildren" } else { "HasNoChildren" };
            let special_use = SPECIAL_USE.into_iter().find(|special| name == special);
            let words = [Some(children), special_use].into_iter().flatten();
            respond(words.map(|word| Atom::unvalidated(word).into()).collect(), name);
        }
    }
    ok("done")
}

fn status_item(mailbox: &Mailbox, name: &StatusDataItemName) -> Option<StatusDataItem> {
    let unseen = mailbox.messages.values().filter(|message| !message.flags.contains("\\Seen"));
    Some(match name {
        StatusDataItemName::Messages => StatusDataItem::Messages(count(mailbox.messages.len())),
        StatusDataItemName::Recent => StatusDataItem::Recent(0),
        StatusDataItemName::UidNext => StatusDataItem::UidNext(mailbox.next_uid),
        StatusDataItemName::UidValidity => StatusDataItem::UidValidity(mailbox.validity),
        StatusDataItemName::Unseen => StatusDataItem::Unseen(count(unseen.count())),
        StatusDataItemName::Deleted
        | StatusDataItemName::DeletedStorage
        | StatusDataItemName::HighestModSeq => {
            return None;
        }
    })
}
