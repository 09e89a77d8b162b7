//! The PROXY protocol, versions 1 and 2: how a connection tells whose it really is.
//!
//! Section numbers are those of HAProxy's `doc/proxy-protocol.txt` (2020/03/05). What must never happen: a
//! byte behind the header is taken for a part of it, an address is made up, or a length that a stranger
//! wrote makes us wait for, or hold, more than [`MAX_HEADER`].

use std::net::SocketAddr;

mod build;
mod checksum;
mod v1;
mod v2;

pub use build::{MAX_OUTGOING, Outgoing, SslInfo, build_local, build_v2};

/// The longest header that is taken, in bytes: version 2's fixed part and [`MAX_V2_LENGTH`].
pub const MAX_HEADER: usize = v2::FIXED + MAX_V2_LENGTH;

/// The largest length field of a version 2 header that is taken. The format allows 64 KiB; addresses and
/// every registered TLV fit into a quarter of this.
pub const MAX_V2_LENGTH: usize = 4096;

/// The longest version 1 header, CRLF included (section 2.1).
pub const MAX_V1: usize = 107;

/// What [`parse`] found at the start of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Parsed {
    /// Nothing wrong so far, and not whole yet. Never with [`MAX_HEADER`] bytes or more.
    Incomplete,
    /// These bytes are not the start of a header: the stream has none.
    NotProxy,
    /// They are one, but a bad one, or one that is too long: the connection must end (sections 2.1, 2.2).
    Invalid(&'static str),
    /// A whole header.
    Header {
        /// What it says.
        header: Header,
        /// Its length in bytes; the stream proper begins behind it.
        length: usize,
    },
}

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The socket's own addresses count: a health check of the front (`LOCAL`), or a connection whose
    /// addresses it could not tell (`UNKNOWN`, `UNSPEC`) or that are not of TCP over IP.
    Local,
    /// The client's addresses, IPv4-mapped IPv6 ones as IPv4.
    Proxy {
        /// The client's own address.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
        /// Version 2's extras; empty in version 1. since most headers have none.
        tlvs: Box<Tlvs>,
    },
}

/// The extras of a version 2 header that we know. The words of a trusted peer, but what a client sent it:
/// to be escaped before they are logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs {
    /// The application protocol (section 2.2.1).
    pub alpn: Option<Vec<u8>>,
    /// The host name that the client asked for, its SNI (section 2.2.2).
    pub authority: Option<String>,
    /// The front's name for the connection, at most 128 bytes (section 2.2.5).
    pub unique_id: Option<Vec<u8>>,
    /// The client's encryption (section 2.2.6).
    pub ssl: Option<Ssl>,
}

/// The `PP2_TYPE_SSL` extra.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssl {
    /// Whether the client connected over TLS (`PP2_CLIENT_SSL`).
    pub is_encrypted: bool,
    /// Whether the client showed a certificate, and it was verified.
    pub is_verified: bool,
    /// As in `TLSv1.3`.
    pub version: Option<String>,
    /// As in `TLS_AES_128_GCM_SHA256`.
    pub cipher: Option<String>,
    /// The common name of the client's certificate.
    pub common_name: Option<String>,
}

/// Looks for a header at the start of `bytes`, which may hold more than it.
pub fn parse(bytes: &[u8]) -> Parsed {
    if v2::begins(bytes) {
        v2::parse(bytes)
    } else if v1::begins(bytes) {
        v1::parse(bytes)
    } else {
        Parsed::NotProxy
    }
}

/// Whether `bytes` begin with `mark`, or are its beginning.
fn agrees(bytes: &[u8], mark: &[u8]) -> bool {
    let length = bytes.len().min(mark.len());
    bytes[..length] == mark[..length]
}

#[cfg(test)]
mod tests;
