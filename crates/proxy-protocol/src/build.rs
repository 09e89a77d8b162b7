//! The version 2 header that a backend gets in front of everything else.
//!
//! The header goes out in one piece of at most [`MAX_OUTGOING`] bytes: an extra that does not fit is left
//! out whole, never cut. An address that we do not know is never invented: then the header says `LOCAL`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::header::FIXED_V2;
use crate::v2::{
    ALPN, AUTHORITY, CLIENT_SSL, LOCAL, MAX_UNIQUE_ID, PROXY, SIGNATURE, SSL, SSL_CIPHER, SSL_VERSION, TCP4,
    TCP6, UNIQUE_ID,
};

/// The longest header that is built, in bytes: it fits into the smallest segment that any host must take
/// (section 2), for receivers that demand it in one read.
pub const MAX_OUTGOING: usize = 536;

/// What a backend is told of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The client's own address.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// The client's encryption; `None` = it has none.
    pub ssl: Option<SslInfo>,
    /// The SNI that the client sent.
    pub authority: Option<String>,
    /// The session's id; left out when it is longer than the 128 bytes of section 2.2.5.
    pub unique_id: Option<String>,
    /// The application protocol, for HTTP.
    pub alpn: Option<Vec<u8>>,
    /// Whether to send any of the above but the addresses.
    pub tlvs: bool,
}

/// How a client's connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslInfo {
    /// As in `TLSv1.3`.
    pub version: String,
    /// As in `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
}

/// Appends the header for `outgoing`.
///
/// Two families become one by mapping the IPv4 address (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2), which
/// names the same host. Where an address is unspecified there is nothing to tell, and `LOCAL` is sent:
/// Dovecot and Postfix refuse `PROXY` with `UNSPEC`.
pub fn build_v2(out: &mut Vec<u8>, outgoing: &Outgoing) {
    let (source, destination) =
        (outgoing.source.ip().to_canonical(), outgoing.destination.ip().to_canonical());
    if source.is_unspecified() || destination.is_unspecified() {
        return build_local(out);
    }
    let mut block = Vec::with_capacity(MAX_OUTGOING - FIXED_V2);
    let family = if let (IpAddr::V4(source), IpAddr::V4(destination)) = (source, destination) {
        block.extend_from_slice(&source.octets());
        block.extend_from_slice(&destination.octets());
        TCP4
    } else {
        block.extend_from_slice(&mapped(source).octets());
        block.extend_from_slice(&mapped(destination).octets());
        TCP6
    };
    block.extend_from_slice(&outgoing.source.port().to_be_bytes());
    block.extend_from_slice(&outgoing.destination.port().to_be_bytes());
    if outgoing.tlvs {
        push_extras(&mut block, outgoing);
    }
    push(out, PROXY, family, &block);
}

/// Appends a `LOCAL` header: the connection is our own, as a health check's is.
pub fn build_local(out: &mut Vec<u8>) {
    // "When a sender presents a LOCAL connection, it should not present any address so it sets this field to
    // zero." Dovecot would read what follows as TLVs.
    push(out, LOCAL, 0, &[]);
}

fn push(out: &mut Vec<u8>, command: u8, family: u8, block: &[u8]) {
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[command, family]);
    // `block` is bounded by `MAX_OUTGOING`.
    out.extend_from_slice(&u16::try_from(block.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(block);
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// What the backend acts upon first: whether the leg counts as secured, then what ties the logs together.
fn push_extras(block: &mut Vec<u8>, outgoing: &Outgoing) {
    if let Some(info) = &outgoing.ssl {
        push_extra(block, SSL, &ssl(info));
    }
    if let Some(id) = outgoing.unique_id.as_ref().filter(|id| id.len() <= MAX_UNIQUE_ID) {
        push_extra(block, UNIQUE_ID, id.as_bytes());
    }
    if let Some(authority) = &outgoing.authority {
        push_extra(block, AUTHORITY, authority.as_bytes());
    }
    if let Some(alpn) = &outgoing.alpn {
        push_extra(block, ALPN, alpn);
    }
}

/// Appends one extra, if the header still fits into [`MAX_OUTGOING`] with it.
fn push_extra(block: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len()) else { return };
    if FIXED_V2 + block.len() + 3 + value.len() <= MAX_OUTGOING {
        block.push(kind);
        block.extend_from_slice(&length.to_be_bytes());
        block.extend_from_slice(value);
    }
}

/// Section 2.2.6: over TLS, and no claim about a certificate. `verify` is then "non-zero"; receivers that
/// look at it (Dovecot does not) ask for the certificate's bits first.
fn ssl(info: &SslInfo) -> Vec<u8> {
    let mut value = vec![CLIENT_SSL, 0, 0, 0, 1];
    push_extra(&mut value, SSL_VERSION, info.version.as_bytes());
    push_extra(&mut value, SSL_CIPHER, info.cipher.as_bytes());
    value
}
