//! Version 2: a binary block (section 2.2).
//!
//! The length is judged as soon as its two bytes are there, before anything waits for what they announce.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::checksum;
use crate::header::{FIXED_V2, Header, MAX_V2_LENGTH, Parsed, Ssl, Tlvs, agrees};

/// What every version 2 header begins with.
pub(super) const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// `LOCAL` of version 2.
pub(super) const LOCAL: u8 = 0x20;
/// `PROXY` of version 2.
pub(super) const PROXY: u8 = 0x21;
/// `AF_INET` and `STREAM`.
pub(super) const TCP4: u8 = 0x11;
/// `AF_INET6` and `STREAM`.
pub(super) const TCP6: u8 = 0x21;
/// Bytes of two IPv4 addresses and two ports.
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
/// Section 2.2.5: "of up to 128 bytes".
pub(super) const MAX_UNIQUE_ID: usize = 128;

/// Whether a header of this version can begin so.
pub(super) fn begins(bytes: &[u8]) -> bool {
    agrees(bytes, SIGNATURE)
}

/// Parses `bytes`, for which [`begins`] is true.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    if let Some(&command) = bytes.get(12) {
        if command & 0xf0 != LOCAL & 0xf0 {
            return Parsed::Invalid("version 2: another version behind the signature");
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
    let header = if fixed[12] == LOCAL { Ok(Header::Local) } else { relayed(whole, fixed[13]) };
    match header {
        Ok(header) => Parsed::Header { header, length: whole.len() },
        Err(what) => Parsed::Invalid(what),
    }
}

/// What a whole `PROXY` header says.
///
/// Combinations that are valid and not TCP over IP are taken as UNSPEC is ("provided that it automatically
/// falls back to the UNSPEC mode"), and UNSPEC as version 1's UNKNOWN: by the socket's own addresses.
fn relayed(whole: &[u8], family: u8) -> Result<Header, &'static str> {
    let block = &whole[FIXED_V2..];
    let (source, destination, extras) = match family {
        TCP4 => tcp4(block).ok_or("version 2: too short for its IPv4 addresses")?,
        TCP6 => tcp6(block).ok_or("version 2: too short for its IPv6 addresses")?,
        _ if family >> 4 > 3 => return Err("version 2: an unassigned address family"),
        _ if family & 0x0f > 2 => return Err("version 2: an unassigned transport"),
        _ => return Ok(Header::Local),
    };
    let tlvs = extras_of(whole, extras)?;
    Ok(Header::Proxy { source, destination, tlvs: Box::new(tlvs) })
}

fn tcp4(block: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (addresses, extras) = block.split_first_chunk::<TCP4_LENGTH>()?;
    let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
    let (source_port, destination_port) = ports_of(ports);
    let source = SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), source_port);
    let destination = SocketAddr::new(Ipv4Addr::new(e, f, g, h).into(), destination_port);
    Some((source, destination, extras))
}

fn tcp6(block: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (source, rest) = block.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    let (ports, extras) = rest.split_first_chunk::<4>()?;
    let (source_port, destination_port) = ports_of(*ports);
    // An IPv4 client of a dual-stack front is still that IPv4 client: limits and logs must know it as one.
    let source = Ipv6Addr::from(*source).to_canonical();
    let destination = Ipv6Addr::from(*destination).to_canonical();
    Some((SocketAddr::new(source, source_port), SocketAddr::new(destination, destination_port), extras))
}

fn ports_of([a, b, c, d]: [u8; 4]) -> (u16, u16) {
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// The extras at the end of `whole`, with the checksum held against it where there is one. Of an extra that
/// comes twice the first counts.
fn extras_of(whole: &[u8], extras: &[u8]) -> Result<Tlvs, &'static str> {
    let mut tlvs = Tlvs::default();
    let mut is_checked = false;
    let mut rest = extras;
    while let Some(Extra { kind, value, behind }) = next(rest)? {
        match kind {
            ALPN => keep(&mut tlvs.alpn, || Ok(value.to_vec()))?,
            AUTHORITY => keep(&mut tlvs.authority, || text(value))?,
            UNIQUE_ID if value.len() > MAX_UNIQUE_ID => return Err("version 2: UNIQUE_ID over 128 bytes"),
            UNIQUE_ID => keep(&mut tlvs.unique_id, || Ok(value.to_vec()))?,
            SSL => keep(&mut tlvs.ssl, || ssl(value))?,
            CRC32C if is_checked => return Err("version 2: two checksums"),
            CRC32C => {
                check(whole, whole.len() - behind.len(), value)?;
                is_checked = true;
            }
            // NOOP, NETNS, and what is not registered yet: "may choose to skip over and ignore".
            _ => {}
        }
        rest = behind;
    }
    Ok(tlvs)
}

/// Section 2.2.3: computed over the whole header, with the checksum's own four bytes as zeroes.
fn check(whole: &[u8], end: usize, value: &[u8]) -> Result<(), &'static str> {
    let Ok(stated) = value.try_into().map(u32::from_be_bytes) else {
        return Err("version 2: a checksum that is not of four bytes");
    };
    let computed = checksum::crc32c(&[&whole[..end - 4], &[0; 4], &whole[end..]]);
    if computed == stated { Ok(()) } else { Err("version 2: the checksum does not agree") }
}

/// Section 2.2.6. `verify` is zero "if the client presented a certificate and it was successfully verified";
/// HAProxy leaves it zero without a certificate, too, so the certificate's own bits are asked as well.
fn ssl(value: &[u8]) -> Result<Ssl, &'static str> {
    let Some((&[client, ref verify @ ..], mut rest)) = value.split_first_chunk::<5>() else {
        return Err("version 2: SSL is too short");
    };
    let mut ssl = Ssl {
        is_encrypted: client & CLIENT_SSL != 0,
        is_verified: client & CLIENT_CERTIFICATE != 0 && *verify == [0; 4],
        ..Ssl::default()
    };
    while let Some(Extra { kind, value, behind }) = next(rest)? {
        match kind {
            SSL_VERSION => keep(&mut ssl.version, || text(value))?,
            SSL_CIPHER => keep(&mut ssl.cipher, || text(value))?,
            SSL_CN => keep(&mut ssl.common_name, || text(value))?,
            _ => {}
        }
        rest = behind;
    }
    Ok(ssl)
}

/// One type, length and value.
struct Extra<'a> {
    kind: u8,
    value: &'a [u8],
    /// What follows it.
    behind: &'a [u8],
}

/// The first of `extras`; `None` at the end.
fn next(extras: &[u8]) -> Result<Option<Extra<'_>>, &'static str> {
    if extras.is_empty() {
        return Ok(None);
    }
    let split = extras.split_first_chunk::<3>().and_then(|(&[kind, high, low], rest)| {
        let (value, behind) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
        Some(Extra { kind, value, behind })
    });
    split.map(Some).ok_or("version 2: a TLV that ends behind the header")
}

fn keep<T>(
    place: &mut Option<T>,
    value: impl FnOnce() -> Result<T, &'static str>,
) -> Result<(), &'static str> {
    if place.is_none() {
        *place = Some(value()?);
    }
    Ok(())
}

fn text(value: &[u8]) -> Result<String, &'static str> {
    String::from_utf8(value.to_vec()).map_err(|_| "version 2: a text that is not UTF-8")
}
