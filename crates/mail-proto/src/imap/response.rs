//! The backend's lines, as far as a login needs to understand them (RFC 9051 section 7).

use credentials::attempt::Mechanism;
use credentials::sasl::Offered;

/// One line (with the literals it holds), without the last line end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// `* OK text` and its kin: the status and what follows.
    Status(Status, &'a [u8]),
    /// Any other untagged response.
    Untagged(&'a [u8]),
    /// A tagged completion.
    Done {
        tag: &'a [u8],
        status: Status,
        /// From the status word on, for the client.
        from_status: &'a [u8],
    },
    /// `+ text`.
    Continue(&'a [u8]),
    /// Not IMAP.
    Nonsense,
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

/// What a backend said that it can do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub sasl: Vec<Mechanism>,
    pub starttls: bool,
    pub login_disabled: bool,
    pub sasl_ir: bool,
    pub literal_plus: bool,
    pub id: bool,
}

/// Reads one framed response.
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
        return Response::Nonsense;
    };
    let tag = &line[..space];
    let from_status = &line[space + 1..];
    match status(from_status) {
        Some((status @ (Status::Ok | Status::No | Status::Bad), _)) => {
            Response::Done { tag, status, from_status }
        }
        _ => Response::Nonsense,
    }
}

/// The response code at the front of a status text: `[CODE arguments]`.
pub(super) fn code(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"[")?;
    memchr::memchr(b']', inner).map(|end| &inner[..end])
}

/// Whether the text of a `BYE` refuses this login: its code is neither missing nor one of a temporary failure.
/// `ALERT` alone shows that a person must act, as for a locked account (RFC 9051 section 7.1).
pub(super) fn bye_is_refusal(text: &[u8]) -> bool {
    code(text).is_some() && !is_not_now(text)
}

/// Whether a `NO` means "not now" rather than "not you" (RFC 9051 section 7.1).
pub(super) fn is_not_now(text: &[u8]) -> bool {
    code(text).is_some_and(|code| {
        [&b"UNAVAILABLE"[..], b"INUSE", b"LIMIT", b"SERVERBUG"]
            .iter()
            .any(|name| code.eq_ignore_ascii_case(name))
    })
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
    /// Reads the words behind `CAPABILITY` in an untagged response or a response code; `None` when it is
    /// something else.
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

    /// What a login can use.
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
            (b"P1 BYE x", Response::Nonsense),
            (b"220 mail ESMTP", Response::Nonsense),
            (b"+OK pop", Response::Continue(b"OK pop")),
            (b"", Response::Nonsense),
        ] {
            assert_eq!(parse(line), expected, "{}", line.escape_ascii());
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
        assert!(is_not_now(b"[UNAVAILABLE] later") && !is_not_now(b"[AUTHENTICATIONFAILED] no"));
    }
}
