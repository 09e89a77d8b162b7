//! The parts of a backend's responses that a login needs (RFC 5804 sections 1.2, 1.7 and 4).

use super::string::Cursor;
use credentials::attempt::Mechanism;
use credentials::sasl::Offered;
use types::secret::Secret;

/// One line with the literals it holds.
#[derive(Debug)]
pub(super) enum Response<'a> {
    /// `OK`, `NO` or `BYE`, and what follows.
    Status(Status, &'a [u8]),
    /// One or two strings: a capability, or a challenge.
    Strings(Secret, Option<Secret>),
    /// Not a ManageSieve response.
    Invalid,
}

/// A status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bye,
}

/// The capabilities of a backend that a login needs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub sasl: Vec<Mechanism>,
    pub starttls: bool,
    /// The attributes of `XCLIENT`, where it is announced; the list may be empty.
    pub xclient: Option<Vec<u8>>,
}

/// Parses one complete response.
pub(super) fn parse(frame: &[u8]) -> Response<'_> {
    let mut cursor = Cursor::new(frame);
    if let Some(word) = cursor.atom() {
        let status = match &word.to_ascii_uppercase()[..] {
            b"OK" => Status::Ok,
            b"NO" => Status::No,
            b"BYE" => Status::Bye,
            _ => return Response::Invalid,
        };
        let is_alone = cursor.is_at_end() || cursor.spaces().is_some();
        return if is_alone { Response::Status(status, cursor.rest()) } else { Response::Invalid };
    }
    let Some(first) = cursor.string() else {
        return Response::Invalid;
    };
    if cursor.is_at_end() {
        return Response::Strings(first, None);
    }
    match cursor.spaces().and_then(|()| cursor.string()) {
        Some(second) if cursor.is_at_end() => Response::Strings(first, Some(second)),
        _ => Response::Invalid,
    }
}

/// Returns whether a status text starts with a response code: "(" resp-code ")".
pub(super) fn has_code(text: &[u8]) -> bool {
    text.starts_with(b"(")
}

/// Returns whether a `NO` is a temporary failure and not a refusal (RFC 5804 section 1.3; `LIMIT` is Dovecot's).
pub(super) fn is_temporary(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    let code = cursor.byte(b'(').and_then(|()| cursor.atom()).unwrap_or_default();
    let class = code.split(|&byte| byte == b'/').next().unwrap_or_default();
    [&b"TRYLATER"[..], b"LIMIT"].iter().any(|name| class.eq_ignore_ascii_case(name))
}

/// Returns whether a status repeats `tag`: resp-code-ext "TAG" SP string (RFC 5804 section 2.13).
pub(super) fn has_tag(text: &[u8], tag: &[u8]) -> bool {
    let mut cursor = Cursor::new(text);
    let code = cursor.byte(b'(').and_then(|()| cursor.atom());
    code.is_some_and(|code| code.eq_ignore_ascii_case(b"TAG"))
        && cursor.spaces().and_then(|()| cursor.string()).is_some_and(|found| found.expose() == tag)
}

// === impl Capabilities ===

impl Capabilities {
    /// Adds one line of a capability list.
    pub(super) fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let value = value.unwrap_or_default();
        match &name.to_ascii_uppercase()[..] {
            b"STARTTLS" => self.starttls = true,
            b"XCLIENT" => self.xclient = Some(value.to_vec()),
            b"SASL" => {
                for mechanism in value.split(|&byte| byte == b' ').filter_map(Mechanism::from_name) {
                    if !self.sasl.contains(&mechanism) {
                        self.sasl.push(mechanism);
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns what a login can use. ManageSieve has no login command besides SASL.
    pub(super) fn offered(&self) -> Offered {
        Offered { sasl: self.sasl.clone(), native: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frame: &[u8]) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match parse(frame) {
            Response::Status(status, rest) => format!("{status:?} {}", rest.escape_ascii()),
            Response::Strings(first, second) => format!("<{}> {:?}", text(&first), second.as_ref().map(text)),
            Response::Invalid => "nonsense".to_owned(),
        }
    }

    #[test]
    fn responses() {
        for (frame, expected) in [
            (&b"OK\r\n"[..], "Ok "),
            (b"ok \"ready\"\n", "Ok \\\"ready\\\""),
            (b"NO (TRYLATER) \"later\"\r\n", "No (TRYLATER) \\\"later\\\""),
            (b"BYE {3}\r\nx\r\n\r\n", "Bye {3}\\r\\nx\\r\\n"),
            (b"\"STARTTLS\"\r\n", "<STARTTLS> None"),
            (b"\"SASL\" \"PLAIN LOGIN\"\r\n", "<SASL> Some(\"PLAIN LOGIN\")"),
            (b"{4}\r\nSASL {5}\r\nPLAIN\r\n", "<SASL> Some(\"PLAIN\")"),
            (b"\"\"\r\n", "<> None"),
            (b"\"a\" \"b\" \"c\"\r\n", "nonsense"),
            (b"\"a\" b\r\n", "nonsense"),
            (b"OK\"x\"\r\n", "nonsense"),
            (b"OKAY\r\n", "nonsense"),
            (b"* OK imap\r\n", "nonsense"),
            (b"+OK pop\r\n", "nonsense"),
            (b"220 mail ESMTP\r\n", "nonsense"),
            (b"\r\n", "nonsense"),
        ] {
            assert_eq!(shown(frame), expected, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn codes() {
        for (text, not_now, has_tag_x) in [
            (&b"(TRYLATER) \"x\""[..], true, false),
            (b"(trylater/noretry) \"x\"", true, false),
            (b"(LIMIT)", true, false),
            (b"(AUTH-TOO-WEAK) \"TRYLATER\"", false, false),
            (b"\"(TRYLATER)\"", false, false),
            (b"", false, false),
            (b"(TAG \"x\") \"done\"", false, true),
            (b"(TAG {1}\r\nx) \"done\"", false, true),
            (b"(TAG \"y\") \"done\"", false, false),
            (b"(TAGS \"x\")", false, false),
        ] {
            assert_eq!(
                (is_temporary(text), has_tag(text, b"x")),
                (not_now, has_tag_x),
                "{}",
                text.escape_ascii()
            );
        }
    }

    #[test]
    fn capabilities() {
        let mut found = Capabilities::default();
        for (name, value) in [
            (&b"IMPLEMENTATION"[..], Some(&b"SASL PLAIN"[..])),
            (b"sasl", Some(b"PLAIN  plain NTLM xoauth2")),
            (b"StartTLS", None),
            (b"XCLIENT", None),
        ] {
            found.add(name, value);
        }
        let sasl = vec![Mechanism::Plain, Mechanism::XOAuth2];
        assert_eq!(found, Capabilities { sasl, starttls: true, xclient: Some(Vec::new()) });
    }
}
