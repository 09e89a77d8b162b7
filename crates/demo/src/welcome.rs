//! What a new account finds on a server.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::account::Account;
use crate::store::{Flags, INBOX, Mail, Maildrop, Message, Store, Timestamp};

impl Store {
    /// A server of that name with a few mailboxes and messages for every account.
    pub(crate) fn new(server: &str, now: Timestamp) -> Self {
        // The UIDVALIDITY values of two servers must differ, or a client's cache shows the old server's mail
        // after a move.
        let salt = server.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let seconds = u32::try_from(now.timestamp() & 0x3fff_ffff).unwrap_or(0);
        let next_validity = NonZeroU32::MIN.saturating_add(seconds.wrapping_add((salt << 8) & 0x3fff_ffff));
        let mut accounts = Vec::new();
        for account in Account::examples() {
            let mut mail = Mail { mailboxes: BTreeMap::new(), next_validity };
            welcome(&mut mail, server, &account.login, now);
            let (login, changes) = (account.login.clone(), watch::Sender::new(()));
            accounts.push((account, Arc::new(Maildrop { login, changes, mail: Mutex::new(mail) })));
        }
        Self { server: server.to_owned(), accounts }
    }
}

/// Fills an empty account: a few mailboxes, and messages that say on which server they are.
fn welcome(mail: &mut Mail, server: &str, login: &str, now: Timestamp) {
    for name in [INBOX, "Drafts", "Sent", "Trash"] {
        // The account is empty: all of this is within its bounds.
        if let Ok(mailbox) = mail.create(name) {
            mailbox.special_use = (name != INBOX).then_some(name);
            mailbox.is_subscribed = true;
        }
    }
    for text in [include_str!("../templates/welcome.eml"), include_str!("../templates/two-forms.eml")] {
        let text = text.replace("{server}", server).replace("{login}", login);
        let text = text.replace("{date}", &now.to_rfc2822()).replace('\n', "\r\n");
        let message = Message { flags: Flags::new(), date: now, raw: text.into_bytes().into() };
        let appended = mail.append(INBOX, vec![message]);
        debug_assert!(appended.is_ok());
    }
}
