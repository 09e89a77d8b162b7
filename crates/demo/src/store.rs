//! Accounts and their mail, in memory.
//!
//! Everything a client can make grow has a bound here, since the demo may be left running. No lock is held
//! across an await: [`Maildrop::read`] and [`Maildrop::write`] take a function and return when it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, FixedOffset, SubsecRound, Utc};
use imap_codec::imap_types::flag::Flag;
use tokio::sync::watch;
use types::secret::Secret;

/// Everything that one server knows.
#[derive(Debug)]
pub(crate) struct Store {
    /// The server's name: "old" or "new".
    pub(crate) server: String,
    maildrops: Vec<Arc<Maildrop>>,
}

/// One account and its mail, shared by its connections.
#[derive(Debug)]
pub(crate) struct Maildrop {
    /// In lower case: `alice@example.org`.
    pub(crate) login: String,
    /// The guide shows it on the screen: it protects nothing.
    password: Secret,
    /// Changes with every change of the mail: connections in IDLE wait for it.
    pub(crate) changes: watch::Sender<()>,
    mail: Mutex<Mail>,
}

/// The mailboxes of one account, by name. There is always an INBOX.
#[derive(Debug)]
pub(crate) struct Mail {
    pub(crate) mailboxes: BTreeMap<String, Mailbox>,
    next_validity: Uid,
}

#[derive(Debug)]
pub(crate) struct Mailbox {
    pub(crate) validity: Uid,
    pub(crate) next_uid: Uid,
    pub(crate) messages: BTreeMap<Uid, Message>,
    pub(crate) is_subscribed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) flags: Flags,
    pub(crate) date: Timestamp,
    pub(crate) raw: Arc<[u8]>,
}

/// Of a message, and of a mailbox (UIDVALIDITY).
pub(crate) type Uid = NonZeroU32;
/// As IMAP writes them, without `\Recent`: no client can set it, and these servers never do.
pub(crate) type Flags = BTreeSet<String>;
/// A moment in whole seconds.
pub(crate) type Timestamp = DateTime<FixedOffset>;

/// Why a request is refused: a response code (RFC 5530), and the text for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) &'static str, pub(crate) &'static str);

const NO_SUCH_MAILBOX: Refusal = Refusal("NONEXISTENT", "there is no mailbox of that name");
const TRY_CREATE: Refusal = Refusal("TRYCREATE", "there is no mailbox of that name");
const ALREADY_EXISTS: Refusal = Refusal("ALREADYEXISTS", "there is a mailbox of that name already");
const BAD_NAME: Refusal = Refusal("CANNOT", "a mailbox name is up to 128 ASCII characters without wildcards");
const IS_INBOX: Refusal = Refusal("CANNOT", "INBOX can be neither deleted nor renamed");
const OVER_QUOTA: Refusal =
    Refusal("OVERQUOTA", "the demo keeps 64 mailboxes, 1000 messages and 16 MiB an account");

/// The mailbox that every account has. Its name is the only one without regard to case.
pub(crate) const INBOX: &str = "INBOX";
/// Between the levels of a name.
pub(crate) const SEPARATOR: char = '/';
/// Bytes of a message: enough for a draft with a picture.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;
// Of one account; bytes of a mailbox's name; flags of one message, and bytes of a flag.
const MAX_MAILBOXES: usize = 64;
const MAX_MESSAGES: usize = 1000;
const MAX_BYTES: usize = 16 * MAX_MESSAGE;
const MAX_NAME: usize = 128;
const MAX_FLAGS: usize = 16;
const MAX_FLAG: usize = 32;

/// Mailboxes that are called as what they are for (RFC 6154).
pub(crate) const SPECIAL_USE: [&str; 3] = ["Drafts", "Sent", "Trash"];

/// The present, in UTC.
pub(crate) fn now() -> Timestamp {
    Utc::now().trunc_subsecs(0).fixed_offset()
}

/// The flags with another one, if that can be kept.
pub(crate) fn add_flag(mut flags: Flags, flag: &Flag<'_>) -> Flags {
    let name = flag.to_string();
    if !matches!(flag, Flag::Extension(_)) && name.len() <= MAX_FLAG && flags.len() < MAX_FLAGS {
        flags.insert(name);
    }
    flags
}

