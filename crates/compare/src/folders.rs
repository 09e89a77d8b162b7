//! The folders and subscriptions of one mailbox.

use std::collections::{BTreeMap, BTreeSet};

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::QuotedChar;
use imap_codec::imap_types::extensions::namespace::Namespace as ServerNamespace;
use imap_codec::imap_types::flag::FlagNameAttribute;
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::response::Data;

use crate::error::Cause;
use crate::folder_name::{FolderName, Namespace, decode};
use crate::imap_session::{ImapSession, Untagged};

/// What LIST and LSUB return.
#[derive(Debug, Default)]
pub(crate) struct Folders {
    /// The account's own folders.
    pub(crate) own: BTreeMap<FolderName, Folder>,
    /// Subscriptions to own folders.
    pub(crate) subscribed: BTreeSet<FolderName>,
    /// Folders of others that the account sees, as they are printed.
    pub(crate) foreign: Vec<String>,
}

/// A folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its name on this server.
    pub(crate) mailbox: Mailbox<'static>,
    /// Whether it can hold messages.
    pub(crate) is_selectable: bool,
}

/// The server's namespaces. A server without the extension has one, and it is personal.
#[derive(Debug, Default)]
struct Namespaces {
    personal: Vec<Namespace>,
    foreign: Vec<Namespace>,
}

/// Folders of one account.
pub(crate) const MAX_FOLDERS: usize = 20_000;

// === impl Folders ===

impl Folders {
    /// Reads the folders.
    pub(crate) async fn read(session: &mut ImapSession) -> Result<Self, Cause> {
        let namespaces = Namespaces::read(session).await?;
        let mut folders = Self::default();
        let list = CommandBody::List { reference: root()?, mailbox_wildcard: all()? };
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::List { items, delimiter, mailbox }) = untagged {
                folders.add(&namespaces, &items, delimiter, &mailbox)?;
            }
            Ok(())
        };
        session.run("LIST", list, each).await?;
        let lsub = CommandBody::Lsub { reference: root()?, mailbox_wildcard: all()? };
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::Lsub { items, delimiter, mailbox }) = untagged {
                folders.add_subscription(&namespaces, &items, delimiter, &mailbox)?;
            }
            Ok(())
        };
        session.run("LSUB", lsub, each).await?;
        Ok(folders)
    }

    /// Returns the folders that can hold messages.
    pub(crate) fn selectable(&self) -> impl Iterator<Item = (&FolderName, &Folder)> {
        self.own.iter().filter(|(_, folder)| folder.is_selectable)
    }

    fn add(
        &mut self,
        namespaces: &Namespaces,
        attributes: &[FlagNameAttribute<'_>],
        delimiter: Option<QuotedChar>,
        mailbox: &Mailbox<'_>,
    ) -> Result<(), Cause> {
        if self.own.len() + self.foreign.len() >= MAX_FOLDERS {
            return Err(Cause::TooMany { what: "folders", limit: MAX_FOLDERS });
        }
        let raw = bytes_of(mailbox);
        let Some(name) = namespaces.own(&raw, delimiter) else {
            if is_selectable(attributes) {
                self.foreign.push(decode(&raw));
            }
            return Ok(());
        };
        let Ok(mailbox) = Mailbox::try_from(raw) else {
            return Err(Cause::Unreadable(name.to_string()));
        };
        self.own.insert(name, Folder { mailbox, is_selectable: is_selectable(attributes) });
        Ok(())
    }

    fn add_subscription(
        &mut self,
        namespaces: &Namespaces,
        attributes: &[FlagNameAttribute<'_>],
        delimiter: Option<QuotedChar>,
        mailbox: &Mailbox<'_>,
    ) -> Result<(), Cause> {
        if self.subscribed.len() >= MAX_FOLDERS {
            return Err(Cause::TooMany { what: "subscriptions", limit: MAX_FOLDERS });
        }
        // RFC 3501 section 6.3.9: \Noselect means that a folder below is subscribed, not this one.
        if !attributes.contains(&FlagNameAttribute::Noselect)
            && let Some(name) = namespaces.own(&bytes_of(mailbox), delimiter)
        {
            self.subscribed.insert(name);
        }
        Ok(())
    }
}

// === impl Namespaces ===

impl Namespaces {
    async fn read(session: &mut ImapSession) -> Result<Self, Cause> {
        let mut namespaces = Self::default();
        if !session.extensions.namespace {
            return Ok(namespaces);
        }
        let each = |untagged: Untagged<'_>| {
            if let Untagged::Data(Data::Namespace { personal, other, shared }) = untagged {
                namespaces.personal = personal.iter().map(namespace).collect();
                namespaces.foreign = other.iter().chain(&shared).map(namespace).collect();
            }
            Ok(())
        };
        session.run("NAMESPACE", CommandBody::Namespace, each).await?;
        Ok(namespaces)
    }

    /// Returns the name of a folder of the account; `None` when it belongs to others. The longest prefix decides, since a
    /// personal namespace often has an empty one.
    fn own(&self, raw: &[u8], delimiter: Option<QuotedChar>) -> Option<FolderName> {
        let fallback = Namespace { prefix: Vec::new(), delimiter: delimiter.and_then(byte_of) };
        let personal = longest(&self.personal, raw);
        match (longest(&self.foreign, raw), personal) {
            (Some(foreign), Some(personal)) if personal.prefix.len() > foreign.prefix.len() => {
                Some(FolderName::new(raw, &personal))
            }
            (Some(_), _) => None,
            (None, Some(personal)) => Some(FolderName::new(raw, &personal)),
            (None, None) => Some(FolderName::new(raw, &fallback)),
        }
    }
}

