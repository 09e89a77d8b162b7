//! What was found, and whether it stops a move.

use std::fmt;

use crate::sharing::Sharing;

/// A difference between the mailbox at the source and at the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A folder is missing at the target.
    FolderMissing {
        /// The folder.
        folder: String,
        /// Its messages.
        messages: usize,
    },
    /// A message is missing at the target.
    MessageMissing {
        /// The folder.
        folder: String,
        /// Its UID at the source.
        uid: u32,
        /// Its Message-ID, where it has one.
        message_id: Option<String>,
    },
    /// The target has messages that the source does not have.
    MessagesAdded {
        /// The folder.
        folder: String,
        /// How many.
        messages: usize,
    },
    /// Flags or keywords of a message differ.
    FlagsChanged {
        /// The folder.
        folder: String,
        /// Its UID at the source.
        uid: u32,
        /// The flags at the source.
        source: String,
        /// The flags at the target.
        target: String,
    },
    /// The sizes of a message differ.
    SizeChanged {
        /// The folder.
        folder: String,
        /// Its UID at the source.
        uid: u32,
        /// Bytes at the source.
        source: u32,
        /// Bytes at the target.
        target: u32,
    },
    /// A subscription is missing at the target.
    SubscriptionMissing {
        /// The folder.
        folder: String,
    },
    /// UIDVALIDITY of a folder differs.
    UidValidityChanged {
        /// The folder.
        folder: String,
        /// At the source.
        source: u32,
        /// At the target.
        target: u32,
    },
    /// Messages have other UIDs, though UIDVALIDITY is the same.
    UidsChanged {
        /// The folder.
        folder: String,
        /// How many.
        messages: usize,
    },
    /// UIDNEXT is lower at the target, though UIDVALIDITY is the same.
    UidNextLower {
        /// The folder.
        folder: String,
        /// At the source.
        source: u32,
        /// At the target.
        target: u32,
    },
    /// UIDLs of the source are missing at the target.
    UidlsChanged {
        /// How many.
        messages: usize,
        /// UIDLs at the source.
        of: usize,
    },
}

/// The kinds of [`Difference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// See [`Difference::FolderMissing`].
    FolderMissing,
    /// See [`Difference::MessageMissing`].
    MessageMissing,
    /// See [`Difference::MessagesAdded`].
    MessagesAdded,
    /// See [`Difference::FlagsChanged`].
    FlagsChanged,
    /// See [`Difference::SizeChanged`].
    SizeChanged,
    /// See [`Difference::SubscriptionMissing`].
    SubscriptionMissing,
    /// See [`Difference::UidValidityChanged`].
    UidValidityChanged,
    /// See [`Difference::UidsChanged`].
    UidsChanged,
    /// See [`Difference::UidNextLower`].
    UidNextLower,
    /// See [`Difference::UidlsChanged`].
    UidlsChanged,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Folders of the source that were compared.
    pub folders: usize,
    /// Messages of the source that were compared.
    pub messages: usize,
    /// Whether UIDLs were compared: both destinations offer POP3.
    pub has_uidls: bool,
    /// The differences, the first [`Report::MAX_OF_A_KIND`] of each kind.
    pub differences: Vec<Difference>,
    /// Messages that are missing at the target; an empty folder counts as one.
    pub missing: usize,
    /// Who shares folders with the account, where that was asked for.
    pub sharing: Vec<Sharing>,
    counts: [usize; DifferenceKind::ALL.len()],
}

/// Which differences stop a move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerance {
    /// How many messages may be missing at the target.
    pub max_missing: usize,
    /// Whether every difference stops the move.
    pub strict: bool,
}

// === impl Tolerance ===

impl Tolerance {
    /// Returns whether a difference of this kind can stop a move.
    #[must_use]
    pub const fn stops_at(self, kind: DifferenceKind) -> bool {
        self.strict || kind.is_loss()
    }
}

// === impl Difference ===

