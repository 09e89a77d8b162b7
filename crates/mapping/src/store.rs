//! The interface of every mapping store, with its changes and errors.
//!
//! Keys are normalised identifiers, or `@domain`. A store answers for exactly the given key; domains, the default
//! destination and caching belong to the router. No method may block a worker thread.

use futures_core::future::BoxFuture;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plan::Name;
use thiserror::Error;

pub use crate::bad_identifier::BadIdentifier;
use crate::line::BadLines;
use crate::shown::shown;
pub use crate::unmatchable::Unmatchable;

/// Maps accounts to destinations.
pub trait Store: Send + Sync + fmt::Debug {
    /// Returns the destination stored under `key`, whether it is declared or not. The caller sets the time limit.
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>>;

    /// Applies all of these changes in this order, or none, and returns once they would survive a crash.
    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// Returns a page of at most `limit` entries (at most [`MAX_PAGE`]). `from` is 0, or [`Listing::next`] of the page
    /// before. Entries that change while the pages are read may be missing or appear twice.
    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>>;

    /// Reads everything again. Returns `None` from a store that is not read as a whole.
    fn reload(&self) -> BoxFuture<'_, Result<Option<Loaded>, LoadError>> {
        Box::pin(async { Ok(None) })
    }

    /// Returns the number of entries of each declared destination, if the store knows it without a search.
    fn entries_by_destination(&self) -> Option<Vec<(Name, usize)>> {
        None
    }

    /// Returns a number that grows whenever entries may have changed other than through [`Store::apply`]. Answers that
    /// were cached in another epoch are stale.
    fn epoch(&self) -> u64 {
        0
    }
}

/// The most entries in one page.
pub const MAX_PAGE: usize = 10_000;

/// One change of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The account, or `@domain`.
    pub identifier: Arc<str>,
    /// The new destination; `None` removes the entry.
    pub destination: Option<Name>,
}

/// The result of a batch of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries that differ now. Writing the value that is already stored does not count.
    pub changed: usize,
}

/// An entry in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account, or `@domain`.
    pub identifier: Arc<str>,
    /// The stored destination, whether it is declared or not.
    pub destination: Name,
}

/// A page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In the store's order.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` after the last page.
    pub next: Option<u64>,
}

/// The size of a store that was read as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Entries, domains included.
    pub entries: usize,
    /// Entries for a whole domain. They have no effect unless `[mapping] domains = true`.
    pub domains: usize,
    /// Bytes read.
    pub bytes: usize,
}

/// Why a lookup, a change or a listing failed.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// The store cannot be reached, or sent an invalid answer.
    #[error("the mapping store cannot be queried: {0}")]
    Unreachable(Arc<str>),
    /// The store did not answer in time.
    #[error("the mapping store did not answer within {0:?} (mapping.lookup_timeout)")]
    TimedOut(Duration),
    /// The identifier cannot be stored.
    #[error("cannot store a mapping for {}: {reason}", shown(identifier))]
    BadIdentifier {
        /// The value as given.
        identifier: Arc<str>,
        /// What is wrong with it.
        reason: BadIdentifier,
    },
    /// The destination is not declared.
    #[error("{} is not a declared destination; declared are: {}", shown(found), declared.join(", "))]
    UnknownDestination {
        /// The value as given.
        found: Arc<str>,
        /// The declared destinations.
        declared: Vec<Name>,
    },
    /// The store cannot be written to.
    #[error("the mapping store is read-only: {0}")]
    ReadOnly(Arc<str>),
    /// The disk is full; nothing was changed.
    #[error("no space is left to write {}: nothing was changed", .0.display())]
    NoSpace(PathBuf),
    /// The current file cannot be read, so it is not overwritten.
    #[error("the mapping was not written, because the current file cannot be read: {0}")]
    Unreadable(#[from] LoadError),
    /// Too many writes wait, or another program is writing.
    #[error("the mapping store is busy: {0}; try again")]
    Busy(&'static str),
    /// The change was written, but may not survive a crash.
    #[error("the mapping was written, but the folder of {} could not be synced: {error}", path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: Arc<io::Error>,
    },
    /// The write failed; nothing was changed.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: Arc<io::Error>,
    },
}

/// Why a mapping file is not used. The previous mapping stays in effect.
#[derive(Clone, Debug, Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read the mapping file {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: Arc<io::Error>,
    },
    /// The path is a folder, a pipe or a device.
    #[error("the mapping file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The file has become empty without a reload.
    #[error(
        "the mapping file {} is empty, probably because a save was interrupted: its {entries} entries stay in \
         effect; if the file is meant to be empty, reload (SIGHUP)",
        path.display()
    )]
    Emptied {
        /// The file.
        path: PathBuf,
        /// The number of entries before.
        entries: usize,
    },
    /// The file is too large.
    #[error("the mapping file {} has more than {max} bytes; keep that many accounts in SQL or Redis", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest allowed size in bytes.
        max: u64,
    },
    /// A store other than a file cannot be used.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// The file has invalid lines.
    #[error("the mapping file {} is not valid: {lines}", path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// The errors, at most [`BadLines::MAX`].
        lines: Arc<BadLines>,
    },
}

// === impl Change ===

impl Change {
    /// Returns the change that maps `identifier` to `destination`.
    #[must_use]
    pub fn set(identifier: impl Into<Arc<str>>, destination: impl Into<Name>) -> Self {
        Self { identifier: identifier.into(), destination: Some(destination.into()) }
    }

    /// Returns the change that removes the entry of `identifier`.
    #[must_use]
    pub fn remove(identifier: impl Into<Arc<str>>) -> Self {
        Self { identifier: identifier.into(), destination: None }
    }
}
