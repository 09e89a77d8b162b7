//! Which destination holds an account.

use serde::{Deserialize, Serialize};

/// The media type of an export and of an import: `identifier TAB destination LF`, as the mapping file has it.
pub const TSV: &str = "text/tab-separated-values";

/// `GET /mappings?identifier=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// As asked for.
    pub identifier: String,
    /// As stored and looked up.
    pub normalized: String,
    /// Where a login of it would go now.
    pub destination: String,
    /// Whether that is only the default.
    pub routed_to_default: bool,
    /// Whether the answer came out of memory.
    pub cached: bool,
    /// How we know: `entry`, `domain`, `default`, `store_down_stale`, `store_down`, `undeclared`.
    pub why: String,
}

/// `GET /mappings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// In the store's order.
    pub mappings: Vec<Entry>,
    /// `from` of the next page; absent after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// An account, or `@example.org` for a whole domain.
    pub identifier: String,
    /// Where it is.
    pub destination: String,
}

/// `PUT /mappings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// As given.
    pub identifier: String,
    /// As stored.
    pub normalized: String,
    /// Where it is from now on.
    pub destination: String,
    /// Where it was before.
    pub previous: String,
    /// Whether the store has changed.
    pub changed: bool,
}

/// `DELETE /mappings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// As given.
    pub identifier: String,
    /// As it was stored.
    pub normalized: String,
    /// Whether there was an entry.
    pub removed: bool,
    /// Where the account is from now on.
    pub destination: String,
    /// Where it was before.
    pub previous: String,
}

/// `POST /mappings/reload`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Entries that were read; absent where the store is not read as a whole.
    pub entries: Option<usize>,
    /// Of them, entries for whole domains.
    pub domains: Option<usize>,
}

/// `POST /mappings/import`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Entries in the body.
    pub entries: usize,
    /// Entries that are different from now on, or would be.
    pub changed: usize,
    /// Whether nothing was changed because that was asked for.
    pub dry_run: bool,
}
