//! Paths, queries, and the fields that say who the client is.

use std::net::IpAddr;

use bytes::Bytes;
use http_proto::Fields;
use http_proto::forwarded::{self, Hop};
use http_proto::path::{form_decode, normalize, query_parameter};

use crate::input::Input;

/// A path is in one form once it is normalised, and leads where a server would look that decodes everything before
/// it takes the dots out, or behind it.
pub(crate) fn path(bytes: &[u8]) {
    query(bytes);
    if !bytes.starts_with(b"/") {
        return;
    }
    let Ok(found) = normalize(bytes) else { return };
    let path = found.normalized.as_str();
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{path}");
    assert!(!path.contains(['\\', '?', '#']), "{path}");
    let segments: Vec<_> = path.split('/').skip(1).collect();
    let names = segments.iter().map(|segment| segment.split(';').next().unwrap_or_default());
    assert!(!names.clone().any(|name| name == "." || name == ".."), "{path}");
    assert!(segments.iter().rev().skip(1).all(|segment| !segment.is_empty()), "{path}");
    for (at, _) in path.match_indices('%') {
        let escape = path.get(at..at + 3).expect("two digits");
        let [byte] = unescape(escape.as_bytes())[..] else { panic!("{path}") };
        assert_eq!(escape, format!("%{byte:02X}"), "{path}");
        let is_separator = b"/\\".contains(&byte) || byte.is_ascii_control();
        assert!(found.separator.is_some() || !is_separator, "an escape with another reading: {path}");
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~\0".contains(&byte);
        assert!(!is_plain, "an escape with another reading: {path}");
    }
    assert_eq!(normalize(path.as_bytes()).as_ref(), Ok(&found), "two forms of one path");
    if let Some(plain) = &found.plain {
        assert!(!plain.contains(';') && !plain.contains("%3B"), "a parameter is left: {plain}");
        let again = normalize(plain.as_bytes()).expect("a path");
        assert_eq!((&again.normalized, &again.plain), (plain, &None), "two forms of one path");
    }
    let raw = bytes.split(|&byte| byte == b'?').next().unwrap_or_default();
    assert_eq!(without_dots(&unescape(path.as_bytes())), without_dots(&unescape(raw)), "{path}");
    if let Some(separator) = &found.separator {
        // However a server reads the escapes, the path stays below the prefix.
        let below = without_dots(&unescape(separator.prefix.as_bytes()));
        let decoded = unescape(raw);
        let with_slashes: Vec<u8> =
            decoded.iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
        for reading in [raw, &decoded, &with_slashes] {
            let names: Vec<_> = without_dots(reading).iter().map(|name| unescape(name)).collect();
            assert!(names.starts_with(&below), "{path}");
        }
        return;
    }
    let later = |path: &[u8]| -> Vec<_> { without_dots(path).iter().map(|name| unescape(name)).collect() };
    assert!(raw.contains(&b'%') || later(path.as_bytes()) == later(raw), "{path}");
}

/// RFC 3986 section 5.2.4, and nothing between two slashes is nothing.
fn without_dots(path: &[u8]) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in path.split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop().expect("a folder above the root");
            }
            name => segments.push(name.to_vec()),
        }
    }
    segments
}

/// Every `%XX` as its byte; a path that was judged has no other `%`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((&first, behind)) = rest.split_first() {
        let escaped = if first == b'%' { behind.split_first_chunk::<2>() } else { None };
        bytes.push(escaped.map_or(first, |(digits, _)| hex(digits).expect("two digits")));
        rest = escaped.map_or(behind, |(_, behind)| behind);
    }
    bytes
}

/// What a form writes is what is found, if it is written once.
fn query(bytes: &[u8]) {
    let _ = query_parameter(bytes, "account");
    let written: Vec<u8> = bytes.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
    assert_eq!(form_decode(&written).as_deref(), Some(bytes));
    let target = [b"/x?other=1&account=", &written[..], b"&more"].concat();
    assert_eq!(query_parameter(&target, "account").as_deref(), Some(bytes));
    let twice = [&target[..], b"&account=2"].concat();
    assert_eq!(query_parameter(&twice, "account"), None, "servers differ in which one they take");
}

/// The first line is the host, each other one a field. However the chain looks that a front has sent, its last element
/// is ours, alone and whole; and nothing that says who the client is stays where a stranger has sent it.
pub(crate) fn forwarded(bytes: &[u8]) {
    let Some(input) = Input::expanded(bytes) else { return };
    let mut lines = input.data.split(|&byte| byte == b'\n');
    let host = lines.next().unwrap_or_default();
    if host.is_empty() || host.len() > 300 || !host.iter().all(u8::is_ascii_graphic) {
        return;
    }
    let field = |line: &[u8]| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let value = line[colon + 1..].trim_ascii();
        let is_field = !value.iter().any(|&byte| byte != b'\t' && byte.is_ascii_control());
        is_field.then(|| (Bytes::copy_from_slice(&line[..colon]), Bytes::copy_from_slice(value)))
    };
    let mut fields: Fields = lines.filter_map(field).collect();
    let client = if input.has(0) { "203.0.113.7" } else { "2001:db8::7" };
    let hop = Hop { client: client.parse().expect("an address"), https: input.has(1), host };
    if input.has(2) {
        fields.strip_forwarded();
        let left = fields
            .iter()
            .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase().replace('_', "-"));
        let says =
            |name: String| name == "forwarded" || name == "x-real-ip" || name.starts_with("x-forwarded-");
        assert!(!left.into_iter().any(says), "{fields:?}");
    }
    let stranger = input.has(2);
    forwarded::append(&mut fields, &hop);
    let only = |name: &str| {
        let values: Vec<_> = fields.get_all(name).collect();
        assert!(values.len() == 1 && values[0].len() <= 4096 + 700, "{name}");
        values[0].clone()
    };
    let chain = elements(&only("forwarded"));
    let last = chain.last().expect("our own element");
    assert_eq!(last, &ours(&hop), "the last hop is not ours");
    let addresses = only("x-forwarded-for");
    let addresses: Vec<_> = addresses.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
    assert_eq!(addresses.last().copied(), Some(client.as_bytes()));
    assert!(!stranger || (chain.len(), addresses.len()) == (1, 1), "a stranger's word has passed");
    assert_eq!(&only("x-forwarded-host")[..], host);
}

/// Our element, its pairs undone.
fn ours(hop: &Hop<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let node = match hop.client {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let proto = if hop.https { "https" } else { "http" };
    let pairs =
        [("for", node.as_bytes()), ("by", b"_pointsman"), ("proto", proto.as_bytes()), ("host", hop.host)];
    pairs.map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).to_vec()
}

/// RFC 7239 section 4: elements between commas, pairs between semicolons; both count outside of quotes only.
fn elements(value: &[u8]) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut elements = vec![Vec::new()];
    let mut name = None;
    let mut text = Vec::new();
    let mut is_quoted = false;
    let mut rest = value.iter().copied().chain([b',']);
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => text.extend(rest.next()),
            _ if is_quoted => text.push(byte),
            b'=' if name.is_none() => name = Some(std::mem::take(&mut text)),
            b';' | b',' => {
                let pair = (name.take().unwrap_or_default(), std::mem::take(&mut text));
                elements.last_mut().expect("never empty").push(pair);
                if byte == b',' {
                    elements.push(Vec::new());
                }
            }
            b' ' | b'\t' => {}
            _ => text.push(byte),
        }
    }
    assert!(!is_quoted, "a quote without an end");
    elements.pop();
    elements
}