impl Difference {
    /// Returns its kind.
    #[must_use]
    pub const fn kind(&self) -> DifferenceKind {
        match self {
            Self::FolderMissing { .. } => DifferenceKind::FolderMissing,
            Self::MessageMissing { .. } => DifferenceKind::MessageMissing,
            Self::MessagesAdded { .. } => DifferenceKind::MessagesAdded,
            Self::FlagsChanged { .. } => DifferenceKind::FlagsChanged,
            Self::SizeChanged { .. } => DifferenceKind::SizeChanged,
            Self::SubscriptionMissing { .. } => DifferenceKind::SubscriptionMissing,
            Self::UidValidityChanged { .. } => DifferenceKind::UidValidityChanged,
            Self::UidsChanged { .. } => DifferenceKind::UidsChanged,
            Self::UidNextLower { .. } => DifferenceKind::UidNextLower,
            Self::UidlsChanged { .. } => DifferenceKind::UidlsChanged,
        }
    }

    /// Returns the folder; `None` when the whole mailbox is concerned.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        match self {
            Self::FolderMissing { folder, .. }
            | Self::MessageMissing { folder, .. }
            | Self::MessagesAdded { folder, .. }
            | Self::FlagsChanged { folder, .. }
            | Self::SizeChanged { folder, .. }
            | Self::SubscriptionMissing { folder }
            | Self::UidValidityChanged { folder, .. }
            | Self::UidsChanged { folder, .. }
            | Self::UidNextLower { folder, .. } => Some(folder),
            Self::UidlsChanged { .. } => None,
        }
    }
}

/// What is different, and what follows from it.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FolderMissing { folder, messages } => {
                write!(f, "{folder}: the folder is missing at the target, with {}", count(*messages))
            }
            Self::MessageMissing { folder, uid, message_id: Some(id) } => {
                write!(f, "{folder}: message {uid} ({id}) is missing at the target")
            }
            Self::MessageMissing { folder, uid, message_id: None } => {
                write!(f, "{folder}: message {uid} (without Message-ID) is missing at the target")
            }
            Self::MessagesAdded { folder, messages } => {
                write!(f, "{folder}: the target has {} that the source does not have", count(*messages))
            }
            Self::FlagsChanged { folder, uid, source, target } => {
                write!(f, "{folder}: message {uid} has {source} at the source, {target} at the target")
            }
            Self::SizeChanged { folder, uid, source, target } => {
                write!(f, "{folder}: message {uid} has {source} bytes at the source, {target} at the target")
            }
            Self::SubscriptionMissing { folder } => write!(
                f,
                "{folder}: not subscribed at the target: programs that show subscribed folders only will hide it"
            ),
            Self::UidValidityChanged { folder, source, target } => write!(
                f,
                "{folder}: UIDVALIDITY is {source} at the source, {target} at the target: IMAP programs will download \
                 the folder again, and forget changes that they made offline"
            ),
            Self::UidsChanged { folder, messages } => write!(
                f,
                "{folder}: {} other UIDs at the target under the same UIDVALIDITY: IMAP programs will take one \
                 message for another until their cache is deleted",
                if *messages == 1 { "1 message has".to_owned() } else { format!("{messages} messages have") }
            ),
            Self::UidNextLower { folder, source, target } => write!(
                f,
                "{folder}: UIDNEXT is {source} at the source, {target} at the target: new messages may get UIDs that \
                 IMAP programs have seen before"
            ),
            Self::UidlsChanged { messages, of } => write!(
                f,
                "POP3: {messages} of {of} UIDLs of the source are missing at the target: POP3 programs will download \
                 these messages again"
            ),
        }
    }
}

fn count(messages: usize) -> String {
    if messages == 1 { "1 message".to_owned() } else { format!("{messages} messages") }
}

// === impl DifferenceKind ===

