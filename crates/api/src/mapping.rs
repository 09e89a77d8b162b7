//! Mappings: which destination holds an account.

use serde::{Deserialize, Serialize};

/// The media type of an export and of an import: `identifier TAB destination LF`, as the mapping file has it.
pub const TSV: &str = "text/tab-separated-values";

/// `GET /mappings?identifier=`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// The name as given.
    pub identifier: String,
    /// The name as it is stored and looked up.
    pub normalized: String,
    /// The destination of a login now.
    pub destination: String,
    /// Whether that is the default destination, since there is no mapping.
    pub routed_to_default: bool,
    /// Whether the answer was cached.
    pub cached: bool,
    /// Where the answer comes from: `entry`, `domain`, `default`, `store_down_stale`, `store_down`, `undeclared`.
    pub why: String,
}

/// `GET /mappings`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingPage {
    /// In the store's order.
    pub mappings: Vec<MappingEntry>,
    /// `from` of the next page; absent after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A stored entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappingEntry {
    /// An account, or `@example.org` for a whole domain.
    pub identifier: String,
    /// Its destination.
    pub destination: String,
}

/// `PUT /mappings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// The name as given.
    pub identifier: String,
    /// The name as it is stored.
    pub normalized: String,
    /// Its destination from now on.
    pub destination: String,
    /// Its destination before.
    pub previous: String,
    /// Whether the store has changed.
    pub changed: bool,
}

/// `DELETE /mappings`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The name as given.
    pub identifier: String,
    /// The name as it was stored.
    pub normalized: String,
    /// Whether there was an entry.
    pub removed: bool,
    /// The account's destination from now on.
    pub destination: String,
    /// Its destination before.
    pub previous: String,
}

/// `POST /mappings/reload`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// The entries that were read; absent for a store that is not read as a whole.
    pub entries: Option<usize>,
    /// How many of them are for whole domains.
    pub domains: Option<usize>,
}

/// `POST /mappings/import`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// Entries in the body.
    pub entries: usize,
    /// The entries that were changed; in a dry run, those that would be.
    pub changed: usize,
    /// Whether this was a dry run, which changes nothing.
    pub dry_run: bool,
}
