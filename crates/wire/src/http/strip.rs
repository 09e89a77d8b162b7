//! Fields that must not pass: those of one connection, and those that say who the client is.

use super::fields::{Fields, is};

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

// === impl Fields ===

impl Fields {
    /// Takes out what is meant for the one connection on which it came.
    pub fn strip_hop_by_hop(&mut self) {
        let listed: Vec<Vec<u8>> = self.members("connection").map(<[u8]>::to_ascii_lowercase).collect();
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
    let folded: Vec<u8> =
        name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
    folded == b"forwarded"
        || folded.starts_with(b"x-forwarded-")
        || folded == b"x-forwarded"
        || folded == b"forwarded-for"
        || folded == b"x-real-ip"
        || folded == b"x-client-ip"
        || folded == b"client-ip"
        || folded == b"x-cluster-client-ip"
        || folded == b"true-client-ip"
        || folded == b"cf-connecting-ip"
        || folded == b"x-original-forwarded-for"
        // Not who, but what: some frameworks take the path from these, past every rule.
        || folded == b"x-original-url"
        || folded == b"x-rewrite-url"
}
