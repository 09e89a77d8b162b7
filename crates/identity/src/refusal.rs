//! Why nobody can be routed by a login: one closed list, from which the log line and the metric are made.
//!
//! It must never carry a piece of the credential, or of the name that it gave.

use credentials::names::BadCredential;
use thiserror::Error;
use types::identifier::BadIdentifier;

/// Why a login names no account. To the client it is a failed login, whichever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum Refusal {
    /// The credential names nobody.
    #[error(transparent)]
    Credential(#[from] BadCredential),
    /// It names somebody by a name that cannot be one.
    #[error(transparent)]
    Identifier(#[from] BadIdentifier),
}

// === impl Refusal ===

impl Refusal {
    /// Name in metrics and in the `reason` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Credential(bad) => bad.label(),
            Self::Identifier(bad) => bad.label(),
        }
    }
}
