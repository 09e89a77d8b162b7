//! Why a login did not become a session: one closed list, for the log and the metrics alike.

use connection::Broken;
use identity::Refusal;
use mail_proto::verdict::Verdict;

/// How a login failed.
pub(crate) enum Failed {
    /// A verdict for the client, which stays at our prompt.
    Verdict(Verdict, Cause),
    /// The client is gone.
    Client(Broken),
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The credential names nobody.
    Identity(Refusal),
    /// The backend said no.
    Rejected,
    /// The backend said "not now".
    NotNow,
    /// The client gave up in the middle of an exchange.
    Cancelled,
    /// The account has as many logins or sessions as it may have.
    Busy,
    /// A move or a delay took longer than a login may wait.
    Held,
    /// The account moved while it logged in, and once more did not help or was not possible.
    Moved,
    /// The destination could not be used.
    Unavailable,
    /// The connection has come through us before.
    Loop,
}

// === impl Failed ===

impl Failed {
    /// A temporary failure, never an authentication failure.
    pub(crate) const fn unavailable(cause: Cause) -> Self {
        Self::Verdict(Verdict::Unavailable, cause)
    }

    /// The `result` in the metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Verdict(_, cause) => cause.label(),
            Self::Client(_) => "client_gone",
        }
    }
}

// === impl Cause ===

impl Cause {
    /// The word in the log and in the metrics.
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
