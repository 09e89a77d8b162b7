//! Accounts and their mail, in memory.
//!
//! Everything a client can make grow has a bound here (messages, bytes, mailboxes, flags), since the demo may
//! be left running. No lock is held across an await: both ways in ([`Maildrop::read`], [`Maildrop::write`])
//! take a function and return when it is done.

mod flags;
mod folders;
mod mailbox;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use types::secret::Secret;

pub(crate) use self::flags::Flags;
pub(crate) use self::folders::{Folders, INBOX, Refusal, SEPARATOR};
pub(crate) use self::mailbox::{MAX_MESSAGE, Mailbox, Message};
use crate::account::Account;
use crate::date::Stamp;
use crate::welcome;

/// Everything that one server knows.
#[derive(Debug)]
pub(crate) struct Store {
    server: String,
    users: BTreeMap<String, User>,
    clock: fn() -> Stamp,
}

/// One account's mail, shared by its connections.
pub(crate) struct Maildrop {
    login: String,
    folders: Mutex<Folders>,
    /// Counts changes: connections that idle wait on it.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct User {
    password: Secret,
    maildrop: Arc<Maildrop>,
}

// === impl Store ===

impl Store {
    /// A server of that name with a mailbox and some messages for everybody.
    pub(crate) fn new(server: &str, accounts: &[Account], clock: fn() -> Stamp) -> Self {
        let now = clock();
        // Another server's numbers must not look like this one's, or a client's cache shows the old mail
        // after a move.
        let salt = server.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let base = u32::try_from(now & 0x3fff_ffff).unwrap_or(0).wrapping_add((salt << 8) & 0x3fff_ffff);
        let users = accounts
            .iter()
            .map(|account| {
                let folders = welcome::folders(server, &account.login, base.max(1), now);
                let maildrop = Maildrop::new(&account.login, folders);
                let password = Secret::copy_of(account.password.expose());
                (account.login.to_ascii_lowercase(), User { password, maildrop: Arc::new(maildrop) })
            })
            .collect();
        Self { server: server.to_owned(), users, clock }
    }

    /// The server's name: "old" or "new".
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The present.
    pub(crate) fn now(&self) -> Stamp {
        (self.clock)()
    }

    /// Opens an account. Names are compared without regard to case.
    pub(crate) fn log_in(&self, login: &[u8], password: &[u8]) -> Option<Arc<Maildrop>> {
        let login = std::str::from_utf8(login).ok()?.to_ascii_lowercase();
        let user = self.users.get(&login)?;
        // No constant-time comparison: these passwords are printed on the screen.
        (user.password.expose() == password).then(|| Arc::clone(&user.maildrop))
    }

    /// Opens an account with a SASL PLAIN message (RFC 4616):
    /// message = [authzid] NUL authcid NUL passwd
    pub(crate) fn log_in_plain(&self, message: &Secret) -> Option<Arc<Maildrop>> {
        let mut parts = message.expose().splitn(3, |&byte| byte == 0);
        let (authzid, authcid, password) = (parts.next()?, parts.next()?, parts.next()?);
        let acts_as_itself = authzid.is_empty() || authzid.eq_ignore_ascii_case(authcid);
        if !acts_as_itself || password.contains(&0) {
            return None;
        }
        self.log_in(authcid, password)
    }
}

// === impl Maildrop ===

impl Maildrop {
    fn new(login: &str, folders: Folders) -> Self {
        Self { login: login.to_owned(), folders: Mutex::new(folders), changes: watch::Sender::new(0) }
    }

    /// Whose it is.
    pub(crate) fn login(&self) -> &str {
        &self.login
    }

    /// Looks.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Folders) -> T) -> T {
        // A connection that panicked left whole values behind: every change below is one call.
        look(&self.folders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes something, and tells those who wait.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Folders) -> T) -> T {
        let result = change(&mut self.folders.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        result
    }

    /// Wakes up after every change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl fmt::Debug for Maildrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Maildrop({})", self.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        let store = Store::new("old", &Account::cast(), || 0);
        for (login, password, opens) in [
            (&b"alice@example.org"[..], &b"alice-demo"[..], true),
            (b"ALICE@Example.ORG", b"alice-demo", true),
            (b"alice@example.org", b"Alice-demo", false),
            (b"alice@example.org", b"", false),
            (b"dave@example.org", b"alice-demo", false),
            (b"\xff", b"alice-demo", false),
        ] {
            assert_eq!(store.log_in(login, password).is_some(), opens, "{}", login.escape_ascii());
        }
    }

    #[test]
    fn plain_logins() {
        let store = Store::new("old", &Account::cast(), || 0);
        for (message, opens) in [
            (&b"\0alice@example.org\0alice-demo"[..], true),
            (b"Alice@example.org\0alice@example.org\0alice-demo", true),
            (b"bob@example.org\0alice@example.org\0alice-demo", false),
            (b"\0alice@example.org\0alice-demo\0", false),
            (b"\0alice@example.org", false),
            (b"", false),
        ] {
            let found = store.log_in_plain(&Secret::copy_of(message));
            assert_eq!(found.is_some(), opens, "{}", message.escape_ascii());
        }
    }

    #[test]
    fn two_servers_do_not_share_uid_validities() {
        let validities = |name| {
            let store = Store::new(name, &Account::cast(), || 1_700_000_000);
            let maildrop = store.log_in(b"bob@example.org", b"bob-demo").unwrap();
            maildrop.read(|folders| folders.iter().map(|(_, mailbox)| mailbox.validity()).collect::<Vec<_>>())
        };
        let (old, new) = (validities("old"), validities("new"));
        assert!(old.iter().all(|validity| *validity > 0 && !new.contains(validity)), "{old:?} {new:?}");
    }
}
