//! The machine that speaks each text protocol to clients: a new protocol is a module of `mail-proto`, a line here, and a
//! line in `mail-leg::protocols` for the backend's side.

use mail_proto::step::{Dialogue, DialogueContext};
use types::protocol::Protocol;

/// Returns the server's side of `protocol` before its greeting, or `None` for protocols that pass through and for HTTP.
pub(crate) fn dialogue(protocol: Protocol, context: DialogueContext) -> Option<Box<dyn Dialogue>> {
    match protocol {
        Protocol::Imap => Some(Box::new(mail_proto::imap::Dialogue::new(context))),
        Protocol::Pop3 => Some(Box::new(mail_proto::pop3::Dialogue::new(context))),
        Protocol::ManageSieve => Some(Box::new(mail_proto::managesieve::Dialogue::new(context))),
        Protocol::Submission => Some(Box::new(mail_proto::submission::Dialogue::new(context))),
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => None,
    }
}
