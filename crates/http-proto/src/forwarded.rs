//! Who the client is, for an HTTP backend (RFC 7239, and the `X-Forwarded-` fields that came before it).

use std::net::IpAddr;

use bytes::Bytes;

use super::fields::Fields;
use super::request::is_token;

/// What we know of a request's last hop.
#[derive(Clone, Copy, Debug)]
pub struct Hop<'a> {
    /// The client.
    pub client: IpAddr,
    /// Whether it came encrypted.
    pub https: bool,
    /// The host that it asked for.
    pub host: &'a [u8],
}

/// Bytes of a chain of hops that are kept from a trusted front.
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
    quoted(&mut element, hop.host);
    chain(fields, "forwarded", "Forwarded", &element);
    chain(fields, "x-forwarded-for", "X-Forwarded-For", client.to_string().as_bytes());
    fields.set("X-Forwarded-Proto", proto);
    fields.set("X-Forwarded-Host", Bytes::copy_from_slice(hop.host));
}

/// Makes one field of all of that name, with `element` at the end; a chain that is too long loses its front, and
/// a part that ends within quotes is left out: `element` would be read as a piece of it.
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

/// Whether `value` ends within a quoted string (RFC 9110 section 5.6.4).
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

/// A token as it is, anything else in quotes (RFC 9110 section 5.6.4).
fn quoted(out: &mut Vec<u8>, value: &[u8]) {
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
