//! All mailboxes of one account, by name.

use std::collections::{BTreeMap, BTreeSet};

use super::mailbox::{MAX_MESSAGE, Mailbox, Message};

/// The mailboxes of one account. There is always an INBOX.
#[derive(Debug)]
pub(crate) struct Folders {
    by_name: BTreeMap<String, Mailbox>,
    subscribed: BTreeSet<String>,
    next_validity: u32,
}

/// Why something cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no mailbox of that name.
    NoSuchMailbox,
    /// There is one already.
    AlreadyExists,
    /// The name cannot be kept.
    BadName,
    /// INBOX is there for good.
    Inbox,
    /// A bound of the account is reached.
    OverQuota,
}

/// The mailbox that everybody has. Its name is the only one without regard to case.
pub(crate) const INBOX: &str = "INBOX";

/// Between the levels of a name.
pub(crate) const SEPARATOR: char = '/';

/// Mailboxes of one account, and subscriptions.
const MAX_MAILBOXES: usize = 64;
/// Messages of one account.
const MAX_MESSAGES: usize = 1000;
/// Bytes of one account's messages.
const MAX_BYTES: usize = 16 * MAX_MESSAGE;
/// Bytes of a mailbox's name.
const MAX_NAME: usize = 128;

// === impl Folders ===

impl Folders {
    /// An INBOX and nothing else. Mailboxes count their UIDVALIDITY up from `validity`.
    pub(crate) fn new(validity: u32) -> Self {
        let mut folders =
            Self { by_name: BTreeMap::new(), subscribed: BTreeSet::new(), next_validity: validity };
        folders.insert(INBOX);
        folders.subscribed.insert(INBOX.to_owned());
        folders
    }

    /// A name as it is kept: INBOX in capitals, no separator at the end.
    pub(crate) fn canonical(name: &str) -> String {
        Self::canonical_pattern(name.strip_suffix(SEPARATOR).unwrap_or(name))
    }

    /// A pattern of names: INBOX in capitals.
    pub(crate) fn canonical_pattern(name: &str) -> String {
        let (first, rest) = name.find(SEPARATOR).map_or((name, ""), |at| name.split_at(at));
        if first.eq_ignore_ascii_case(INBOX) { format!("{INBOX}{rest}") } else { name.to_owned() }
    }

