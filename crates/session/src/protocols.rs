//! The one table of text protocols: a new one is a file in `wire` and a line here.

use wire::protocol::Protocol;
use wire::step::{Dialogue, Errand, Opening, Replay};

/// The server's side of `protocol`, before its greeting; `None` for protocols that pass through or are HTTP.
pub(crate) fn dialogue(protocol: Protocol, opening: Opening) -> Option<Box<dyn Dialogue>> {
    match protocol {
        Protocol::Imap => Some(Box::new(wire::imap::Dialogue::new(opening))),
        Protocol::Pop3 => Some(Box::new(wire::pop3::Dialogue::new(opening))),
        Protocol::ManageSieve => Some(Box::new(wire::managesieve::Dialogue::new(opening))),
        Protocol::Submission => Some(Box::new(wire::submission::Dialogue::new(opening))),
        _ => None,
    }
}

/// The client's side of `protocol`, before the backend's greeting.
pub(crate) fn replay(protocol: Protocol, errand: Errand) -> Option<Box<dyn Replay>> {
    match protocol {
        Protocol::Imap => Some(Box::new(wire::imap::Replay::new(errand))),
        Protocol::Pop3 => Some(Box::new(wire::pop3::Replay::new(errand))),
        Protocol::ManageSieve => Some(Box::new(wire::managesieve::Replay::new(errand))),
        Protocol::Submission => Some(Box::new(wire::submission::Replay::new(errand))),
        _ => None,
    }
}
