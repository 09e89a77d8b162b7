//! Why an identifier cannot be stored.

use thiserror::Error;
use types::identifier::BadIdentifier as BadName;

use crate::unmatchable::Unmatchable;

/// Why an identifier cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadIdentifier {
    /// No login can have this identifier.
    #[error(transparent)]
    Name(#[from] BadName),
    /// At the start of a file it would be read as a byte order mark, not as part of the name.
    #[error("it begins with a byte order mark, which is invisible; remove it")]
    Mark,
    /// No login has it, although it is a valid identifier.
    #[error(transparent)]
    Unmatchable(#[from] Unmatchable),
}
