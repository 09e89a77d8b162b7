//! What can be wrong with the journal.

use std::path::PathBuf;

use thiserror::Error;

/// Why the journal could not be opened, read or written.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file cannot be opened, or is not a journal.
    #[error("the journal of moves {} cannot be opened: {error}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The database's error.
        error: sqlx::Error,
    },
    /// The file was written by a newer version.
    #[error("the journal of moves {} has format {found}; this version reads up to {readable}", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that this version reads.
        readable: i64,
    },
    /// A statement failed.
    #[error("the journal of moves: {0}")]
    Database(#[from] sqlx::Error),
    /// A row does not make sense.
    #[error("the journal of moves has an invalid value in {column}: {found}")]
    BadValue {
        /// The column.
        column: &'static str,
        /// The value.
        found: String,
    },
}
