//! The machine that speaks each text protocol to clients: a new protocol is a module of `mail-proto`, a line here, and a
//! line in `mail-leg::protocols` for the backend's side.

use mail_proto::step::{Dialogue, DialogueContext};
use mail_proto::verdict::CloseReason;
use mail_proto::{imap, managesieve, passthrough, pop3, submission};
use types::protocol::Protocol;

/// Returns the server's side of `protocol` before its greeting, or `None` for protocols that pass through and for HTTP.
pub(crate) fn dialogue(protocol: Protocol, context: DialogueContext) -> Option<Box<dyn Dialogue>> {
    match protocol {
        Protocol::Imap => Some(Box::new(imap::Dialogue::new(context))),
        Protocol::Pop3 => Some(Box::new(pop3::Dialogue::new(context))),
        Protocol::ManageSieve => Some(Box::new(managesieve::Dialogue::new(context))),
        Protocol::Submission => Some(Box::new(submission::Dialogue::new(context))),
        Protocol::Smtp | Protocol::Lmtp | Protocol::Http => None,
    }
}

/// Returns what a client is sent before its connection is closed.
pub(crate) fn farewell(protocol: Protocol, why: CloseReason) -> Vec<u8> {
    match protocol {
        Protocol::Imap => imap::Dialogue::farewell_for(why),
        Protocol::Pop3 => pop3::Dialogue::farewell_for(why),
        Protocol::ManageSieve => managesieve::Dialogue::farewell_for(why),
        Protocol::Submission => submission::Dialogue::farewell_for(why),
        Protocol::Smtp | Protocol::Lmtp => passthrough::farewell(why).to_vec(),
        Protocol::Http => Vec::new(),
    }
}
