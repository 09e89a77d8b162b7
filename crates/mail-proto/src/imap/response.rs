//! The parts of a backend's responses that a login needs (RFC 9051 section 7).

use credentials::attempt::Mechanism;
use credentials::sasl::Offered;

/// One line with its literals, without the last line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// An untagged status response, `* OK text`: the status and the text.
    Status(Status, &'a [u8]),
    /// Any other untagged response.
    Untagged(&'a [u8]),
    /// A tagged completion.
    Done {
        tag: &'a [u8],
        status: Status,
        /// The response without its tag, for the client.
        from_status: &'a [u8],
    },
    /// `+ text`.
    Continue(&'a [u8]),
    /// Not an IMAP response.
    Invalid,
}

/// A status word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    No,
    Bad,
    Preauth,
    Bye,
}

/// The capabilities of a backend that a login needs.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub sasl: Vec<Mechanism>,
    pub starttls: bool,
    pub login_disabled: bool,
    pub sasl_ir: bool,
    pub literal_plus: bool,
    pub id: bool,
    pub unauthenticate: bool,
}

/// Parses one complete response.
pub(super) fn parse(line: &[u8]) -> Response<'_> {
    if let Some(rest) = line.strip_prefix(b"* ") {
        return match status(rest) {
            Some((word, text)) => Response::Status(word, text),
            None => Response::Untagged(rest),
        };
    }
    if let Some(rest) = line.strip_prefix(b"+") {
        return Response::Continue(rest.strip_prefix(b" ").unwrap_or(rest));
    }
    let Some(space) = memchr::memchr(b' ', line) else {
        return Response::Invalid;
    };
    let tag = &line[..space];
    let from_status = &line[space + 1..];
    match status(from_status) {
        Some((status @ (Status::Ok | Status::No | Status::Bad), _)) => {
            Response::Done { tag, status, from_status }
        }
        _ => Response::Invalid,
    }
}

/// Returns the response code at the start of a status text: `[CODE arguments]`.
pub(super) fn code(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"[")?;
    memchr::memchr(b']', inner).map(|end| &inner[..end])
}

/// Returns whether the text of a `BYE` refuses this login: it has a code, and not one of a temporary failure. `ALERT`
/// alone shows that a person must act, as for a locked account (RFC 9051 section 7.1).
pub(super) fn bye_is_refusal(text: &[u8]) -> bool {
    code(text).is_some() && !is_temporary(text)
}

/// Returns whether a `NO` is a temporary failure and not a refusal (RFC 9051 section 7.1).
pub(super) fn is_temporary(text: &[u8]) -> bool {
    code(text).is_some_and(|code| {
        [&b"UNAVAILABLE"[..], b"INUSE", b"LIMIT", b"SERVERBUG"]
            .iter()
            .any(|name| code.eq_ignore_ascii_case(name))
    })
}

/// Returns `line` without the commands that [`AccountGuard`](crate::account_guard::AccountGuard) refuses, where it lists
/// `UNAUTHENTICATE` (RFC 8437) among the capabilities.
pub(super) fn without_unauthenticate(line: &[u8]) -> Vec<u8> {
    let end = memchr::memchr2(b']', b'\n', line).unwrap_or(line.len());
    let list = &line[..end];
    let has_list = list.windows(b"CAPABILITY ".len()).any(|word| word.eq_ignore_ascii_case(b"CAPABILITY "));
    if !has_list || !list.split(|&byte| byte == b' ').any(|word| is_word(word, b"UNAUTHENTICATE")) {
        return line.to_vec();
    }
    let words = list.split(|&byte| byte == b' ');
    let kept: Vec<&[u8]> = words
        .filter(|word| !is_word(word, b"UNAUTHENTICATE") && !is_word(word, b"COMPRESS=DEFLATE"))
        .map(|word| word.strip_suffix(b"\r").unwrap_or(word))
        .collect();
    let list_end = if list.ends_with(b"\r") { &line[end - 1..] } else { &line[end..] };
    [&kept.join(&b' ')[..], list_end].concat()
}

/// Returns whether `word`, which may be the last of a line, is `name`.
fn is_word(word: &[u8], name: &[u8]) -> bool {
    word.strip_suffix(b"\r").unwrap_or(word).eq_ignore_ascii_case(name)
}

fn status(rest: &[u8]) -> Option<(Status, &[u8])> {
    let end = memchr::memchr(b' ', rest).unwrap_or(rest.len());
    let word = [
        (&b"OK"[..], Status::Ok),
        (b"NO", Status::No),
        (b"BAD", Status::Bad),
        (b"PREAUTH", Status::Preauth),
        (b"BYE", Status::Bye),
    ]
    .into_iter()
    .find(|(name, _)| rest[..end].eq_ignore_ascii_case(name))?
    .1;
    Some((word, rest.get(end + 1..).unwrap_or_default()))
}

