//! The table of text protocols: a new one is a file in `wire`, a line here and a line in `upstream::replays`.

use mail_proto::step::{Dialogue, Opening};
use types::protocol::Protocol;

/// The client's side; it is there since a probe says its first words too.
pub(crate) use upstream::replay;

/// The server's side of `protocol`, before its greeting; `None` for protocols that pass through or are HTTP.
pub(crate) fn dialogue(protocol: Protocol, opening: Opening) -> Option<Box<dyn Dialogue>> {
    match protocol {
        Protocol::Imap => Some(Box::new(mail_proto::imap::Dialogue::new(opening))),
        Protocol::Pop3 => Some(Box::new(mail_proto::pop3::Dialogue::new(opening))),
        Protocol::ManageSieve => Some(Box::new(mail_proto::managesieve::Dialogue::new(opening))),
        Protocol::Submission => Some(Box::new(mail_proto::submission::Dialogue::new(opening))),
        _ => None,
    }
}
