//! The parts of a backend's responses that a login needs (RFC 1939 section 3, RFC 2449).

use credentials::attempt::Mechanism;
use credentials::sasl::Offered;

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Response<'a> {
    /// `+OK text`.
    Ok(&'a [u8]),
    /// `-ERR text`.
    Err(&'a [u8]),
    /// `+ text`.
    Continue(&'a [u8]),
    /// Not a POP3 response.
    Invalid,
}

/// Parses one line that is not part of a multi-line response.
pub(super) fn parse(line: &[u8]) -> Response<'_> {
    let (status, text) = match memchr::memchr(b' ', line) {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, &[][..]),
    };
    match &status.to_ascii_uppercase()[..] {
        b"+OK" => Response::Ok(text),
        b"-ERR" => Response::Err(text),
        b"+" => Response::Continue(text),
        _ => Response::Invalid,
    }
}

/// Returns the response code at the start of a status text: `[CODE]` (RFC 2449 section 8).
pub(super) fn code(text: &[u8]) -> Option<&[u8]> {
    let inner = text.strip_prefix(b"[")?;
    memchr::memchr(b']', inner).map(|end| &inner[..end])
}

/// Returns whether an `-ERR` is a temporary failure and not a refusal (RFC 2449 section 8.1, RFC 3206).
pub(super) fn is_temporary(text: &[u8]) -> bool {
    code(text).is_some_and(|code| {
        let class = code.split(|&byte| byte == b'/').next().unwrap_or_default();
        [&b"SYS"[..], b"IN-USE", b"LOGIN-DELAY"].iter().any(|name| class.eq_ignore_ascii_case(name))
    })
}

/// Returns whether a line of the capability list is `UTF8` (RFC 6856 section 2.2), with or without its argument.
pub(super) fn is_utf8(line: &[u8]) -> bool {
    line.split(|&byte| byte == b' ').next().is_some_and(|word| word.eq_ignore_ascii_case(b"UTF8"))
}

/// Adds one line of the capability list (RFC 2449 section 5) to `offered`.
pub(super) fn add_capability(offered: &mut Offered, line: &[u8]) {
    let mut words = line.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    match words.next().map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"USER") => offered.native = true,
        Some(b"SASL") => {
            for mechanism in words.filter_map(Mechanism::from_name) {
                if !offered.sasl.contains(&mechanism) {
                    offered.sasl.push(mechanism);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses() {
        for (line, expected) in [
            (&b"+OK [XCLIENT] ready"[..], Response::Ok(b"[XCLIENT] ready")),
            (b"+OK", Response::Ok(b"")),
            (b"+ok x", Response::Ok(b"x")),
            (b"-ERR [AUTH] no", Response::Err(b"[AUTH] no")),
            (b"-ERR", Response::Err(b"")),
            (b"+ abc", Response::Continue(b"abc")),
            (b"+ ", Response::Continue(b"")),
            (b"+", Response::Continue(b"")),
            (b"+OKAY", Response::Invalid),
            (b"* OK imap", Response::Invalid),
            (b"220 mail ESMTP", Response::Invalid),
            (b" +OK", Response::Invalid),
            (b"", Response::Invalid),
        ] {
            assert_eq!(parse(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn codes() {
        for (text, expected) in [
            (&b"[SYS/TEMP] later"[..], true),
            (b"[sys/perm] broken", true),
            (b"[IN-USE] busy", true),
            (b"[LOGIN-DELAY] wait", true),
            (b"[AUTH] no", false),
            (b"[SYSTEM] x", false),
            (b"[SYS/TEMP later", false),
            (b"later [SYS/TEMP]", false),
            (b"", false),
        ] {
            assert_eq!(is_temporary(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn capabilities() {
        let mut offered = Offered::default();
        for line in [&b"TOP"[..], b"sasl PLAIN  plain NTLM xoauth2", b"USER", b"", b"USERS"] {
            add_capability(&mut offered, line);
        }
        let sasl = vec![Mechanism::Plain, Mechanism::XOAuth2];
        assert_eq!(offered, Offered { sasl, native: true });
    }
}