// === impl Store ===

impl Store {
    /// A server of that name with a few mailboxes and messages for every account.
    pub(crate) fn new(server: &str, now: Timestamp) -> Self {
        // The UIDVALIDITY values of two servers must differ, or a client's cache shows the old server's mail
        // after a move.
        let salt: u32 = server.bytes().map(u32::from).sum();
        let seconds = u32::try_from(now.timestamp() & 0x3fff_ffff).unwrap_or(0);
        let next_validity = Uid::MIN.saturating_add(seconds + (salt << 16));
        let mut maildrops = Vec::new();
        for name in ["alice", "bob", "carol"] {
            let login = format!("{name}@example.org");
            let password = Secret::new(format!("{name}-demo").into_bytes());
            let mut mail = Mail { mailboxes: BTreeMap::new(), next_validity };
            mail.fill(server, &login, now);
            let changes = watch::Sender::new(());
            maildrops.push(Arc::new(Maildrop { login, password, changes, mail: Mutex::new(mail) }));
        }
        Self { server: server.to_owned(), maildrops }
    }

    /// Checks a password. Names are compared without regard to case.
    pub(crate) fn log_in(&self, login: &[u8], password: &[u8]) -> Option<Arc<Maildrop>> {
        let maildrop =
            self.maildrops.iter().find(|found| found.login.as_bytes().eq_ignore_ascii_case(login))?;
        // No constant-time comparison: these passwords are printed on the screen.
        (maildrop.password.expose() == password).then(|| Arc::clone(maildrop))
    }
}

// === impl Maildrop ===

impl Maildrop {
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Mail) -> T) -> T {
        // A connection that panicked left whole values behind: every change below is one call.
        look(&self.mail.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes something, and wakes the connections in IDLE.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Mail) -> T) -> T {
        let result = change(&mut self.mail.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_replace(());
        result
    }
}

// === impl Mail ===

impl Mail {
    /// Fills an empty account: a few mailboxes, and messages that say on which server they are.
    fn fill(&mut self, server: &str, login: &str, now: Timestamp) {
        for name in [INBOX].into_iter().chain(SPECIAL_USE) {
            // The account is empty: all of this is within its bounds.
            if let Ok(mailbox) = self.create(name) {
                mailbox.is_subscribed = true;
            }
        }
        for text in [include_str!("../templates/welcome.eml"), include_str!("../templates/two-forms.eml")] {
            let text = text.replace("{server}", server).replace("{login}", login);
            let text = text.replace("{date}", &now.to_rfc2822()).replace('\n', "\r\n");
            let message = Message { flags: Flags::new(), date: now, raw: text.into_bytes().into() };
            let appended = self.append(INBOX, vec![message]);
            debug_assert!(appended.is_ok());
        }
    }

    /// A name as it is kept: INBOX in capitals. (A pattern, too.)
    pub(crate) fn canonical(name: &str) -> String {
        let first = name.split(SEPARATOR).next().unwrap_or_default();
        let first_kept = if first.eq_ignore_ascii_case(INBOX) { INBOX } else { first };
        format!("{first_kept}{}", &name[first.len()..])
    }

