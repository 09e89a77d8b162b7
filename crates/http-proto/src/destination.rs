//! The `Destination` of a WebDAV `COPY` or `MOVE` (RFC 4918 section 10.3), which names the scheme of the client's
//! connection. A backend that is connected to with another scheme would take it for another server.

use bytes::Bytes;

use super::fields::Fields;

const HTTP: &[u8] = b"http://";
const HTTPS: &[u8] = b"https://";

/// Changes the scheme of `Destination` to that of the backend's connection, if its host is `authority`, the host of the
/// request. `https`: whether the backend's connection is encrypted.
pub fn set_destination_scheme(fields: &mut Fields, authority: &[u8], https: bool) {
    let Some(value) = fields.only("destination") else { return };
    let starts_with =
        |scheme: &[u8]| value.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
    let found = if https { HTTP } else { HTTPS };
    let wanted = if https { HTTPS } else { HTTP };
    let port: &[u8] = if https { b":80" } else { b":443" };
    if !starts_with(found) {
        return;
    }
    let rest = &value[found.len()..];
    let end = rest.iter().position(|byte| b"/?".contains(byte)).unwrap_or(rest.len());
    let named = &rest[..end];
    if !without_port(named, port).eq_ignore_ascii_case(without_port(authority, port)) {
        return;
    }
    // The backend compares the host with `Host`, so it is written in the same way.
    let value = Bytes::from([wanted, authority, &rest[end..]].concat());
    fields.replace("destination", value);
}

fn without_port<'a>(authority: &'a [u8], port: &[u8]) -> &'a [u8] {
    authority.strip_suffix(port).unwrap_or(authority)
}
