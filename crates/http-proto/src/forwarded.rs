//! The client's address for an HTTP backend: `Forwarded` (RFC 7239) and the older `X-Forwarded-` fields.

use std::net::IpAddr;

use bytes::Bytes;

use super::fields::Fields;
use super::request::is_token;

/// The last hop of a request, from the client to this proxy.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// Whether the connection was encrypted.
    pub https: bool,
    /// The host of the request.
    pub host: &'a [u8],
}

/// The longest chain of hops in bytes that is kept from a trusted front.
const MAX_CHAIN: usize = 4096;

/// Appends `hop` to `Forwarded` and `X-Forwarded-For`, and sets `X-Forwarded-Proto` and `X-Forwarded-Host`.
pub fn append(fields: &mut Fields, hop: &Hop<'_>) {
    let client = hop.client.to_canonical();
    let proto = if hop.https { "https" } else { "http" };
    let node = match client {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let mut element = format!("for={node};by=_pointsman;proto={proto};host=").into_bytes();
    write_quoted(&mut element, hop.host);
    chain(fields, "forwarded", "Forwarded", &element);
    chain(fields, "x-forwarded-for", "X-Forwarded-For", client.to_string().as_bytes());
    fields.set("X-Forwarded-Proto", proto);
    fields.set("X-Forwarded-Host", Bytes::copy_from_slice(hop.host));
}

/// Joins all fields of that name into one and appends `element`. A chain that is too long is dropped. A value that
/// ends inside a quoted string is left out, since a reader would take `element` for a part of that string.
fn chain(fields: &mut Fields, name: &str, written: &'static str, element: &[u8]) {
    let mut value = Vec::new();
    for before in fields.get_all(name).filter(|before| !is_open(before)) {
        value.extend_from_slice(before);
        value.extend_from_slice(b", ");
    }
    if value.len() + element.len() > MAX_CHAIN {
        value.clear();
    }
    value.extend_from_slice(element);
    fields.set(written, value);
}

/// Returns whether `value` ends inside a quoted string (RFC 9110 section 5.6.4).
fn is_open(value: &[u8]) -> bool {
    let mut is_open = false;
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_open = !is_open,
            b'\\' if is_open => drop(bytes.next()),
            _ => {}
        }
    }
    is_open
}

/// Writes a token as it is, any other value as a quoted string (RFC 9110 section 5.6.4).
fn write_quoted(out: &mut Vec<u8>, value: &[u8]) {
    if !value.is_empty() && value.iter().all(|&byte| is_token(byte)) {
        return out.extend_from_slice(value);
    }
    out.push(b'"');
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}
