//! LOGIN and AUTHENTICATE PLAIN (RFC 3501 sections 6.2.2, 6.2.3, RFC 4959).
//!
//! A password is taken from the command into the store's comparison and dropped; no response repeats it.

use std::sync::Arc;

use credentials::sasl;
use mail_proto::inbox::Inbox;
use mail_proto::line::{Found, Line};
use types::secret::Secret;

use super::answer::Answer;
use super::{CAPABILITIES, Connection, MAX_ANSWER, State};
use crate::machine::{MAX_FAILURES, Turn};
use crate::store::Maildrop;

// === impl Connection ===

impl Connection {
    pub(super) fn authenticate(&mut self, tag: &str, mechanism: &str, initial: Option<Secret>) -> Turn {
        if mechanism != "PLAIN" {
            return self.finish(tag, &Answer::no("[CANNOT] only PLAIN is offered"), true, Vec::new());
        }
        match initial {
            Some(text) => {
                let message = sasl::decode_initial(text.expose());
                self.authenticated(tag, message.as_ref())
            }
            None => {
                self.state = State::PlainMessage { tag: tag.to_owned() };
                Turn::Write(b"+ \r\n".to_vec())
            }
        }
    }

    fn authenticated(&mut self, tag: &str, message: Option<&Secret>) -> Turn {
        match message {
            None => self.finish(tag, &Answer::bad("that is no base64"), true, Vec::new()),
            Some(message) => {
                let found = self.store.log_in_plain(message);
                self.logged_in(tag, found)
            }
        }
    }

    pub(super) fn logged_in(&mut self, tag: &str, found: Option<Arc<Maildrop>>) -> Turn {
        if let Some(maildrop) = found {
            let login = maildrop.login().to_owned();
            self.maildrop = Some(maildrop);
            let server = self.store.server();
            let text = format!("[CAPABILITY {CAPABILITIES}] {login} is logged in on {server}");
            return self.finish(tag, &Answer::ok(text), true, Vec::new());
        }
        self.failures += 1;
        let line = format!("{tag} NO [AUTHENTICATIONFAILED] wrong name or password\r\n");
        if self.failures < MAX_FAILURES {
            return Turn::Write(line.into_bytes());
        }
        Turn::Close(format!("{line}* BYE too many failures\r\n").into_bytes())
    }

    pub(super) fn plain_message(&mut self, tag: String, inbox: &mut Inbox) -> Turn {
        match self.lines.find(inbox.unread(), MAX_ANSWER) {
            Found::NeedMore => {
                self.state = State::PlainMessage { tag };
                Turn::NeedMore
            }
            Found::TooLong => Turn::Close(b"* BYE that line is too long\r\n".to_vec()),
            Found::Line(Line { text, whole, .. }) => {
                let line = &inbox.unread()[..text];
                let is_cancelled = line == b"*";
                let message = sasl::decode(line);
                inbox.consume(whole);
                if is_cancelled {
                    return self.finish(&tag, &Answer::bad("cancelled"), true, Vec::new());
                }
                self.authenticated(&tag, message.as_ref())
            }
        }
    }
}
