//! Version 2: a binary block (section 2.2).
//!
//! The length is checked as soon as its two bytes have arrived, before the bytes that they announce are waited for.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::checksum;
use crate::header::{FIXED_V2, Header, MAX_V2_LENGTH, Parsed, Ssl, Tlvs, may_start_with};

/// The signature at the start of every version 2 header.
pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// `LOCAL` of version 2.
pub(super) const LOCAL: u8 = 0x20;
/// `PROXY` of version 2.
pub(super) const PROXY: u8 = 0x21;
/// The address family `AF_INET` with `STREAM`.
pub(super) const TCP4: u8 = 0x11;
/// The address family `AF_INET6` with `STREAM`.
pub(super) const TCP6: u8 = 0x21;
/// The length of two IPv4 addresses and two ports, in bytes.
const TCP4_LENGTH: usize = 12;

/// `PP2_TYPE_ALPN`.
pub(super) const ALPN: u8 = 0x01;
/// `PP2_TYPE_AUTHORITY`.
pub(super) const AUTHORITY: u8 = 0x02;
/// `PP2_TYPE_CRC32C`.
const CRC32C: u8 = 0x03;
/// `PP2_TYPE_UNIQUE_ID`.
pub(super) const UNIQUE_ID: u8 = 0x05;
/// `PP2_TYPE_SSL`.
pub(super) const SSL: u8 = 0x20;
/// `PP2_SUBTYPE_SSL_VERSION`.
pub(super) const SSL_VERSION: u8 = 0x21;
/// `PP2_SUBTYPE_SSL_CN`.
const SSL_CN: u8 = 0x22;
/// `PP2_SUBTYPE_SSL_CIPHER`.
pub(super) const SSL_CIPHER: u8 = 0x23;
/// `PP2_CLIENT_SSL`.
pub(super) const CLIENT_SSL: u8 = 0x01;
/// `PP2_CLIENT_CERT_CONN` and `PP2_CLIENT_CERT_SESS`.
const CLIENT_CERTIFICATE: u8 = 0x02 | 0x04;
/// The longest `UNIQUE_ID`, in bytes (section 2.2.5).
pub(super) const MAX_UNIQUE_ID: usize = 128;

/// Returns whether `bytes` may be the start of a header of this version.
pub(super) fn begins(bytes: &[u8]) -> bool {
    may_start_with(bytes, SIGNATURE)
}

/// Parses `bytes`, for which [`begins`] has returned true.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    if let Some(&command) = bytes.get(12) {
        if command & 0xf0 != LOCAL & 0xf0 {
            return Parsed::Invalid("version 2: another version after the signature");
        }
        if command != LOCAL && command != PROXY {
            return Parsed::Invalid("version 2: neither LOCAL nor PROXY");
        }
    }
    let Some(fixed) = bytes.first_chunk::<FIXED_V2>() else { return Parsed::Incomplete };
    let announced = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if announced > MAX_V2_LENGTH {
        return Parsed::Invalid("version 2: longer than 4096 bytes");
    }
    let Some(whole) = bytes.get(..FIXED_V2 + announced) else { return Parsed::Incomplete };
    let header = if fixed[12] == LOCAL { Ok(Header::Local) } else { parse_proxy(whole, fixed[13]) };
    match header {
        Ok(header) => Parsed::Header { header, length: whole.len() },
        Err(what) => Parsed::Invalid(what),
    }
}

/// Parses a complete header with the command `PROXY`.
///
/// A valid combination other than TCP over IP is treated as UNSPEC (section 2.2: "provided that it automatically falls
/// back to the UNSPEC mode"), and UNSPEC as version 1's UNKNOWN: the socket's own addresses count.
fn parse_proxy(whole: &[u8], family: u8) -> Result<Header, &'static str> {
    let block = &whole[FIXED_V2..];
    let (source, destination, tlvs) = match family {
        TCP4 => tcp4(block).ok_or("version 2: too short for its IPv4 addresses")?,
        TCP6 => tcp6(block).ok_or("version 2: too short for its IPv6 addresses")?,
        _ if family >> 4 > 3 => return Err("version 2: an unassigned address family"),
        _ if family & 0x0f > 2 => return Err("version 2: an unassigned transport"),
        _ => return Ok(Header::Local),
    };
    let tlvs = parse_tlvs(whole, tlvs)?;
    Ok(Header::Proxy { source, destination, tlvs: Box::new(tlvs) })
}

fn tcp4(block: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (addresses, tlvs) = block.split_first_chunk::<TCP4_LENGTH>()?;
    let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
    let (source_port, destination_port) = ports_of(ports);
    let source = SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), source_port);
    let destination = SocketAddr::new(Ipv4Addr::new(e, f, g, h).into(), destination_port);
    Some((source, destination, tlvs))
}

