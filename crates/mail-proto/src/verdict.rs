//! What becomes of a login, and why a connection is closed, before a protocol puts it into its own words.

/// A backend's answer to a login, kept as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// Whole lines that came before the final one (IMAP's untagged responses), with their line ends.
    pub before: Vec<u8>,
    /// The final reply with its line end: IMAP's without the tag, SMTP's with all of its lines.
    pub last: Vec<u8>,
}

/// What became of an attempt, for the dialogue to put into its protocol's words.
#[derive(Debug)]
pub enum Verdict {
    /// The backend said yes: its words go to the client, and the bridge opens.
    Accepted(Reply),
    /// The login failed. With the backend's words; without, in our own (its identity was refused, or
    /// `hide_auth_errors`).
    Refused(Option<Reply>),
    /// The backend said "not now" in its own words: not a failed login.
    NotNow(Reply),
    /// No backend could be asked: a temporary failure, never an authentication failure.
    Unavailable,
    /// The client gave up with `*`.
    Cancelled,
}

/// Why we say goodbye, for the dialogue to put into its protocol's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// `preauth_timeout` is over.
    TimedOut,
    /// `max_auth_attempts` logins failed.
    TooManyFailures,
    /// A connection limit is reached.
    TooBusy,
    /// The proxy drains.
    ShuttingDown,
    /// The session was ended from outside: a kick, or a move.
    Ended,
    /// No backend: for protocols where the connection must go (pass-through).
    Unavailable,
}
