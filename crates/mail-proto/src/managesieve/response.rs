//! The backend's lines, as far as a login needs to understand them (RFC 5804 sections 1.2, 1.7 and 4).

use super::string::Cursor;
use credentials::attempt::Mechanism;
use credentials::sasl::Offered;
use types::secret::Secret;

/// One line with the literals it holds.
#[derive(Debug)]
pub(super) enum Response<'a> {
    /// `OK`, `NO` or `BYE`, and what follows.
    Status(Status, &'a [u8]),
    /// A string, and perhaps a second one: a capability, or a challenge.
    Strings(Secret, Option<Secret>),
    /// Not ManageSieve.
    Nonsense,
}

/// A status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bye,
}

/// What a backend said that it can do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub sasl: Vec<Mechanism>,
    pub starttls: bool,
    /// The attributes that it lists, if it lists any.
    pub xclient: Option<Vec<u8>>,
}

/// Reads one framed response.
pub(super) fn parse(frame: &[u8]) -> Response<'_> {
    let mut words = Cursor::new(frame);
    if let Some(word) = words.atom() {
        let status = match &word.to_ascii_uppercase()[..] {
            b"OK" => Status::Ok,
            b"NO" => Status::No,
            b"BYE" => Status::Bye,
            _ => return Response::Nonsense,
        };
        let is_alone = words.is_at_end() || words.space().is_some();
        return if is_alone { Response::Status(status, words.rest()) } else { Response::Nonsense };
    }
    let Some(first) = words.string() else {
        return Response::Nonsense;
    };
    if words.is_at_end() {
        return Response::Strings(first, None);
    }
    match words.space().and_then(|()| words.string()) {
        Some(second) if words.is_at_end() => Response::Strings(first, Some(second)),
        _ => Response::Nonsense,
    }
}

/// Whether a status text begins with a response code: "(" resp-code ")".
pub(super) fn has_code(text: &[u8]) -> bool {
    text.starts_with(b"(")
}

/// Whether a `NO` means "not now" rather than "not you" (RFC 5804 section 1.3; `LIMIT` is Dovecot's).
pub(super) fn is_not_now(text: &[u8]) -> bool {
    let mut words = Cursor::new(text);
    let code = words.byte(b'(').and_then(|()| words.atom()).unwrap_or_default();
    let class = code.split(|&byte| byte == b'/').next().unwrap_or_default();
    [&b"TRYLATER"[..], b"LIMIT"].iter().any(|name| class.eq_ignore_ascii_case(name))
}

/// Whether a status repeats `tag`: resp-code-ext "TAG" SP string (RFC 5804 section 2.13).
pub(super) fn has_tag(text: &[u8], tag: &[u8]) -> bool {
    let mut words = Cursor::new(text);
    let code = words.byte(b'(').and_then(|()| words.atom());
    code.is_some_and(|code| code.eq_ignore_ascii_case(b"TAG"))
        && words.space().and_then(|()| words.string()).is_some_and(|found| found.expose() == tag)
}

// === impl Capabilities ===

impl Capabilities {
    /// Takes one line of a capability block.
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

    /// What a login can use; the protocol has no command of its own.
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
            Response::Nonsense => "nonsense".to_owned(),
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
                (is_not_now(text), has_tag(text, b"x")),
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
