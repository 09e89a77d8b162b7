//! The table of text protocols towards backends: a new one is a file in `wire` and a line here.

use mail_proto::step::{Replay, ReplayContext};
use types::protocol::Protocol;

/// The client's side of `protocol`, before the backend's greeting; `None` for protocols that pass through or
/// are HTTP.
#[must_use]
pub fn replay(protocol: Protocol, context: ReplayContext) -> Option<Box<dyn Replay>> {
    match protocol {
        Protocol::Imap => Some(Box::new(mail_proto::imap::Replay::new(context))),
        Protocol::Pop3 => Some(Box::new(mail_proto::pop3::Replay::new(context))),
        Protocol::ManageSieve => Some(Box::new(mail_proto::managesieve::Replay::new(context))),
        Protocol::Submission => Some(Box::new(mail_proto::submission::Replay::new(context))),
        _ => None,
    }
}
