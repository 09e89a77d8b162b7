//! The result of a login and the reason why a connection is closed, before a protocol writes them as a reply.

/// A backend's reply to a login, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Complete lines before the final one (IMAP's untagged responses), with their line ends.
    pub before: Vec<u8>,
    /// The final reply with its line end: IMAP's without the tag, SMTP's with all of its lines.
    pub last: Vec<u8>,
}

/// The result of an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// The backend accepted the login: its reply goes to the client, and the bridge opens.
    Accepted(Reply),
    /// The login failed. Without a reply the dialogue writes its own (the account name was refused, or
    /// `hide_auth_errors` is set).
    Refused(Option<Reply>),
    /// The backend asked to try again later: not a failed login.
    NotNow(Reply),
    /// The account's backend does not offer the mechanism, but it offers others: not a failed login.
    MechanismUnavailable,
    /// No backend could be reached: a temporary failure, never an authentication failure.
    Unavailable,
    /// The client cancelled the exchange with `*`.
    Cancelled,
}

/// Why the proxy closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// `preauth_timeout` has passed.
    TimedOut,
    /// `max_auth_attempts` logins failed.
    TooManyFailures,
    /// A connection limit is reached.
    TooBusy,
    /// The proxy drains.
    ShuttingDown,
    /// The session was ended from outside: a kick, or a move.
    Ended,
    /// No backend is available, in protocols where the connection must then be closed (pass-through).
    Unavailable,
}
