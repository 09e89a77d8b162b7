//! Fields that must not pass: those of one connection, and those that say who the client is.

use bytes::Bytes;

use super::fields::{Fields, is, members};

/// Never removed because `Connection` lists it, beside `Content-…` and what says who the client is: a backend must
/// judge by what we judged by.
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

/// RFC 9110 section 7.6.1, and what older programs treat so. `Transfer-Encoding` and `Content-Length` are
/// written anew from the framing.
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

/// Fields that decide about the message must not come behind it (RFC 9110 section 6.5.1): framing, routing,
/// credentials, modifiers, control data. There are servers that merge trailers into the head.
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

/// What says who the client is, and what some frameworks take the path from, past every rule.
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
    /// Takes out what is meant for the one connection on which it came.
    pub fn strip_hop_by_hop(&mut self) {
        // Shares the head's buffer: nothing is copied.
        let listed: Vec<Bytes> = self.get_all("connection").cloned().collect();
        let listed: Vec<&[u8]> = listed.iter().flat_map(|value| members(value)).collect();
        let is_listed = |name: &[u8]| !is_kept(name) && listed.iter().any(|it| name.eq_ignore_ascii_case(it));
        let takes_trailers = self.lists("te", "trailers");
        self.retain(|name, _| {
            !HOP_BY_HOP.iter().any(|hop| is(name, hop)) && !is(name, "te") && !is_listed(name)
        });
        if takes_trailers {
            self.push(&b"TE"[..], &b"trailers"[..]);
        }
    }

    /// Takes out what says who the client is, in every spelling that a server may fold into one.
    pub fn strip_forwarded(&mut self) {
        self.retain(|name, _| !is_forwarded(name));
    }

    /// Takes out of trailers what must not stand there.
    pub(super) fn strip_from_trailers(&mut self) {
        let is_of_head = |name: &[u8]| {
            NOT_IN_TRAILERS.iter().chain(&HOP_BY_HOP).any(|it| is_folded(name, it)) || is_forwarded(name)
        };
        self.retain(|name, _| !is_of_head(name));
    }
}

fn is_kept(name: &[u8]) -> bool {
    KEPT.iter().any(|kept| is(name, kept)) || begins_folded(name, "content-") || is_forwarded(name)
}

fn is_forwarded(name: &[u8]) -> bool {
    FORWARDED.iter().any(|known| is_folded(name, known)) || begins_folded(name, FORWARDED_PREFIX)
}

/// The same name to a server that hands fields on as variables: those take any mark for the one that a variable's
/// name may have (`X_Forwarded.For` is `HTTP_X_FORWARDED_FOR`, RFC 3875 section 4.1.18). `known` in small letters.
pub(super) fn is_folded(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins_folded(name, known)
}

fn begins_folded(name: &[u8], known: &str) -> bool {
    let fold = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
    name.len() >= known.len() && name[..known.len()].iter().map(fold).eq(known.bytes())
}