fn tcp6(block: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (ports, tlvs) = rest.split_first_chunk::<4>()?;
    let (source_port, destination_port) = ports_of(*ports);
    // A mapped address is shown as IPv4, so that limits and logs treat the client of a dual-stack front alike.
    let source = Ipv6Addr::from(*source).to_canonical();
    let destination = Ipv6Addr::from(*destination).to_canonical();
    Some((SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port), tlvs))
}

fn ports_of([a, b, c, d]: [u8; 4]) -> (u16, u16) {
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// Parses the TLVs at the end of `whole` and verifies the checksum if there is one. When a TLV is repeated, the first
/// one counts.
fn parse_tlvs(whole: &[u8], bytes: &[u8]) -> Result<Tlvs, &'static str> {
    let mut tlvs = Tlvs::default();
    let mut is_verified = false;
    let mut rest = bytes;
    while let Some(Tlv { kind, value, after }) = next_tlv(rest)? {
        match kind {
            ALPN => set_first(&mut tlvs.alpn, || Ok(value.to_vec()))?,
            AUTHORITY => set_first(&mut tlvs.authority, || text(value))?,
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err("version 2: UNIQUE_ID over 128 bytes"),
            UNIQUE_ID => set_first(&mut tlvs.unique_id, || Ok(value.to_vec()))?,
            SSL => set_first(&mut tlvs.ssl, || parse_ssl(value))?,
            CRC32C if is_verified => return Err("version 2: two checksums"),
            CRC32C => {
                verify_checksum(whole, whole.len() - after.len(), value)?;
                is_verified = true;
            }
            // NOOP, NETNS and unknown types, which a receiver may ignore (section 2.2).
            _ => {}
        }
        rest = after;
    }
    Ok(tlvs)
}

/// Verifies the checksum that ends at `end`. It is computed over the whole header, with its own four bytes as zeroes
/// (section 2.2.3).
fn verify_checksum(whole: &[u8], end: usize, value: &[u8]) -> Result<(), &'static str> {
    let Ok(stated) = value.try_into().map(u32::from_be_bytes) else {
        return Err("version 2: the checksum is not four bytes long");
    };
    let computed = checksum::crc32c(&[&whole[..end - 4], &[0; 4], &whole[end..]]);
    if computed == stated { Ok(()) } else { Err("version 2: wrong checksum") }
}

/// Parses the SSL TLV (section 2.2.6). `verify` is zero "if the client presented a certificate and it was successfully
/// verified"; HAProxy also sends zero without a certificate, so one of the certificate's bits must be set too.
fn parse_ssl(value: &[u8]) -> Result<Ssl, &'static str> {
    let Some((&[client, ref verify @ ..], mut rest)) = value.split_first_chunk::<5>() else {
        return Err("version 2: SSL is too short");
    };
    let mut ssl = Ssl {
        is_encrypted: client & CLIENT_SSL != 0,
        is_verified: client & CLIENT_CERTIFICATE != 0 && *verify == [0; 4],
        ..Ssl::default()
    };
    while let Some(Tlv { kind, value, after }) = next_tlv(rest)? {
        match kind {
            SSL_VERSION => set_first(&mut ssl.version, || text(value))?,
            SSL_CIPHER => set_first(&mut ssl.cipher, || text(value))?,
            SSL_CN => set_first(&mut ssl.common_name, || text(value))?,
            _ => {}
        }
        rest = after;
    }
    Ok(ssl)
}

/// One type, length and value.
struct Tlv<'a> {
    kind: u8,
    value: &'a [u8],
    /// The bytes after it.
    after: &'a [u8],
}

/// Returns the first TLV of `bytes`; `None` at the end.
fn next_tlv(bytes: &[u8]) -> Result<Option<Tlv<'_>>, &'static str> {
    const TOO_LONG: &str = "version 2: a TLV is longer than the header";
    if bytes.is_empty() {
        return Ok(None);
    }
    let Some((&[kind, high, low], rest)) = bytes.split_first_chunk::<3>() else {
        return Err(TOO_LONG);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let Some((value, after)) = rest.split_at_checked(length) else {
        return Err(TOO_LONG);
    };
    Ok(Some(Tlv { kind, value, after }))
}

/// Sets `place` unless it is set already.
fn set_first<T>(
    place: &mut Option<T>,
    value: impl FnOnce() -> Result<T, &'static str>,
) -> Result<(), &'static str> {
    if place.is_none() {
        *place = Some(value()?);
    }
    Ok(())
}

fn text(value: &[u8]) -> Result<String, &'static str> {
    String::from_utf8(value.to_vec()).map_err(|_| "version 2: a text is not UTF-8")
}
