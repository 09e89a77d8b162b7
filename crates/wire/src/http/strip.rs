//! Fields that must not pass: those of one connection, and those that say who the client is.

use bytes::Bytes;

use super::fields::{Fields, is, members};

/// Never removed because `Connection` lists it: what routes a request, and what we say of the client.
const KEPT: [&str; 9] = [
    "host",
    "authorization",
    "cookie",
    "content-length",
    "content-type",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
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

/// Fields that decide about the message must not come behind it (RFC 9110 section 6.5.1).
const NOT_IN_TRAILERS: [&str; 14] = [
    "content-length",
    "transfer-encoding",
    "host",
    "authorization",
    "cookie",
    "set-cookie",
    "content-type",
    "content-encoding",
    "content-range",
    "trailer",
    "te",
    "connection",
    "upgrade",
    "expect",
];

/// What says who the client is, and what some frameworks take the path from, past every rule.
const FORWARDED: [&str; 12] = [
    "forwarded",
    "forwarded-for",
    "x-forwarded",
    "x-real-ip",
    "x-client-ip",
    "client-ip",
    "x-cluster-client-ip",
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
        let is_listed = |name: &[u8]| {
            !KEPT.iter().any(|kept| is(name, kept)) && listed.iter().any(|it| name.eq_ignore_ascii_case(it))
        };
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
        self.retain(|name, _| !NOT_IN_TRAILERS.iter().any(|it| is(name, it)) && !is_forwarded(name));
    }
}

fn is_forwarded(name: &[u8]) -> bool {
    FORWARDED.iter().any(|known| is_folded(name, known))
        || FORWARDED_PREFIX.len() <= name.len()
            && is_folded(&name[..FORWARDED_PREFIX.len()], FORWARDED_PREFIX)
}

/// The same name to a server that takes `_` for `-`, as those do that hand fields on as variables.
pub(super) fn is_folded(name: &[u8], known: &str) -> bool {
    let fold = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == known.len() && name.iter().map(fold).eq(known.bytes())
}
