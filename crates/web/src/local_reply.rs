//! Responses of our own: what a client gets when no backend responds.
//!
//! Problem details (RFC 9457), which JMAP clients read (RFC 8620 section 3.6.1) and people too.

use bytes::Bytes;
use http_proto::{Fields, Framing, ResponseHead, Version};

use crate::body::Broken;
use crate::client::Client;
use crate::outcome::ExchangeFailure;
use types::fault::Fault;

/// A response of our own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LocalReply {
    pub(crate) status: u16,
    title: &'static str,
    pub(crate) detail: &'static str,
    /// Seconds.
    retry_after: Option<u32>,
    /// Whether it asks for credentials.
    challenges: bool,
}

/// The methods of `Allow` in the response to `OPTIONS *`: those of HTTP (RFC 9110), WebDAV (RFC 4918) and CalDAV.
const ALLOWED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, PROPPATCH, MKCOL, COPY, MOVE, LOCK, \
                       UNLOCK, REPORT, SEARCH, MKCALENDAR, ACL";

/// How long a client is asked to wait for a destination to come back.
const RETRY_AFTER: u32 = 10;

// === impl LocalReply ===

impl LocalReply {
    pub(crate) const NO_RULE: Self = Self::of(404, "Not Found", "No route matches this path.");
    pub(crate) const LATE_HEAD: Self = Self::bad(408, "the head of the request did not arrive in time");
    pub(crate) const LATE_BODY: Self = Self::bad(408, "the body of the request did not arrive in time");
    pub(crate) const NO_LEG: Self =
        Self::of(502, "Bad Gateway", "The server that holds this account has no HTTP service.");
    pub(crate) const BAD_GATEWAY: Self = Self::of(502, "Bad Gateway", "The server sent an invalid response.");
    /// Not a 503, whose `Retry-After` would invite the client to repeat what the server may have done.
    pub(crate) const NO_RESPONSE: Self =
        Self::of(502, "Bad Gateway", "The server closed the connection without a response.");
    pub(crate) const SERVER_OPTIONS: Self = Self::of(204, "No Content", "");
    pub(crate) const TIMED_OUT: Self =
        Self::of(504, "Gateway Timeout", "The server did not respond in time.");
    pub(crate) const UNAVAILABLE: Self = Self {
        retry_after: Some(RETRY_AFTER),
        ..Self::of(
            503,
            "Service Unavailable",
            "The server that holds this account is temporarily unavailable.",
        )
    };
    pub(crate) const BUSY: Self = Self {
        retry_after: Some(RETRY_AFTER),
        ..Self::of(503, "Service Unavailable", "Too many connections. Try again later.")
    };
    pub(crate) const UNAUTHORIZED: Self =
        Self { challenges: true, ..Self::of(401, "Unauthorized", "The credentials were not accepted.") };
    pub(crate) const NO_UPGRADE: Self =
        Self::of(502, "Bad Gateway", "The server does not accept WebSocket connections.");

    pub(crate) const fn of(status: u16, title: &'static str, detail: &'static str) -> Self {
        Self { status, title, detail, retry_after: None, challenges: false }
    }

    /// Returns the response to a request that is ambiguous or too large. `detail` names the rule that it breaks.
    pub(crate) const fn bad(status: u16, detail: &'static str) -> Self {
        let title = match status {
            405 => "Method Not Allowed",
            408 => "Request Timeout",
            414 => "URI Too Long",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Bad Request",
        };
        Self::of(status, title, detail)
    }

    /// Returns the response for a destination that could not be connected to.
    pub(crate) const fn unreachable(fault: Fault) -> Self {
        match fault {
            Fault::ConnectTimeout | Fault::TimedOut => Self::TIMED_OUT,
            _ => Self::UNAVAILABLE,
        }
    }

    /// For an exchange that came to nothing.
    pub(crate) const fn failed(failure: &ExchangeFailure) -> Self {
        match failure {
            ExchangeFailure::NoAnswer { .. } => Self::NO_RESPONSE,
            ExchangeFailure::BadAnswer(_) => Self::BAD_GATEWAY,
            ExchangeFailure::Silent => Self::TIMED_OUT,
            ExchangeFailure::BadBody(what) => Self::bad(400, what),
        }
    }

    /// Gives it. `last`: no other request is taken on this connection. `method`: `HEAD` gets no body.
    pub(crate) async fn give<C: Client>(
        self,
        client: &mut C,
        method: &[u8],
        last: bool,
    ) -> Result<(), Broken> {
        let (mut head, body) = self.into_response();
        if method == b"HEAD" {
            head.framing = Framing::None;
        }
        let has_body = head.framing != Framing::None;
        client.begin(head, has_body.then_some(body), last).await?;
        client.finish().await
    }

    /// Returns the head and the body of the response.
    pub(crate) fn into_response(self) -> (ResponseHead, Bytes) {
        let Self { status, title, detail, retry_after, challenges } = self;
        // None of these strings comes from outside, so none has to be escaped.
        let body = format!(
            "{{\"type\":\"about:blank\",\"status\":{status},\"title\":\"{title}\",\"detail\":\"{detail}\"}}\n"
        );
        let mut fields = Fields::default();
        if status == 204 {
            fields.push(&b"Allow"[..], ALLOWED);
            return (Self::head(status, title, fields, Framing::None), Bytes::new());
        }
        fields.push(&b"Content-Type"[..], &b"application/problem+json"[..]);
        fields.push(&b"Cache-Control"[..], &b"no-store"[..]);
        if let Some(seconds) = retry_after {
            fields.push(&b"Retry-After"[..], seconds.to_string());
        }
        if challenges {
            fields.push(&b"WWW-Authenticate"[..], &b"Basic realm=\"mail\", charset=\"UTF-8\""[..]);
            fields.push(&b"WWW-Authenticate"[..], &b"Bearer"[..]);
        }
        let framing = Framing::Length(body.len() as u64);
        (Self::head(status, title, fields, framing), body.into())
    }

    fn head(status: u16, reason: &'static str, fields: Fields, framing: Framing) -> ResponseHead {
        ResponseHead {
            version: Version::Http11,
            status,
            reason: Bytes::from_static(reason.as_bytes()),
            fields,
            framing,
            keeps_alive: true,
            upgrade: None,
        }
    }
}

/// `100 Continue`: the client may send its body.
pub(crate) fn go_on() -> ResponseHead {
    ResponseHead {
        version: Version::Http11,
        status: 100,
        reason: Bytes::from_static(b"Continue"),
        fields: Fields::default(),
        framing: Framing::None,
        keeps_alive: true,
        upgrade: None,
    }
}
