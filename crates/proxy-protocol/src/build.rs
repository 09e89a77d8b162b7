//! Writing the version 2 header that is sent to a backend before any other byte.
//!
//! The header is at most [`MAX_OUTGOING`] bytes long: a TLV that does not fit is omitted, never truncated. An address that
//! is not known is never made up: the header is then `LOCAL`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::header::FIXED_V2;
use crate::v2::{
    ALPN, AUTHORITY, CLIENT_SSL, LOCAL, MAX_UNIQUE_ID, PROXY, SIGNATURE, SSL, SSL_CIPHER, SSL_VERSION, TCP4,
    TCP6, UNIQUE_ID,
};

/// The longest header that is written, in bytes: it fits into the smallest segment that every host must accept
/// (section 2), for receivers that expect it in one read.
pub const MAX_OUTGOING: usize = 536;

/// The facts about a client that a header reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The client's own address.
    pub source: SocketAddr,
    /// The address that the client connected to.
    pub destination: SocketAddr,
    /// The encryption of the client's connection; `None` without TLS.
    pub ssl: Option<SslInfo>,
    /// The SNI that the client sent.
    pub authority: Option<String>,
    /// The session's id; omitted when it is longer than 128 bytes (section 2.2.5).
    pub unique_id: Option<String>,
    /// The application protocol, for HTTP.
    pub alpn: Option<Vec<u8>>,
    /// Whether to send TLVs, that is, anything but the addresses.
    pub tlvs: bool,
}

/// The encryption of a client's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SslInfo {
    /// The TLS version, such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: String,
}

/// Appends the header for `outgoing`.
///
/// If the two addresses are of different families, the IPv4 address is mapped (`::ffff:192.0.2.1`, RFC 4291 section
/// 2.5.5.2). If one of them is unspecified, the header is `LOCAL`: Dovecot and Postfix refuse `PROXY` with `UNSPEC`.
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
        push_tlvs(&mut block, outgoing);
    }
    push(out, PROXY, family, &block);
}

/// Appends a `LOCAL` header, which says that the connection is our own, such as a health check.
pub fn build_local(out: &mut Vec<u8>) {
    // Section 2.2: a LOCAL header has no addresses, so its family is 0. Dovecot would read addresses as TLVs.
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

/// Appends the TLVs in order of importance, since those that do not fit are omitted: first the one that decides whether
/// the backend treats the connection as secure, then the one that correlates the logs.
fn push_tlvs(block: &mut Vec<u8>, outgoing: &Outgoing) {
    if let Some(info) = &outgoing.ssl {
        push_tlv(block, SSL, &ssl(info));
    }
    if let Some(id) = outgoing.unique_id.as_ref().filter(|id| id.len() <= MAX_UNIQUE_ID) {
        push_tlv(block, UNIQUE_ID, id.as_bytes());
    }
    if let Some(authority) = &outgoing.authority {
        push_tlv(block, AUTHORITY, authority.as_bytes());
    }
    if let Some(alpn) = &outgoing.alpn {
        push_tlv(block, ALPN, alpn);
    }
}

/// Appends one TLV, if the header then still fits into [`MAX_OUTGOING`].
fn push_tlv(block: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let Ok(length) = u16::try_from(value.len()) else { return };
    if FIXED_V2 + block.len() + 3 + value.len() <= MAX_OUTGOING {
        block.push(kind);
        block.extend_from_slice(&length.to_be_bytes());
        block.extend_from_slice(value);
    }
}

/// Returns the value of the SSL TLV (section 2.2.6): the client uses TLS, without a claim about a certificate, so
/// `verify` is not zero. Receivers that evaluate it (Dovecot does not) check the certificate's bits first.
fn ssl(info: &SslInfo) -> Vec<u8> {
    let mut value = vec![CLIENT_SSL, 0, 0, 0, 1];
    push_tlv(&mut value, SSL_VERSION, info.version.as_bytes());
    push_tlv(&mut value, SSL_CIPHER, info.cipher.as_bytes());
    value
}
