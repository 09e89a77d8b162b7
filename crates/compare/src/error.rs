//! Why mailboxes could not be compared.

use plan::Name;
use thiserror::Error;
use types::fault::Fault;
use types::protocol::Protocol;

/// A mailbox could not be read. Nothing is known about differences.
#[derive(Debug, Error)]
#[error("{destination}, {}: {cause}", protocol.name())]
pub struct CompareError {
    /// The destination.
    pub destination: Name,
    /// The protocol that was spoken.
    pub protocol: Protocol,
    /// What happened.
    pub cause: Cause,
}

/// What happened at one destination.
#[derive(Debug, Error)]
pub enum Cause {
    /// The server could not be reached, or is not ready for a login.
    #[error("the server cannot be used ({}): see `pointsman check --probe`", .0.label())]
    Unusable(Fault),
    /// The login was refused.
    #[error(
        "the login as {user} was refused ({reply}): check moves.compare, and whether the account exists there"
    )]
    LoginRefused {
        /// The user name that was sent.
        user: String,
        /// The server's words.
        reply: String,
    },
    /// A command was refused.
    #[error("{command} was refused: {reply}")]
    Refused {
        /// The command.
        command: &'static str,
        /// The server's words.
        reply: String,
    },
    /// A response cannot be parsed.
    #[error("found a response that cannot be read: {0:?}")]
    Unreadable(String),
    /// A response is longer than the limit.
    #[error("found a response of more than {0} bytes")]
    ResponseTooLong(usize),
    /// There is more than can be compared in bounded memory.
    #[error("found more than {limit} {what}: compare this account by a verify command of your own")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are expected at most.
        limit: usize,
    },
    /// The connection was closed.
    #[error("the server closed the connection: {0}")]
    Closed(String),
    /// The server sent nothing for too long, or the time for the comparison is over.
    #[error("the server did not answer in time")]
    TimedOut,
}
