//! The table of text protocols towards backends: a new one is a file in `wire` and a line here.

use wire::protocol::Protocol;
use wire::step::{Errand, Replay};

/// The client's side of `protocol`, before the backend's greeting; `None` for protocols that pass through or
/// are HTTP.
#[must_use]
pub fn replay(protocol: Protocol, errand: Errand) -> Option<Box<dyn Replay>> {
    match protocol {
        Protocol::Imap => Some(Box::new(wire::imap::Replay::new(errand))),
        Protocol::Pop3 => Some(Box::new(wire::pop3::Replay::new(errand))),
        Protocol::ManageSieve => Some(Box::new(wire::managesieve::Replay::new(errand))),
        Protocol::Submission => Some(Box::new(wire::submission::Replay::new(errand))),
        _ => None,
    }
}
