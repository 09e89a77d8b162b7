//! What a header reports, and how long it may be.

use std::net::SocketAddr;

/// The longest accepted header, in bytes: the fixed part of version 2 and [`MAX_V2_LENGTH`].
pub const MAX_HEADER: usize = FIXED_V2 + MAX_V2_LENGTH;

/// The length of the fixed part of a version 2 header: signature, version and command, family, length (section 2.2).
pub(crate) const FIXED_V2: usize = 16;

/// The largest accepted value of the length field of version 2. The format allows 64 KiB; addresses and all registered
/// TLVs fit into a quarter of this.
pub const MAX_V2_LENGTH: usize = 4096;

/// The longest version 1 header, CRLF included (section 2.1).
pub const MAX_V1: usize = 107;

/// What [`parse`](crate::parse) found at the start of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Parsed {
    /// Valid so far, and incomplete. Never with [`MAX_HEADER`] bytes or more.
    Incomplete,
    /// The stream does not begin with a header.
    NotProxy,
    /// The header is malformed or too long: the connection must be closed (sections 2.1, 2.2).
    Invalid(&'static str),
    /// A complete header.
    Header {
        /// What the header reports.
        header: Header,
        /// The header's length in bytes; the client's first byte comes after it.
        length: usize,
    },
}

/// What a header reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The socket's own addresses count: a health check by the proxy in front of us (`LOCAL`), or a connection whose
    /// addresses are unknown to it (`UNKNOWN`, `UNSPEC`) or not of TCP over IP.
    Local,
    /// The client's addresses, IPv4-mapped IPv6 ones as IPv4.
    Proxy {
        /// The client's own address.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
        /// The TLVs of version 2; empty in version 1. Boxed, since most headers have none.
        tlvs: Box<Tlvs>,
    },
}

/// The TLVs of a version 2 header that are understood. A trusted peer sent them, but some repeat what its client sent:
/// escape them before they are logged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tlvs {
    /// The application protocol (section 2.2.1).
    pub alpn: Option<Vec<u8>>,
    /// The host name that the client asked for, its SNI (section 2.2.2).
    pub authority: Option<String>,
    /// The sending proxy's id for the connection, at most 128 bytes (section 2.2.5).
    pub unique_id: Option<Vec<u8>>,
    /// The client's encryption (section 2.2.6).
    pub ssl: Option<Ssl>,
}

/// The `PP2_TYPE_SSL` TLV.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ssl {
    /// Whether the client connected over TLS (`PP2_CLIENT_SSL`).
    pub is_encrypted: bool,
    /// Whether the client sent a certificate that was verified.
    pub is_verified: bool,
    /// The TLS version, such as `TLSv1.3`.
    pub version: Option<String>,
    /// The cipher suite, such as `TLS_AES_128_GCM_SHA256`.
    pub cipher: Option<String>,
    /// The common name of the client's certificate.
    pub common_name: Option<String>,
}

/// Returns whether `bytes` start with `prefix`, or are the start of it.
pub(crate) fn may_start_with(bytes: &[u8], prefix: &[u8]) -> bool {
    let length = bytes.len().min(prefix.len());
    bytes[..length] == prefix[..length]
}
