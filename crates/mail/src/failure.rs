//! Why a login did not become a session.

use connection::Broken;
use mail_proto::verdict::Verdict;
use placement::Reason;
use types::outcome::LoginResult;

/// A login that did not become a session.
pub(crate) enum LoginError {
    /// The client gets a verdict and stays at our prompt.
    Failed(Verdict, LoginResult),
    /// The backend received the credential and sent no verdict. The client gets a temporary failure, and the login counts
    /// as a guess: the backend may have judged the credential.
    Unanswered,
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
            Self::Unanswered => LoginResult::Unavailable,
        }
    }

    /// Returns whether the login counts as a guess: the backend has refused the credential, or may have.
    pub(crate) const fn is_guess(&self) -> bool {
        match self {
            Self::Failed(verdict, _) => matches!(verdict, Verdict::Refused(_)),
            Self::Unanswered => true,
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