// === impl Capabilities ===

impl Capabilities {
    /// Parses an untagged `CAPABILITY` response or response code; returns `None` for any other text.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut words = text.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        if !words.next()?.eq_ignore_ascii_case(b"CAPABILITY") {
            return None;
        }
        let mut found = Self::default();
        for word in words {
            found.add(&word.to_ascii_uppercase());
        }
        Some(found)
    }

    /// Returns the login methods.
    pub(super) fn offered(&self) -> Offered {
        Offered { sasl: self.sasl.clone(), native: !self.login_disabled }
    }

    fn add(&mut self, word: &[u8]) {
        match word {
            b"STARTTLS" => self.starttls = true,
            b"LOGINDISABLED" => self.login_disabled = true,
            b"SASL-IR" => self.sasl_ir = true,
            b"LITERAL+" => self.literal_plus = true,
            b"ID" => self.id = true,
            b"UNAUTHENTICATE" => self.unauthenticate = true,
            other => {
                if let Some(mechanism) = other.strip_prefix(b"AUTH=").and_then(Mechanism::from_name)
                    && !self.sasl.contains(&mechanism)
                {
                    self.sasl.push(mechanism);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses() {
        for (line, expected) in [
            (
                &b"* OK [CAPABILITY IMAP4rev1] ready"[..],
                Response::Status(Status::Ok, b"[CAPABILITY IMAP4rev1] ready"),
            ),
            (b"* OK", Response::Status(Status::Ok, b"")),
            (b"* bye too busy", Response::Status(Status::Bye, b"too busy")),
            (b"* CAPABILITY IMAP4rev1", Response::Untagged(b"CAPABILITY IMAP4rev1")),
            (b"P1 OK done", Response::Done { tag: b"P1", status: Status::Ok, from_status: b"OK done" }),
            (b"P1 no", Response::Done { tag: b"P1", status: Status::No, from_status: b"no" }),
            (b"+ abc", Response::Continue(b"abc")),
            (b"+", Response::Continue(b"")),
            (b"P1 BYE x", Response::Invalid),
            (b"220 mail ESMTP", Response::Invalid),
            (b"+OK pop", Response::Continue(b"OK pop")),
            (b"", Response::Invalid),
        ] {
            assert_eq!(parse(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn unauthenticate_is_removed_from_capabilities() {
        for (line, expected) in [
            (&b"* CAPABILITY IMAP4rev1 UNAUTHENTICATE ID\r\n"[..], &b"* CAPABILITY IMAP4rev1 ID\r\n"[..]),
            (b"* CAPABILITY IMAP4rev1 unauthenticate\r\n", b"* CAPABILITY IMAP4rev1\r\n"),
            (b"OK [CAPABILITY IMAP4rev1 UNAUTHENTICATE] in", b"OK [CAPABILITY IMAP4rev1] in"),
            (b"OK [CAPABILITY COMPRESS=DEFLATE UNAUTHENTICATE ID] in", b"OK [CAPABILITY ID] in"),
            (b"* CAPABILITY ID COMPRESS=DEFLATE\r\n", b"* CAPABILITY ID COMPRESS=DEFLATE\r\n"),
            (
                b"OK [CAPABILITY IMAP4rev1] no UNAUTHENTICATE here",
                b"OK [CAPABILITY IMAP4rev1] no UNAUTHENTICATE here",
            ),
            (b"OK [ALERT] UNAUTHENTICATE", b"OK [ALERT] UNAUTHENTICATE"),
            (b"* CAPABILITY IMAP4rev1 UNAUTHENTICATED\r\n", b"* CAPABILITY IMAP4rev1 UNAUTHENTICATED\r\n"),
        ] {
            assert_eq!(without_unauthenticate(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn capabilities_and_codes() {
        let found = Capabilities::parse(
            b"CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=PLAIN auth=xoauth2 AUTH=NTLM ID",
        );
        let expected = Capabilities {
            sasl: vec![Mechanism::Plain, Mechanism::XOAuth2],
            sasl_ir: true,
            id: true,
            ..Capabilities::default()
        };
        assert_eq!(found, Some(expected));
        assert_eq!(Capabilities::parse(b"PERMANENTFLAGS ()"), None);
        assert_eq!(code(b"[CAPABILITY A B] text"), Some(&b"CAPABILITY A B"[..]));
        assert_eq!(code(b"text"), None);
        assert!(is_temporary(b"[UNAVAILABLE] later") && !is_temporary(b"[AUTHENTICATIONFAILED] no"));
    }
}
