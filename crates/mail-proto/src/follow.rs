//! Follows the dialogue of a bridged session, so that an end from outside finds its place.
//!
//! A drain, a move or a kick may come at any time. A client whose message was delivered and who is not told so sends it
//! again, and a farewell inside a response is read as part of a message. So each protocol has a follower, which sees the
//! lines of both directions and answers one question: [`Follow::position`]. What must never happen here: bytes are kept
//! beyond the beginning of a line, or bulk data has to be looked at. Messages are passed over by count
//! ([`Follow::unseen`]).
//!
//! | module | subject |
//! |---|---|
//! | `position` | what every follower does |
//! | `lines` | lines, and lines that contain literals |
//! | `tagged` | IMAP and ManageSieve: commands and completed responses, with literals |
//! | `pop3` | single-line and multi-line responses |
//! | `smtp` | submission, SMTP and LMTP: replies, DATA, BDAT |

pub(crate) mod lines;
mod pop3;
mod position;
mod smtp;
mod tagged;
#[cfg(test)]
mod transcript;

pub use position::{Follow, Position, Side};
use types::protocol::Protocol;

/// Returns what follows a session of `protocol` after its login, or a passed-through connection from its greeting on.
/// `None` for HTTP.
#[must_use]
pub fn follower(protocol: Protocol) -> Option<Box<dyn Follow>> {
    match protocol {
        Protocol::Imap => Some(Box::new(tagged::Follower::<tagged::Imap>::default())),
        Protocol::ManageSieve => Some(Box::new(tagged::Follower::<tagged::ManageSieve>::default())),
        Protocol::Pop3 => Some(Box::new(pop3::Follower::default())),
        Protocol::Submission => Some(Box::new(smtp::Follower::after_login())),
        Protocol::Smtp | Protocol::Lmtp => Some(Box::new(smtp::Follower::from_greeting(protocol))),
        Protocol::Http => None,
    }
}
