//! WebSocket: which upgrades are forwarded, and how each HTTP version confirms one.
//!
//! HTTP/1.1 upgrades with `101`, HTTP/2 with an extended `CONNECT` and `200` (RFC 8441). Each side may use
//! either, so the key and its acceptance (RFC 6455 section 4), which only HTTP/1.1 has, are made here where the other
//! side has none.

use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_proto::{Framing, RequestHead, ResponseHead, Version};

use crate::local_reply::LocalReply;

/// RFC 6455 section 1.3.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Leaves an upgrade in the head only where it is forwarded. Any other upgrade is ignored, as RFC 9110 section 7.8
/// allows.
pub(crate) fn judge(head: &mut RequestHead) -> Result<(), LocalReply> {
    let is_websocket = |it: &Bytes| it.eq_ignore_ascii_case(b"websocket");
    if !head.upgrade.as_ref().is_some_and(is_websocket) {
        head.upgrade = None;
        return Ok(());
    }
    if head.version == Version::Http2 {
        head.fields.remove("sec-websocket-key");
        head.fields.push(&b"Sec-WebSocket-Key"[..], key().ok_or(LocalReply::UNAVAILABLE)?);
    } else if &*head.method != b"GET" || head.framing != Framing::None {
        return Err(LocalReply::bad(400, "an upgrade to WebSocket that is not a GET or has a body"));
    }
    Ok(())
}

/// Returns the head that the client gets: `101` or `200`, by its HTTP version. Returns `None` when the backend's
/// acceptance does not match the key.
pub(crate) fn reply(request: &RequestHead, mut head: ResponseHead) -> Option<ResponseHead> {
    let expected = request.fields.get("sec-websocket-key").map(|key| accept(key));
    if head.status == 101 && head.fields.get("sec-websocket-accept").map(|it| &**it) != expected.as_deref() {
        return None;
    }
    head.fields.strip_hop_by_hop();
    head.fields.remove("sec-websocket-accept");
    head.framing = Framing::None;
    if request.version == Version::Http2 {
        head.status = 200;
        head.reason = Bytes::new();
    } else {
        head.status = 101;
        head.reason = Bytes::from_static(b"Switching Protocols");
        head.fields.push(&b"Sec-WebSocket-Accept"[..], expected?);
    }
    head.upgrade = Some(Bytes::from_static(b"websocket"));
    Some(head)
}

fn key() -> Option<String> {
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).ok()?;
    Some(STANDARD.encode(nonce))
}

/// RFC 6455 section 4.2.2. The digest protects nothing: it shows that the server speaks WebSocket.
fn accept(key: &[u8]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(ACCEPT_SUFFIX);
    STANDARD.encode(context.finish()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_key_of_the_rfc() {
        // RFC 6455 section 1.3.
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
