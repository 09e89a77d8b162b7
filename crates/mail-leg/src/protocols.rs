//! The machine that speaks each text protocol to a backend: a new protocol is a module of `mail-proto` and a line here.

use mail_proto::step::{Replay, ReplayContext};
use types::protocol::Protocol;

/// Returns our side of `protocol` before the backend's greeting, or `None` for HTTP.
#[must_use]
pub fn replay(protocol: Protocol, context: ReplayContext) -> Option<Box<dyn Replay>> {
    match protocol {
        Protocol::Imap => Some(Box::new(mail_proto::imap::Replay::new(context))),
        Protocol::Pop3 => Some(Box::new(mail_proto::pop3::Replay::new(context))),
        Protocol::ManageSieve => Some(Box::new(mail_proto::managesieve::Replay::new(context))),
        Protocol::Submission => Some(Box::new(mail_proto::submission::Replay::new(context))),
        Protocol::Smtp | Protocol::Lmtp => {
            Some(Box::new(mail_proto::passthrough::Replay::new(protocol, context)))
        }
        Protocol::Http => None,
    }
}