/// Returns the namespace that contains `raw` and has the longest prefix.
fn longest(namespaces: &[Namespace], raw: &[u8]) -> Option<Namespace> {
    let matching = namespaces.iter().filter(|namespace| namespace.contains(raw));
    matching.max_by_key(|namespace| namespace.prefix.len()).cloned()
}

fn namespace(found: &ServerNamespace<'_>) -> Namespace {
    Namespace { prefix: found.prefix.as_ref().to_vec(), delimiter: found.delimiter.and_then(byte_of) }
}

fn byte_of(delimiter: QuotedChar) -> Option<u8> {
    u8::try_from(delimiter.inner()).ok()
}

fn bytes_of(mailbox: &Mailbox<'_>) -> Vec<u8> {
    match mailbox {
        Mailbox::Inbox => b"INBOX".to_vec(),
        Mailbox::Other(other) => other.as_ref().to_vec(),
    }
}

fn is_selectable(attributes: &[FlagNameAttribute<'_>]) -> bool {
    !attributes.iter().any(|attribute| match attribute {
        FlagNameAttribute::Noselect => true,
        // RFC 5258 section 3.1.
        FlagNameAttribute::Extension(_) => attribute.to_string().eq_ignore_ascii_case("\\NonExistent"),
        _ => false,
    })
}

fn root() -> Result<Mailbox<'static>, Cause> {
    Mailbox::try_from("").map_err(|error| Cause::Unreadable(error.to_string()))
}

fn all() -> Result<ListMailbox<'static>, Cause> {
    ListMailbox::try_from("*").map_err(|error| Cause::Unreadable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_says_whose_a_folder_is() {
        let named = |prefix: &str| Namespace { prefix: prefix.into(), delimiter: Some(b'/') };
        let namespaces = Namespaces { personal: vec![named("")], foreign: vec![named("shared/")] };
        assert!(namespaces.own(b"Sent", None).is_some());
        assert!(namespaces.own(b"shared/bob", None).is_none());
        assert!(namespaces.own(b"sharedness", None).is_some());
        let namespaces = Namespaces { personal: vec![named("me/")], foreign: vec![named("")] };
        assert!(namespaces.own(b"me/Sent", None).is_some());
        assert!(namespaces.own(b"bob", None).is_none());
    }
}
