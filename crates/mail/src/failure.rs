//! Why a login did not become a session: one closed list, for the log and the metrics.

use connection::Broken;
use identity::Refusal;
use mail_proto::verdict::Verdict;
use placement::Reason;

/// A login that did not become a session.
pub(crate) enum LoginError {
    /// The client gets a verdict and stays at our prompt.
    Failed(Verdict, Cause),
    /// The client is gone.
    ClientGone(Broken),
}

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The credential names no account that can be routed.
    Identity(Refusal),
    /// The backend refused the credential.
    Rejected,
    /// The backend asked to try again later.
    NotNow,
    /// The client cancelled the exchange.
    Cancelled,
    /// The account has as many logins or sessions as it may have.
    Busy,
    /// A move or a delay took longer than a login may wait.
    Held,
    /// The account moved while it logged in, and one more round did not help or was not possible.
    Moved,
    /// The destination could not be used.
    Unavailable,
    /// The connection has come through this proxy before.
    Loop,
}

// === impl LoginError ===

impl LoginError {
    /// A temporary failure, never an authentication failure.
    pub(crate) const fn unavailable(cause: Cause) -> Self {
        Self::Failed(Verdict::Unavailable, cause)
    }

    /// Returns the `result` in the metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Failed(_, cause) => cause.label(),
            Self::ClientGone(_) => "client_gone",
        }
    }
}

impl From<Reason<Self>> for LoginError {
    fn from(reason: Reason<Self>) -> Self {
        match reason {
            Reason::Busy(_) => Self::unavailable(Cause::Busy),
            Reason::Held(_) => Self::unavailable(Cause::Held),
            Reason::Moved | Reason::Outdated => Self::unavailable(Cause::Moved),
            Reason::NoDestination => Self::unavailable(Cause::Unavailable),
            Reason::Dial(error) => error,
        }
    }
}

// === impl Cause ===

impl Cause {
    /// Returns the word in the log and in the metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Identity(refusal) => refusal.label(),
            Self::Rejected => "rejected",
            Self::NotNow => "not_now",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::Held => "held",
            Self::Moved => "moved",
            Self::Unavailable => "unavailable",
            Self::Loop => "loop",
        }
    }
}
