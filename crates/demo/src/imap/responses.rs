//! Responses on their way to the client (RFC 3501 section 7).

use std::borrow::Cow;

use imap_codec::ResponseCodec;
use imap_codec::encode::Encoder;
use imap_codec::imap_types::core::{Tag, Text};
use imap_codec::imap_types::response::{Code, CodeOther, Data, Response, Status, StatusBody, StatusKind};

use crate::store::Refusal;

/// OK, NO or BAD with its code and text: what ends a command.
pub(super) struct Reply(pub(super) StatusBody<'static>);

/// Encoded responses that are not sent yet.
pub(super) type Responses = Vec<u8>;

/// Appends a response.
pub(super) fn data(out: &mut Responses, data: Data<'_>) {
    out.append(&mut ResponseCodec::default().encode(&Response::Data(data)).dump());
}

/// Appends a tagged status response, or an untagged one.
pub(super) fn status(out: &mut Responses, tag: Option<Tag<'_>>, Reply(body): Reply) {
    let Ok(status) = Status::new(tag, body.kind, body.code, body.text);
    out.append(&mut ResponseCodec::default().encode(&Response::Status(status)).dump());
}

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

// === impl Reply ===

impl From<Refusal> for Reply {
    fn from(Refusal(code, text): Refusal) -> Self {
        no(code, text)
    }
}

impl Reply {
    pub(super) fn with(self, code: Code<'static>) -> Self {
        Self(StatusBody { code: Some(code), ..self.0 })
    }
}
