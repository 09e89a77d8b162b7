//! Whether a mailbox has changed between two moments.
//!
//! A delivery, a Sieve runner or a webmail on the server writes without the proxy. It changes at least one of the values
//! that STATUS returns.

use std::collections::BTreeMap;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::response::Data;
use imap_codec::imap_types::status::{StatusDataItem, StatusDataItemName};
use tokio::time::Instant;
use types::protocol::Protocol;

use crate::comparison::open;
use crate::error::{Cause, CompareError};
use crate::folder_name::FolderName;
use crate::folders::Folders;
use crate::imap_session::{ImapSession, Untagged};
use crate::side::Side;

/// The state of every folder of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    folders: BTreeMap<FolderName, State>,
}

/// The state of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct State {
    messages: u32,
    unseen: u32,
    uid_next: u32,
    uid_validity: u32,
    /// 0 on a server without CONDSTORE (RFC 7162), where a changed flag is not noticed, except \Seen.
    highest_modseq: u64,
    is_subscribed: bool,
}

// === impl Snapshot ===

impl Snapshot {
    /// Logs in and reads the state of every folder.
    ///
    /// # Errors
    /// When the mailbox cannot be read.
    pub async fn take(side: Side<'_>, account: &str, deadline: Instant) -> Result<Self, CompareError> {
        let (mut session, folders) = open(side, account, deadline).await?;
        let read = Self::read(&mut session, &folders).await;
        read.map_err(|cause| side.error(Protocol::Imap, cause))
    }

    async fn read(session: &mut ImapSession, folders: &Folders) -> Result<Self, Cause> {
        let mut names = vec![
            StatusDataItemName::Messages,
            StatusDataItemName::Unseen,
            StatusDataItemName::UidNext,
            StatusDataItemName::UidValidity,
        ];
        if session.extensions.condstore {
            names.push(StatusDataItemName::HighestModSeq);
        }
        let mut states = BTreeMap::new();
        for (name, folder) in folders.selectable() {
            let status =
                CommandBody::Status { mailbox: folder.mailbox.clone(), item_names: names.as_slice().into() };
            let mut state = State { is_subscribed: folders.subscribed.contains(name), ..State::default() };
            let each = |untagged: Untagged<'_>| {
                if let Untagged::Data(Data::Status { items, .. }) = untagged {
                    state.add(&items);
                }
                Ok(())
            };
            session.run("STATUS", status, each).await?;
            states.insert(name.clone(), state);
        }
        Ok(Self { folders: states })
    }

    /// Returns a folder that has changed, appeared or disappeared between `self` and `later`.
    #[must_use]
    pub fn first_change(&self, later: &Self) -> Option<String> {
        let before = self.folders.iter().find(|(name, state)| later.folders.get(name) != Some(state));
        let appeared = later.folders.keys().find(|name| !self.folders.contains_key(name));
        match (before, appeared) {
            (Some((name, _)), _) | (None, Some(name)) => Some(name.to_string()),
            (None, None) => None,
        }
    }
}

// === impl State ===

impl State {
    fn add(&mut self, items: &[StatusDataItem]) {
        for item in items {
            match item {
                StatusDataItem::Messages(value) => self.messages = *value,
                StatusDataItem::Unseen(value) => self.unseen = *value,
                StatusDataItem::UidNext(value) => self.uid_next = value.get(),
                StatusDataItem::UidValidity(value) => self.uid_validity = value.get(),
                StatusDataItem::HighestModSeq(value) => self.highest_modseq = *value,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder_name::Namespace;

    fn snapshot(folders: &[(&str, u32)]) -> Snapshot {
        let state = |uid_next| State { uid_next, ..State::default() };
        let name = |name: &str| FolderName::new(name.as_bytes(), &Namespace::default());
        Snapshot { folders: folders.iter().map(|&(folder, next)| (name(folder), state(next))).collect() }
    }

    #[test]
    fn a_change_names_its_folder() {
        let before = snapshot(&[("INBOX", 5), ("Sent", 2)]);
        for (later, changed) in [
            (snapshot(&[("INBOX", 5), ("Sent", 2)]), None),
            (snapshot(&[("INBOX", 5), ("Sent", 3)]), Some("Sent")),
            (snapshot(&[("INBOX", 5)]), Some("Sent")),
            (snapshot(&[("INBOX", 5), ("Sent", 2), ("New", 1)]), Some("New")),
        ] {
            assert_eq!(before.first_change(&later).as_deref(), changed);
        }
    }
}
