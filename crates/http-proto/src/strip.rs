//! Fields that are not forwarded: hop-by-hop fields, and fields that claim a client address.

use bytes::Bytes;

use super::fields::{Fields, is, members};

/// Fields that a client cannot remove by listing them in `Connection`, in addition to `Content-…` and the forwarded
/// fields: the backend must decide by the same fields as this proxy.
const KEPT: [&str; 10] = [
    "host",
    "authorization",
    "www-authenticate",
    "cookie",
    "set-cookie",
    "origin",
    "expect",
    "trailer",
    "location",
    "via",
];

/// The hop-by-hop fields of RFC 9110 section 7.6.1 and of older programs. `Transfer-Encoding` and `Content-Length` are
/// written from the framing instead.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-authorization",
    "proxy-authenticate",
];

/// Fields that are not allowed in trailers (RFC 9110 section 6.5.1): framing, routing, credentials, modifiers, control
/// data. Some servers merge trailers into the head.
const NOT_IN_TRAILERS: [&str; 33] = [
    "content-length",
    "content-type",
    "content-encoding",
    "content-range",
    "content-location",
    "host",
    "authorization",
    "www-authenticate",
    "authentication-info",
    "cookie",
    "set-cookie",
    "origin",
    "te",
    "trailer",
    "expect",
    "max-forwards",
    "range",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "cache-control",
    "pragma",
    "age",
    "date",
    "expires",
    "location",
    "retry-after",
    "vary",
    "via",
    "destination",
    "depth",
];

/// Fields that claim a client address, and fields from which some frameworks take the path, bypassing every rule.
const FORWARDED: [&str; 16] = [
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "x-cluster-client-ip",
    "x-originating-ip",
    "x-remote-ip",
    "x-remote-addr",
    "fastly-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-original-forwarded-for",
    "x-original-url",
    "x-rewrite-url",
];
const FORWARDED_PREFIX: &str = "x-forwarded-";

// === impl Fields ===

impl Fields {
    /// Removes the hop-by-hop fields, except `TE: trailers`.
    pub fn strip_hop_by_hop(&mut self) {
        // The clones share the buffer of the head: no bytes are copied.
        let listed: Vec<Bytes> = self.get_all("connection").cloned().collect();
        let listed: Vec<&[u8]> = listed.iter().flat_map(|value| members(value)).collect();
        let is_listed = |name: &[u8]| listed.iter().any(|it| name.eq_ignore_ascii_case(it)) && !is_kept(name);
        let takes_trailers = self.lists("te", "trailers");
        self.retain(|name, _| {
            !HOP_BY_HOP.iter().any(|hop| is(name, hop)) && !is(name, "te") && !is_listed(name)
        });
        if takes_trailers {
            self.push(&b"TE"[..], &b"trailers"[..]);
        }
    }

    /// Removes the fields that claim a client address, in every spelling that a server might treat as the same name.
    pub fn strip_forwarded(&mut self) {
        self.retain(|name, _| !is_forwarded(name));
    }

    /// Removes the fields that are not allowed in trailers.
    pub(super) fn strip_from_trailers(&mut self) {
        let is_forbidden = |name: &[u8]| {
            NOT_IN_TRAILERS.iter().chain(&HOP_BY_HOP).any(|it| is_folded(name, it)) || is_forwarded(name)
        };
        self.retain(|name, _| !is_forbidden(name));
    }
}

fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|kept| is(name, kept)) || begins_folded(name, "content-") || is_forwarded(name)
}

fn is_forwarded(name: &[u8]) -> bool {
    FORWARDED.iter().any(|known| is_folded(name, known)) || begins_folded(name, FORWARDED_PREFIX)
}

/// Returns whether a server that passes fields as environment variables (RFC 3875 section 4.1.18) would read `name` as
/// `known`, which is in lower case: `X_Forwarded.For` becomes `HTTP_X_FORWARDED_FOR`.
pub(super) fn is_folded(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins_folded(name, known)
}

fn begins_folded(name: &[u8], known: &str) -> bool {
    let fold = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() >= known.len() && name[..known.len()].iter().map(fold).eq(known.bytes())
}
