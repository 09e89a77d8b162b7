//! Comparing an account's mailbox at two destinations.

use serde::{Deserialize, Serialize};

/// The body of `POST /compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewComparison {
    /// The account.
    pub account: String,
    /// The one destination; absent = where the mapping has the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The other destination.
    pub to: String,
    /// What is acceptable, and what else is looked for.
    #[serde(flatten)]
    pub choices: CompareChoices,
}

/// What is acceptable, and what else is looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompareChoices {
    /// How many messages may be missing at the target.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_missing: usize,
    /// Whether no difference is acceptable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strict: bool,
    /// Whether to find out who shares folders with the account.
    #[serde(default, skip_serializing_if = "is_default")]
    pub with_shared: bool,
}

/// The response to `POST /compare`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The account, as it is stored and looked up.
    pub account: String,
    /// The source.
    pub from: String,
    /// The target.
    pub to: String,
    /// Whether the account could be moved with these differences.
    pub acceptable: bool,
    /// Folders of the source.
    pub folders: usize,
    /// Messages of the source.
    pub messages: usize,
    /// Whether UIDLs were compared, too.
    pub pop3: bool,
    /// Messages that are missing at the target; an empty folder counts as one.
    pub missing: usize,
    /// The differences.
    pub differences: Vec<Difference>,
    /// Differences that are not listed, because there are too many of their kind.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unlisted: usize,
    /// Shared folders, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `folder_missing`, `message_missing`, `messages_added`, `flags_changed`, `size_changed`, `subscription_missing`,
    /// `uidvalidity_changed`, `uids_changed`, `uidnext_lower`, `uidls_changed`.
    pub kind: String,
    /// The folder; absent when the whole mailbox is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The difference in words.
    pub text: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