    /// Every mailbox, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Mailbox)> {
        self.by_name.iter().map(|(name, mailbox)| (name.as_str(), mailbox))
    }

    /// Names that were subscribed to, whether or not there is such a mailbox.
    pub(crate) fn subscribed(&self) -> impl Iterator<Item = &str> {
        self.subscribed.iter().map(String::as_str)
    }

    /// The mailbox of that name.
    pub(crate) fn get(&self, name: &str) -> Result<&Mailbox, Refusal> {
        self.by_name.get(&Self::canonical(name)).ok_or(Refusal::NoSuchMailbox)
    }

    /// The mailbox of that name, to change marks or remove messages.
    pub(crate) fn get_mut(&mut self, name: &str) -> Result<&mut Mailbox, Refusal> {
        self.by_name.get_mut(&Self::canonical(name)).ok_or(Refusal::NoSuchMailbox)
    }

    /// Whether there is a mailbox below that one.
    pub(crate) fn has_children(&self, name: &str) -> bool {
        let prefix = format!("{name}{SEPARATOR}");
        self.by_name.range(prefix.clone()..).next().is_some_and(|(next, _)| next.starts_with(&prefix))
    }

    /// CREATE.
    pub(crate) fn create(&mut self, name: &str) -> Result<(), Refusal> {
        let name = Self::canonical(name);
        self.check_new(&name)?;
        if self.by_name.len() >= MAX_MAILBOXES {
            return Err(Refusal::OverQuota);
        }
        self.insert(&name);
        Ok(())
    }

    /// DELETE.
    pub(crate) fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let name = Self::canonical(name);
        if name == INBOX {
            return Err(Refusal::Inbox);
        }
        self.by_name.remove(&name).map(|_| ()).ok_or(Refusal::NoSuchMailbox)
    }

    /// RENAME, with everything below. INBOX stays where it is: its special case (RFC 3501 section 6.3.5) is
    /// nothing that a demo needs.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let (from, to) = (Self::canonical(from), Self::canonical(to));
        if from == INBOX {
            return Err(Refusal::Inbox);
        }
        self.get(&from)?;
        let below = format!("{from}{SEPARATOR}");
        let moved: Vec<(String, String)> = self
            .by_name
            .keys()
            .filter(|name| **name == from || name.starts_with(&below))
            .map(|name| (name.clone(), format!("{to}{}", &name[from.len()..])))
            .collect();
        for (_, new) in &moved {
            self.check_new(new)?;
        }
        for (old, new) in moved {
            if let Some(mailbox) = self.by_name.remove(&old) {
                self.by_name.insert(new, mailbox);
            }
        }
        Ok(())
    }

    /// SUBSCRIBE and UNSUBSCRIBE.
    pub(crate) fn subscribe(&mut self, name: &str, wanted: bool) -> Result<(), Refusal> {
        let name = Self::canonical(name);
        if !wanted {
            self.subscribed.remove(&name);
            return Ok(());
        }
        self.get(&name)?;
        if self.subscribed.len() >= MAX_MAILBOXES {
            return Err(Refusal::OverQuota);
        }
        self.subscribed.insert(name);
        Ok(())
    }

    /// Puts messages into a mailbox: all of them or none. Returns UIDVALIDITY and the new identifiers.
    pub(crate) fn append(&mut self, name: &str, messages: Vec<Message>) -> Result<(u32, Vec<u32>), Refusal> {
        let (have, have_bytes) = self.usage();
        let bytes: usize = messages.iter().map(Message::size).sum();
        let fits = have + messages.len() <= MAX_MESSAGES && have_bytes + bytes <= MAX_BYTES;
        let mailbox = self.get_mut(name)?;
        if !fits || !mailbox.can_number(messages.len()) {
            return Err(Refusal::OverQuota);
        }
        let uids = messages.into_iter().map(|message| mailbox.push(message)).collect();
        Ok((mailbox.validity(), uids))
    }

    /// A mailbox with a purpose (RFC 6154), subscribed; for a new account.
    pub(crate) fn provide(&mut self, name: &str, special_use: &'static str) {
        self.insert(name).special_use = Some(special_use);
        self.subscribed.insert(name.to_owned());
    }

    /// Messages and bytes.
    fn usage(&self) -> (usize, usize) {
        let messages = || self.by_name.values().flat_map(Mailbox::messages);
        (messages().count(), messages().map(Message::size).sum())
    }

    fn insert(&mut self, name: &str) -> &mut Mailbox {
        let validity = self.next_validity;
        self.next_validity = self.next_validity.wrapping_add(1).max(1);
        self.by_name.entry(name.to_owned()).or_insert_with(|| Mailbox::new(validity))
    }

    fn check_new(&self, name: &str) -> Result<(), Refusal> {
        let is_plain = |character: char| matches!(character, ' '..='~') && !matches!(character, '*' | '%');
        let has_levels = name.split(SEPARATOR).all(|level| !level.is_empty());
        if name.len() > MAX_NAME || !has_levels || !name.chars().all(is_plain) {
            return Err(Refusal::BadName);
        }
        if self.by_name.contains_key(name) { Err(Refusal::AlreadyExists) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use super::*;

    fn message(size: usize) -> Message {
        Message::new(vec![b'x'; size], Flags::default(), 0)
    }

    #[test]
    fn names() {
        let mut folders = Folders::new(1);
        for (name, expected) in [
            ("Work", Ok(())),
            ("Work/2024", Ok(())),
            ("Trailing/", Ok(())),
            ("inbox/sub", Ok(())),
            ("work", Ok(())),
            ("Work", Err(Refusal::AlreadyExists)),
            ("inBOX", Err(Refusal::AlreadyExists)),
            ("", Err(Refusal::BadName)),
            ("/a", Err(Refusal::BadName)),
            ("a//b", Err(Refusal::BadName)),
            ("a*", Err(Refusal::BadName)),
            ("a\r\nb", Err(Refusal::BadName)),
            ("\u{e4}", Err(Refusal::BadName)),
        ] {
            assert_eq!(folders.create(name), expected, "{name}");
        }
        assert_eq!(folders.create(&"x".repeat(129)), Err(Refusal::BadName));
        let names: Vec<&str> = folders.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["INBOX", "INBOX/sub", "Trailing", "Work", "Work/2024", "work"]);
        assert!(folders.has_children("Work") && folders.has_children("INBOX"));
        assert!(!folders.has_children("work") && !folders.has_children("Wor"));
    }

    #[test]
    fn renaming_takes_what_is_below_along() {
        let mut folders = Folders::new(1);
        folders.create("a").unwrap();
        folders.create("a/b").unwrap();
        folders.create("ab").unwrap();
        assert_eq!(folders.rename("a", "c"), Ok(()));
        assert_eq!(folders.rename("c", "ab"), Err(Refusal::AlreadyExists));
        assert_eq!(folders.rename("inbox", "x"), Err(Refusal::Inbox));
        assert_eq!(folders.rename("a", "x"), Err(Refusal::NoSuchMailbox));
        let names: Vec<&str> = folders.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["INBOX", "ab", "c", "c/b"]);
        assert_eq!(folders.delete("INBOX"), Err(Refusal::Inbox));
        assert_eq!(folders.delete("c"), Ok(()));
        assert_eq!(folders.delete("c"), Err(Refusal::NoSuchMailbox));
    }

    #[test]
    fn an_account_is_bounded() {
        let mut folders = Folders::new(1);
        for n in 1..MAX_MAILBOXES {
            assert_eq!(folders.create(&n.to_string()), Ok(()));
        }
        assert_eq!(folders.create("one more"), Err(Refusal::OverQuota));

        for _ in 0..16 {
            assert!(folders.append("INBOX", vec![message(MAX_MESSAGE)]).is_ok());
        }
        assert_eq!(folders.append("1", vec![message(1)]), Err(Refusal::OverQuota));
        folders.get_mut("INBOX").unwrap().remove(|message| message.uid == 1);
        assert_eq!(folders.append("1", vec![message(1); 2]), Ok((2, vec![1, 2])));
        assert_eq!(folders.append("1", vec![message(0); MAX_MESSAGES]), Err(Refusal::OverQuota));
        assert_eq!(folders.append("none", vec![message(1)]), Err(Refusal::NoSuchMailbox));
    }

    #[test]
    fn identifiers_do_not_run_over() {
        let mut mailbox = Mailbox::new(1);
        assert!(mailbox.can_number(1000));
        for _ in 0..3 {
            mailbox.push(message(1));
        }
        mailbox.remove(|message| message.uid == 3);
        assert_eq!(mailbox.push(message(1)), 4);
        assert_eq!(mailbox.get(2).map(|message| message.uid), Some(2));
        assert!(mailbox.get(3).is_none() && mailbox.get(5).is_none());
    }
}
