//! Version 1: one line of text (section 2.1).
//!
//! The grammar is exact: one space between fields, no leading zeroes, CRLF at the end. A line that two parsers could read
//! in different ways must never be accepted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

use crate::header::{Header, MAX_V1, Parsed, Tlvs, may_start_with};

/// Returns whether `bytes` may be the start of a header of this version.
pub(super) fn begins(bytes: &[u8]) -> bool {
    may_start_with(bytes, PREFIX)
}

/// Parses `bytes`, for which [`begins`] has returned true.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let head = &bytes[..bytes.len().min(MAX_V1)];
    // "The receiver must not tolerate a single CR or LF character to end the line."
    let Some(end) = head.iter().position(|&byte| byte == b'\r' || byte == b'\n') else {
        return if head.len() == MAX_V1 {
            Parsed::Invalid("version 1: no CRLF in 107 bytes")
        } else {
            Parsed::Incomplete
        };
    };
    match head.get(end..end + 2) {
        Some(b"\r\n") => {}
        None if head[end] == b'\r' && head.len() < MAX_V1 => return Parsed::Incomplete,
        _ => return Parsed::Invalid("version 1: CR or LF without the other"),
    }
    match parse_fields(&head[PREFIX.len()..end]) {
        Ok(header) => Parsed::Header { header, length: end + 2 },
        Err(what) => Parsed::Invalid(what),
    }
}

/// Parses the fields after `PROXY` and its space.
fn parse_fields(fields: &[u8]) -> Result<Header, &'static str> {
    let mut fields = fields.split(|&byte| byte == b' ');
    let address: fn(&str) -> Option<IpAddr> = match fields.next() {
        // "the receiver must ignore anything presented before the CRLF is found"
        Some(b"UNKNOWN") => return Ok(Header::Local),
        Some(b"TCP4") => |text| text.parse().map(Ipv4Addr::into).ok(),
        Some(b"TCP6") => |text| text.parse().map(Ipv6Addr::into).ok(),
        _ => return Err("version 1: neither TCP4, TCP6 nor UNKNOWN"),
    };
    let mut text = || fields.next().and_then(|field| str::from_utf8(field).ok());
    let source = text().and_then(address);
    let destination = text().and_then(address);
    let source_port = text().and_then(port);
    let destination_port = text().and_then(port);
    if fields.next().is_some() {
        return Err("version 1: more than six fields");
    }
    let (Some(source), Some(destination)) = (source, destination) else {
        return Err("version 1: invalid address for its family");
    };
    let (Some(source_port), Some(destination_port)) = (source_port, destination_port) else {
        return Err("version 1: invalid or missing port");
    };
    Ok(Header::Proxy {
        source: SocketAddr::new(source.to_canonical(), source_port),
        destination: SocketAddr::new(destination.to_canonical(), destination_port),
        tlvs: Box::new(Tlvs::default()),
    })
}

/// Parses "a decimal integer in the range [0..65535]", without leading zeroes and without the sign that Rust allows.
fn port(text: &str) -> Option<u16> {
    let is_plain = text == "0" || text.starts_with(|first: char| first.is_ascii_digit() && first != '0');
    if is_plain { text.parse().ok() } else { None }
}

/// The start of every version 1 header.
const PREFIX: &[u8] = b"PROXY ";
