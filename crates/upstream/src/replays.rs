//! The table of text protocols towards backends: a new one is a file in `wire` and a line here.

use mail_proto::step::{Errand, Replay};
use types::protocol::Protocol;

/// The client's side of `protocol`, before the backend's greeting; `None` for protocols that pass through or
/// are HTTP.
#[must_use]
pub fn replay(protocol: Protocol, errand: Errand) -> Option<Box<dyn Replay>> {
    match protocol {
        Protocol::Imap => Some(Box::new(mail_proto::imap::Replay::new(errand))),
        Protocol::Pop3 => Some(Box::new(mail_proto::pop3::Replay::new(errand))),
        Protocol::ManageSieve => Some(Box::new(mail_proto::managesieve::Replay::new(errand))),
        Protocol::Submission => Some(Box::new(mail_proto::submission::Replay::new(errand))),
        _ => None,
    }
}
