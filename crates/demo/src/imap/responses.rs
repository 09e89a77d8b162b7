//! Responses on their way to the client (RFC 3501 section 7).

use std::borrow::Cow;

use imap_codec::ResponseCodec;
use imap_codec::encode::Encoder;
use imap_codec::imap_types::core::{Tag, Text};
use imap_codec::imap_types::response::{Code, CodeOther, Data, Response, Status, StatusBody, StatusKind};

use crate::store::{NO_SUCH_MAILBOX, Refusal};

/// OK, NO or BAD with its code and text: what ends a command.
pub(super) struct Reply(pub(super) StatusBody<'static>);

/// Encoded responses that are not sent yet.
#[derive(Default)]
pub(super) struct Responses(Vec<u8>);

fn reply(kind: StatusKind, text: impl Into<Cow<'static, str>>) -> Reply {
    Reply(StatusBody { kind, code: None, text: Text::unvalidated(text) })
}

pub(super) fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
    reply(StatusKind::Ok, text)
}

pub(super) fn bad(text: &'static str) -> Reply {
    reply(StatusKind::Bad, text)
}

pub(super) fn no(code: &'static str, text: &'static str) -> Reply {
    reply(StatusKind::No, text).with(Code::Other(CodeOther::unvalidated(code.as_bytes())))
}

/// NO, with the store's reason.
pub(super) fn refused(&Refusal(code, text): &Refusal) -> Reply {
    no(code, text)
}

/// The same for a mailbox that the client may create to succeed (RFC 3501 section 6.3.11).
pub(super) fn refused_target(refusal: &Refusal) -> Reply {
    if *refusal == NO_SUCH_MAILBOX { refused(refusal).with(Code::TryCreate) } else { refused(refusal) }
}

// === impl Reply ===

impl Reply {
    pub(super) fn with(self, code: Code<'static>) -> Self {
        Self(StatusBody { code: Some(code), ..self.0 })
    }
}

// === impl Responses ===

impl Responses {
    pub(super) fn data(&mut self, data: Data<'_>) {
        self.push(&Response::Data(data));
    }

    pub(super) fn status(&mut self, tag: Option<Tag<'_>>, Reply(body): Reply) {
        let Ok(status) = Status::new(tag, body.kind, body.code, body.text);
        self.push(&Response::Status(status));
    }

    /// What is to be sent now.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    fn push(&mut self, response: &Response<'_>) {
        self.0.append(&mut ResponseCodec::default().encode(response).dump());
    }
}