    pub(crate) fn get(&self, name: &str) -> Result<&Mailbox, Refusal> {
        self.mailboxes.get(&Self::canonical(name)).ok_or(NO_SUCH_MAILBOX)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Result<&mut Mailbox, Refusal> {
        self.mailboxes.get_mut(&Self::canonical(name)).ok_or(NO_SUCH_MAILBOX)
    }

    pub(crate) fn create(&mut self, name: &str) -> Result<&mut Mailbox, Refusal> {
        // A separator at the end says that there will be mailboxes below.
        let name = Self::canonical(name.strip_suffix(SEPARATOR).unwrap_or(name));
        self.check_new(&name)?;
        if self.mailboxes.len() >= MAX_MAILBOXES {
            return Err(OVER_QUOTA);
        }
        let validity = self.next_validity;
        self.next_validity = validity.saturating_add(1);
        Ok(self.mailboxes.entry(name).or_insert(Mailbox {
            validity,
            next_uid: Uid::MIN,
            messages: BTreeMap::new(),
            is_subscribed: false,
        }))
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let name = Self::canonical(name);
        if name == INBOX {
            return Err(IS_INBOX);
        }
        self.mailboxes.remove(&name).map(|_| ()).ok_or(NO_SUCH_MAILBOX)
    }

    /// Renames a mailbox and everything below it. INBOX cannot be renamed: a demo does without the special
    /// case of RFC 3501 section 6.3.5.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let from = Self::canonical(from);
        let to = Self::canonical(to);
        self.get(&from)?;
        if from == INBOX {
            return Err(IS_INBOX);
        }
        let below = format!("{from}{SEPARATOR}");
        let mut renamed: Vec<(String, String)> = Vec::new();
        for old in self.mailboxes.keys().filter(|name| **name == from || name.starts_with(&below)) {
            let new = format!("{to}{}", &old[from.len()..]);
            self.check_new(&new)?;
            renamed.push((old.clone(), new));
        }
        for (old, new) in renamed {
            let mailbox = self.mailboxes.remove(&old);
            self.mailboxes.extend(mailbox.map(|mailbox| (new, mailbox)));
        }
        Ok(())
    }

    /// Puts messages into a mailbox: all of them or none. Returns UIDVALIDITY and the new identifiers.
    pub(crate) fn append(&mut self, name: &str, messages: Vec<Message>) -> Result<(Uid, Vec<Uid>), Refusal> {
        let kept = self.mailboxes.values().flat_map(|mailbox| mailbox.messages.values());
        let sizes: Vec<usize> = kept.chain(&messages).map(|message| message.raw.len()).collect();
        let mailbox = self.get_mut(name).map_err(|_| TRY_CREATE)?;
        if sizes.len() > MAX_MESSAGES || sizes.iter().sum::<usize>() > MAX_BYTES {
            return Err(OVER_QUOTA);
        }
        let mut uids = Vec::new();
        for message in messages {
            uids.push(mailbox.next_uid);
            mailbox.messages.insert(mailbox.next_uid, message);
            mailbox.next_uid = mailbox.next_uid.checked_add(1).ok_or(OVER_QUOTA)?;
        }
        Ok((mailbox.validity, uids))
    }

    fn check_new(&self, name: &str) -> Result<(), Refusal> {
        let is_kept = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'*' && byte != b'%';
        let has_empty_level = name.split(SEPARATOR).any(str::is_empty);
        if name.len() > MAX_NAME || has_empty_level || !name.bytes().all(is_kept) {
            return Err(BAD_NAME);
        }
        if self.mailboxes.contains_key(name) { Err(ALREADY_EXISTS) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_bounded() {
        let maildrop = Store::new("old", now()).log_in(b"alice@example.org", b"alice-demo").unwrap();
        let message = |size| Message { flags: Flags::new(), date: now(), raw: vec![b'x'; size].into() };
        maildrop.write(|mail| {
            for n in mail.mailboxes.len()..MAX_MAILBOXES {
                mail.create(&n.to_string()).unwrap();
            }
            assert_eq!(mail.create("one more").err(), Some(OVER_QUOTA));
            assert_eq!(mail.append(INBOX, vec![message(0); MAX_MESSAGES - 1]), Err(OVER_QUOTA));
            mail.append(INBOX, vec![message(MAX_MESSAGE); 15]).unwrap();
            assert_eq!(mail.append(INBOX, vec![message(MAX_MESSAGE)]), Err(OVER_QUOTA));
            assert_eq!(mail.append(INBOX, vec![message(1); 2]).unwrap().1.len(), 2);
        });
        let long = (1..100).map(|length| "k".repeat(length));
        let flags =
            long.fold(Flags::new(), |flags, name| add_flag(flags, &name.as_str().try_into().unwrap()));
        assert_eq!(flags.len(), MAX_FLAGS);
    }
}
