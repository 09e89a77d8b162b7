//! ENVELOPE, BODY and BODYSTRUCTURE of a message (RFC 3501 section 7.4.2).

use super::text::{push, push_nstring, push_string};
use crate::mime::address::{self, Address};
use crate::mime::header::{Parameters, find, parameterised};
use crate::mime::{Content, Part};

/// envelope = "(" date SP subject SP from SP sender SP reply-to SP to SP cc SP bcc SP in-reply-to SP
///            message-id ")"
pub(super) fn envelope(out: &mut Vec<u8>, header: &[u8]) {
    let from = find(header, "From");
    out.push(b'(');
    push_nstring(out, find(header, "Date").as_deref());
    out.push(b' ');
    push_nstring(out, find(header, "Subject").as_deref());
    for name in ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"] {
        let value = find(header, name).filter(|value| !value.is_empty());
        // Who sends and who is answered is the author, unless it is said.
        let value =
            if matches!(name, "Sender" | "Reply-To") { value.or_else(|| from.clone()) } else { value };
        out.push(b' ');
        addresses(out, value.as_deref());
    }
    for name in ["In-Reply-To", "Message-ID"] {
        out.push(b' ');
        push_nstring(out, find(header, name).as_deref());
    }
    out.push(b')');
}

/// body, with its extension data when `is_extensible`.
pub(super) fn body(out: &mut Vec<u8>, raw: &[u8], part: &Part, is_extensible: bool) {
    out.push(b'(');
    match &part.content {
        Content::Parts(parts) => {
            for inner in parts {
                body(out, raw, inner, is_extensible);
            }
            out.push(b' ');
            push_string(out, part.subtype.as_bytes());
            if is_extensible {
                out.push(b' ');
                parameters(out, &part.parameters);
            }
        }
        Content::Message(_) | Content::Opaque => single(out, raw, part, is_extensible),
    }
    if is_extensible {
        out.push(b' ');
        disposition(out, &raw[part.header.clone()]);
        // Language and location.
        out.extend_from_slice(b" NIL NIL");
    }
    out.push(b')');
}

/// body-type-1part, up to and including the MD5 of its extension data.
fn single(out: &mut Vec<u8>, raw: &[u8], part: &Part, is_extensible: bool) {
    let header = &raw[part.header.clone()];
    push_string(out, part.kind.as_bytes());
    out.push(b' ');
    push_string(out, part.subtype.as_bytes());
    out.push(b' ');
    parameters(out, &part.parameters);
    for name in ["Content-ID", "Content-Description"] {
        out.push(b' ');
        push_nstring(out, find(header, name).as_deref());
    }
    out.push(b' ');
    let encoding = find(header, "Content-Transfer-Encoding").filter(|value| !value.is_empty());
    push_string(out, encoding.as_deref().unwrap_or(b"7BIT"));
    let octets = &raw[part.body.clone()];
    push(out, format_args!(" {}", octets.len()));
    let lines = octets.iter().filter(|&&byte| byte == b'\n').count();
    if let Content::Message(inner) = &part.content {
        out.push(b' ');
        envelope(out, &raw[inner.header.clone()]);
        out.push(b' ');
        body(out, raw, inner, is_extensible);
        push(out, format_args!(" {lines}"));
    } else if part.kind == "TEXT" {
        push(out, format_args!(" {lines}"));
    }
    if is_extensible {
        out.extend_from_slice(b" NIL");
    }
}

/// body-fld-param = "(" string SP string *(SP string SP string) ")" / nil
fn parameters(out: &mut Vec<u8>, parameters: &Parameters) {
    if parameters.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    for (index, (name, value)) in parameters.iter().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        push_string(out, name);
        out.push(b' ');
        push_string(out, value);
    }
    out.push(b')');
}

/// body-fld-dsp = "(" string SP body-fld-param ")" / nil
fn disposition(out: &mut Vec<u8>, header: &[u8]) {
    let Some(value) = find(header, "Content-Disposition").filter(|value| !value.is_empty()) else {
        out.extend_from_slice(b"NIL");
        return;
    };
    let (name, pairs) = parameterised(&value);
    out.push(b'(');
    push_string(out, &name.to_ascii_uppercase());
    out.push(b' ');
    parameters(out, &pairs);
    out.push(b')');
}

/// "(" 1*address ")" / nil
/// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"
fn addresses(out: &mut Vec<u8>, value: Option<&[u8]>) {
    let list = value.map(address::parse).unwrap_or_default();
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for entry in &list {
        // A group is written as an address without a host, its end as one without anything.
        let (name, local, domain) = match entry {
            Address::Mailbox { name, local, domain } => {
                (name.as_deref(), Some(local.as_slice()), Some(domain.as_slice()))
            }
            Address::Group(name) => (None, Some(name.as_slice()), None),
            Address::EndOfGroup => (None, None, None),
        };
        out.push(b'(');
        push_nstring(out, name);
        out.extend_from_slice(b" NIL ");
        push_nstring(out, local);
        out.push(b' ');
        push_nstring(out, domain);
        out.push(b')');
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    fn structure(raw: &str, is_extensible: bool) -> String {
        let mut out = Vec::new();
        body(&mut out, raw.as_bytes(), &mime::parse(raw.as_bytes()), is_extensible);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn envelopes() {
        for (header, expected) in [
            ("", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"),
            (
                "Date: d\r\nSubject: s \"q\"\r\nFrom: Ann <a@b>\r\nTo: g: c@d;\r\nMessage-ID: <1@b>\r\n\r\n",
                "(\"d\" \"s \\\"q\\\"\" ((\"Ann\" NIL \"a\" \"b\")) ((\"Ann\" NIL \"a\" \"b\")) \
                 ((\"Ann\" NIL \"a\" \"b\")) ((NIL NIL \"g\" NIL)(NIL NIL \"c\" \"d\")(NIL NIL NIL NIL)) NIL NIL \
                 NIL \"<1@b>\")",
            ),
        ] {
            let mut out = Vec::new();
            envelope(&mut out, header.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn structures() {
        let text = "\r\nhello\r\n";
        assert_eq!(
            structure(text, false),
            "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 7 1)"
        );
        let picture = "Content-Type: image/png\r\nContent-Disposition: attachment; filename=\"a b\"\r\n\
                       Content-ID: <1>\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n";
        assert_eq!(
            structure(picture, true),
            "(\"IMAGE\" \"PNG\" NIL \"<1>\" NIL \"base64\" 6 NIL (\"ATTACHMENT\" (\"FILENAME\" \"a b\")) NIL NIL)"
        );
        let mixed = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{text}\r\n--b\r\nContent-Type: \
             message/rfc822\r\n\r\nSubject: s\r\n\r\nx\r\n--b--\r\n"
        );
        assert_eq!(
            structure(&mixed, false),
            "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 7 1)(\"MESSAGE\" \"RFC822\" NIL NIL \
             NIL \"7BIT\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"TEXT\" \"PLAIN\" (\"CHARSET\" \
             \"us-ascii\") NIL NIL \"7BIT\" 1 0) 2) \"MIXED\")"
        );
        assert!(structure(&mixed, true).ends_with(" \"MIXED\" (\"BOUNDARY\" \"b\") NIL NIL NIL)"));
    }
}
