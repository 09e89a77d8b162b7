//! What a store of mappings is asked, whatever it is kept in.
//!
//! Keys are normalised identifiers, or `@domain`. A store answers for exactly the key that it is asked for:
//! domains, defaults and caching are the router's business. Nothing here may block a worker.

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

/// A place that knows where accounts are.
pub trait Store: Send + Sync + fmt::Debug {
    /// The destination stored under `key`, declared or not. The caller bounds the wait.
    fn lookup<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Name>, StoreError>>;

    /// Makes these changes, all or none, in this order; answers once they would survive a crash.
    fn apply(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// A page of the entries: from the place where the last page ended (0 at first), at most `limit`
    /// (bounded by [`MAX_PAGE`]). While entries change, a walk may miss or repeat those that changed.
    fn list(&self, from: u64, limit: usize) -> BoxFuture<'_, Result<Listing, StoreError>>;

    /// Reads everything again, where the store is one that is read as a whole; `None` where it is not.
    fn reload(&self) -> BoxFuture<'_, Result<Option<Loaded>, LoadError>> {
        Box::pin(async { Ok(None) })
    }

    /// Entries by destination, declared ones without any included, where the store knows without a search.
    fn census(&self) -> Option<Vec<(Name, usize)>> {
        None
    }

    /// Grows when answers may have changed in any other way than through [`Store::apply`]; cached answers of
    /// another epoch are not believed.
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
    /// Where it is from now on; `None` = the entry goes.
    pub destination: Option<Name>,
}

/// What became of a batch of changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Entries that are different now; a change to what is there already is none.
    pub changed: usize,
}

/// An entry in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account, or `@domain`.
    pub identifier: Arc<str>,
    /// As the store has it: declared or not.
    pub destination: Name,
}

/// A page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// In the store's order.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` = this was the last.
    pub next: Option<u64>,
}

/// What was read as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Entries, domains included.
    pub entries: usize,
    /// Entries for a whole domain. They do nothing unless `[mapping] domains = true`.
    pub domains: usize,
    /// Bytes read.
    pub bytes: usize,
}

/// Why a store could not answer.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// It could not be asked, or its answer was none.
    #[error("the mapping store cannot be asked: {0}")]
    Unreachable(Arc<str>),
    /// No answer in time.
    #[error("the mapping store did not answer within {0:?} (mapping.lookup_timeout)")]
    TimedOut(Duration),
    /// The identifier is none that can be stored.
    #[error("cannot store a mapping for {}: {reason}", shown(identifier))]
    BadIdentifier {
        /// As given.
        identifier: Arc<str>,
        /// What is wrong with it.
        reason: BadIdentifier,
    },
    /// The destination is not declared.
    #[error("{} is not a declared destination; declared are: {}", shown(found), declared.join(", "))]
    UnknownDestination {
        /// As given.
        found: Arc<str>,
        /// What there is.
        declared: Vec<Name>,
    },
    /// It takes no writes.
    #[error("the mapping store takes no writes: {0}")]
    ReadOnly(Arc<str>),
    /// No room is left; nothing was changed.
    #[error("no room is left to write {}: nothing was changed", .0.display())]
    NoSpace(PathBuf),
    /// What is there cannot be read, so it is not overwritten.
    #[error("the mapping was not written, since what is there cannot be read: {0}")]
    Unreadable(#[from] LoadError),
    /// Too many writes wait, or somebody else writes at this moment: try again.
    #[error("the mapping store is busy: {0}; try again")]
    Busy(&'static str),
    /// The change was made, but may not survive a crash.
    #[error("the mapping was written, but the folder of {} could not be synced: {error}", path.display())]
    NotDurable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// The system refused; nothing was changed.
    #[error("cannot write {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
}

/// Why a mapping file was not taken over; the one before stays.
#[derive(Clone, Debug, Error)]
pub enum LoadError {
    /// It cannot be read.
    #[error("cannot read the mapping file {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: Arc<io::Error>,
    },
    /// It is a folder, a pipe or a device.
    #[error("the mapping file {} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It has become empty by itself.
    #[error(
        "the mapping file {} is empty, which looks like a save that was cut short: its {entries} entries stay in \
         force; should it be meant, reload (SIGHUP)",
        path.display()
    )]
    Emptied {
        /// The file.
        path: PathBuf,
        /// What it held.
        entries: usize,
    },
    /// It is too large.
    #[error("the mapping file {} has more than {max} bytes; keep that many accounts in SQL or Redis", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What may be.
        max: u64,
    },
    /// A store that is no file cannot be used.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// Lines of it are wrong.
    #[error("the mapping file {} is not valid: {lines}", path.display())]
    Lines {
        /// The file.
        path: PathBuf,
        /// Every one, up to a bound.
        lines: Arc<BadLines>,
    },
}

// === impl Change ===

impl Change {
    /// The account is at `destination` from now on.
    #[must_use]
    pub fn set(identifier: impl Into<Arc<str>>, destination: impl Into<Name>) -> Self {
        Self { identifier: identifier.into(), destination: Some(destination.into()) }
    }

    /// The account has no entry from now on.
    #[must_use]
    pub fn remove(identifier: impl Into<Arc<str>>) -> Self {
        Self { identifier: identifier.into(), destination: None }
    }
}
