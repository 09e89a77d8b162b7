//! Why a login did not become a session.

use connection::Broken;
use mail_proto::verdict::Verdict;
use placement::Reason;
use types::outcome::LoginResult;

/// A login that did not become a session.
pub(crate) enum LoginError {
    /// The client gets a verdict and stays at our prompt.
    Failed(Verdict, LoginResult),
    /// The client closed the connection in the middle of the exchange.
    ClientGone(Broken, LoginResult),
    /// The client did not answer a challenge in time.
    ClientTimedOut(LoginResult),
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
            Self::Failed(_, result) | Self::ClientGone(_, result) | Self::ClientTimedOut(result) => *result,
        }
    }

    /// Returns whether the credential was refused, so that the login counts as a guess.
    pub(crate) const fn is_refusal(&self) -> bool {
        match self {
            Self::Failed(verdict, _) => matches!(verdict, Verdict::Refused(_)),
            Self::ClientGone(_, result) | Self::ClientTimedOut(result) => {
                matches!(result, LoginResult::Rejected)
            }
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
