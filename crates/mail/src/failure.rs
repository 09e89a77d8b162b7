//! Why a login did not become a session.

use connection::Broken;
use mail_proto::verdict::Verdict;
use placement::Reason;
use types::outcome::LoginResult;

/// A login that did not become a session.
pub(crate) enum LoginError {
    /// The client gets a verdict and stays at our prompt.
    Failed(Verdict, LoginResult),
    /// The client is gone.
    ClientGone(Broken),
}

// === impl LoginError ===

impl LoginError {
    /// A temporary failure, never an authentication failure.
    pub(crate) const fn unavailable(result: LoginResult) -> Self {
        Self::Failed(Verdict::Unavailable, result)
    }

    /// Returns the `result` in the metrics.
    pub(crate) const fn result(&self) -> LoginResult {
        match self {
            Self::Failed(_, result) => *result,
            Self::ClientGone(_) => LoginResult::ClientGone,
        }
    }
}

impl From<Reason<Self>> for LoginError {
    fn from(reason: Reason<Self>) -> Self {
        match reason {
            Reason::Busy(_) => Self::unavailable(LoginResult::Busy),
            Reason::Held(_) => Self::unavailable(LoginResult::Held),
            Reason::Moved | Reason::Outdated => Self::unavailable(LoginResult::Moved),
            Reason::NoDestination => Self::unavailable(LoginResult::Unavailable),
            Reason::Dial(error) => error,
        }
    }
}