impl DifferenceKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::FolderMissing,
        Self::MessageMissing,
        Self::MessagesAdded,
        Self::FlagsChanged,
        Self::SizeChanged,
        Self::SubscriptionMissing,
        Self::UidValidityChanged,
        Self::UidsChanged,
        Self::UidNextLower,
        Self::UidlsChanged,
    ];

    /// Returns its name in the API.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::FolderMissing => "folder_missing",
            Self::MessageMissing => "message_missing",
            Self::MessagesAdded => "messages_added",
            Self::FlagsChanged => "flags_changed",
            Self::SizeChanged => "size_changed",
            Self::SubscriptionMissing => "subscription_missing",
            Self::UidValidityChanged => "uidvalidity_changed",
            Self::UidsChanged => "uids_changed",
            Self::UidNextLower => "uidnext_lower",
            Self::UidlsChanged => "uidls_changed",
        }
    }

    /// Returns whether something is lost when the account moves now.
    #[must_use]
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::FolderMissing | Self::MessageMissing)
    }
}

// === impl Report ===

impl Report {
    /// Differences of one kind that are listed; more are counted.
    pub const MAX_OF_A_KIND: usize = 1_000;

    pub(crate) fn add(&mut self, difference: Difference) {
        let kind = difference.kind();
        match difference {
            Difference::FolderMissing { messages, .. } => self.missing += messages.max(1),
            Difference::MessageMissing { .. } => self.missing += 1,
            _ => {}
        }
        if self.has_room(kind) {
            self.differences.push(difference);
        }
        self.counts[kind as usize] += 1;
    }

    pub(crate) fn has_room(&self, kind: DifferenceKind) -> bool {
        self.counts[kind as usize] < Self::MAX_OF_A_KIND
    }

    /// Returns how many differences of a kind there are, listed or not.
    #[must_use]
    pub const fn count(&self, kind: DifferenceKind) -> usize {
        self.counts[kind as usize]
    }

    /// Returns how many differences there are, listed or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Returns how many differences are not listed.
    #[must_use]
    pub fn unlisted(&self) -> usize {
        self.total() - self.differences.len()
    }

    /// Returns whether an account with these differences may be moved.
    #[must_use]
    pub fn is_within(&self, tolerance: Tolerance) -> bool {
        self.missing <= tolerance.max_missing && (!tolerance.strict || self.total() == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(uid: u32) -> Difference {
        Difference::MessageMissing { folder: "INBOX".to_owned(), uid, message_id: None }
    }

    #[test]
    fn what_is_lost_stops_a_move_and_the_rest_only_a_strict_one() {
        let mut report = Report::default();
        let lax = Tolerance::default();
        let strict = Tolerance { strict: true, ..lax };
        assert!(report.is_within(lax) && report.is_within(strict));
        report.add(Difference::UidlsChanged { messages: 1, of: 2 });
        assert!(report.is_within(lax) && !report.is_within(strict));
        report.add(missing(7));
        assert!(!report.is_within(lax));
        assert!(report.is_within(Tolerance { max_missing: 1, strict: false }));
        report.add(Difference::FolderMissing { folder: "Empty".to_owned(), messages: 0 });
        assert_eq!(report.missing, 2, "an empty folder is something, too");
    }

    #[test]
    fn a_flood_of_one_kind_is_counted_and_leaves_room_for_others() {
        let mut report = Report::default();
        for uid in 1..=2_000 {
            report.add(missing(uid));
        }
        report.add(Difference::SubscriptionMissing { folder: "Sent".to_owned() });
        assert_eq!(report.differences.len(), Report::MAX_OF_A_KIND + 1);
        assert_eq!((report.total(), report.unlisted()), (2_001, 1_000));
        assert_eq!((report.missing, report.count(DifferenceKind::MessageMissing)), (2_000, 2_000));
    }

    #[test]
    fn kinds_are_counted_under_their_own_index() {
        for (index, kind) in DifferenceKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, index, "{}", kind.label());
        }
    }
}
