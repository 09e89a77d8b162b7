//! Reads the mapping file into a table, with the stamp that shows a later change.
//!
//! What must never happen: a file that changes while it is read gets the stamp of its later version.

use std::fs::{File, Metadata};
use std::hash::BuildHasher;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::parse::MAX_FILE_BYTES;
use crate::rules::Rules;
use crate::store::{LoadError, Loaded};
use crate::table::Table;

/// A file as read, valid or not.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
}

/// Recognises a text that was read before. Unlike a [`Stamp`], it does not depend on the resolution of the file
/// system's clock.
#[derive(Debug)]
pub(super) struct TextDigest {
    hasher: DefaultHashBuilder,
    digest: u64,
}

/// A valid file as read.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) text: Vec<u8>,
    pub(super) table: Table,
    pub(super) stamp: Stamp,
}

/// Identifies a version of a file. Device and inode change when another file takes its place, size and times when it is
/// edited in place. The status change time differs even when a program sets the modification time back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Device and inode.
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

// === impl Stamp ===

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Returns the stamp of the file at `path`, with links followed.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::of(&metadata))
    }

    /// Returns whether this is the same file, changed or not.
    pub(super) fn is_same_file(self, other: Self) -> bool {
        self.file == other.file
    }

    /// Returns whether this is the same file with nothing written to it since. The status change time is ignored,
    /// because a rename sets it.
    pub(super) fn is_same_version(self, other: Self) -> bool {
        (self.file, self.size, self.modified) == (other.file, other.size, other.modified)
    }
}

// === impl TextDigest ===

impl TextDigest {
    pub(super) fn of(text: &[u8]) -> Self {
        let hasher = DefaultHashBuilder::default();
        let digest = hasher.hash_one(text);
        Self { hasher, digest }
    }

    /// Returns whether `text` is the same text. Another text has the same digest with a probability of 2^-64.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        self.hasher.hash_one(text) == self.digest
    }
}

// === impl Snapshot ===

impl Snapshot {
    pub(super) fn loaded(&self) -> Loaded {
        Loaded { entries: self.table.len(), domains: self.table.domains(), bytes: self.text.len() }
    }
}

/// Reads and validates the file at `path`.
pub(super) fn read(path: &Path, rules: &Rules) -> Result<Snapshot, LoadError> {
    parse(path, read_text(path)?, rules)
}

/// Reads the file at `path` without validating it.
pub(super) fn read_text(path: &Path) -> Result<Text, LoadError> {
    let refused = |error| LoadError::Io { path: path.to_owned(), error: Arc::new(error) };
    // Checked before the file is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(refused)?.is_file() {
        return Err(LoadError::NotAFile(path.to_owned()));
    }
    let mut file = File::open(path).map_err(refused)?;
    // Before the content, so that a change during the read has another stamp and is read again.
    let metadata = file.metadata().map_err(refused)?;
    let too_large = || LoadError::TooLarge { path: path.to_owned(), max: MAX_FILE_BYTES };
    if metadata.size() > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or_default() + 1);
    let length = (&mut file).take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(refused)?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(too_large());
    }
    Ok(Text { bytes, stamp: Stamp::of(&metadata) })
}

/// Validates the text of the file at `path`.
pub(super) fn parse(path: &Path, text: Text, rules: &Rules) -> Result<Snapshot, LoadError> {
    let Text { bytes, stamp } = text;
    let parsed = Table::parse(&bytes, rules);
    let table = parsed.map_err(|lines| LoadError::Lines { path: path.to_owned(), lines: Arc::new(lines) })?;
    Ok(Snapshot { text: bytes, table, stamp })
}
