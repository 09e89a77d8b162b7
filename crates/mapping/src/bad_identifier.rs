//! Why an identifier cannot be stored.

use thiserror::Error;
use types::identifier::BadIdentifier as BadName;

/// Why an identifier cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadIdentifier {
    /// No login can have this identifier.
    #[error(transparent)]
    Name(#[from] BadName),
    /// A line that begins with it would be a comment.
    #[error("it begins with '#', which begins a comment in the mapping file")]
    Comment,
    /// At the beginning of a file it would not be read as a part of the name.
    #[error("it begins with a byte order mark, which cannot be seen; take it out")]
    Mark,
}
