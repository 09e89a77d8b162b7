//! Text in responses: quoted when it can be, a literal when it must.

use std::fmt;

/// Appends a formatted line with its end.
pub(super) fn push_line(out: &mut Vec<u8>, line: fmt::Arguments<'_>) {
    push(out, line);
    out.extend_from_slice(b"\r\n");
}

/// Appends formatted text.
pub(super) fn push(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    match text.as_str() {
        Some(text) => out.extend_from_slice(text.as_bytes()),
        None => out.extend_from_slice(text.to_string().as_bytes()),
    }
}

/// string = quoted / literal
pub(super) fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    let is_quotable = |&byte: &u8| byte.is_ascii() && !byte.is_ascii_control();
    if text.len() > 1000 || !text.iter().all(is_quotable) {
        push_literal(out, text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// nstring = string / nil
pub(super) fn push_nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// literal = "{" number "}" CRLF *CHAR8
pub(super) fn push_literal(out: &mut Vec<u8>, octets: &[u8]) {
    push_line(out, format_args!("{{{}}}", octets.len()));
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (text, expected) in [
            (Some(&b"plain"[..]), &b"\"plain\""[..]),
            (Some(b""), b"\"\""),
            (Some(b"a \"b\\"), b"\"a \\\"b\\\\\""),
            (Some(b"a\r\nb"), b"{4}\r\na\r\nb"),
            (Some(b"\xe4"), b"{1}\r\n\xe4"),
            (None, b"NIL"),
        ] {
            let mut out = Vec::new();
            push_nstring(&mut out, text);
            assert_eq!(out, expected);
        }
    }
}
