//! The commands that exist before login, parsed from one complete frame (RFC 5804 section 2).
//!
//! As in Dovecot, more than one space between arguments and spaces at the end are accepted.

use super::string::Cursor;
use credentials::attempt::Mechanism;
use types::secret::Secret;

/// One command.
#[derive(Debug)]
pub(super) enum Command {
    Capability,
    /// With the tag that the reply repeats.
    Noop(Option<Secret>),
    Logout,
    StartTls,
    Authenticate {
        /// `None` for an unknown mechanism.
        mechanism: Option<Mechanism>,
        /// The initial response in base64.
        initial: Option<Secret>,
    },
    /// What a trusted proxy reports about the client.
    Xclient(Vec<u8>),
    /// A command of the authenticated state.
    NeedsLogin,
    /// An unknown command.
    Unknown,
}

/// The arguments are invalid for the command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CommandError;

/// Longest tag of a `NOOP`: that of a quoted string.
const MAX_TAG: usize = 1024;

/// Commands of the authenticated state (RFC 5804 sections 2.4 to 2.14).
const NEED_LOGIN: [&str; 9] = [
    "HAVESPACE",
    "PUTSCRIPT",
    "LISTSCRIPTS",
    "SETACTIVE",
    "GETSCRIPT",
    "DELETESCRIPT",
    "RENAMESCRIPT",
    "CHECKSCRIPT",
    "UNAUTHENTICATE",
];

/// Parses one complete frame, with its last line end.
pub(super) fn parse(frame: &[u8]) -> Result<Command, CommandError> {
    let mut cursor = Cursor::new(frame);
    match cursor.atom().map(<[u8]>::to_ascii_uppercase) {
        Some(verb) => arguments(&verb, &mut cursor).ok_or(CommandError),
        None => Ok(Command::Unknown),
    }
}

/// Returns whether an incomplete line is an `AUTHENTICATE`, whose initial response may be long.
pub(super) fn is_authenticate(frame: &[u8]) -> bool {
    const START: &[u8] = b"AUTHENTICATE ";
    frame.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// Returns the base64 text of a line of a SASL exchange. `*` is accepted without quotes too, as some clients send it.
pub(super) fn response(frame: &[u8]) -> Option<Secret> {
    let mut cursor = Cursor::new(frame);
    if cursor.rest().trim_ascii_end() == b"*" {
        return Some(Secret::copy_of(b"*"));
    }
    cursor.string().filter(|_| cursor.is_at_end())
}

fn arguments(verb: &[u8], cursor: &mut Cursor<'_>) -> Option<Command> {
    let command = match verb {
        b"CAPABILITY" => Command::Capability,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        // command-noop = "NOOP" [SP string] CRLF
        b"NOOP" if cursor.is_at_end() => Command::Noop(None),
        b"NOOP" => {
            cursor.spaces()?;
            Command::Noop(Some(cursor.string().filter(|tag| tag.len() <= MAX_TAG)?))
        }
        // command-authenticate = "AUTHENTICATE" SP auth-type [SP string] *(CRLF string)
        b"AUTHENTICATE" => {
            cursor.spaces()?;
            let mechanism = Mechanism::from_name(cursor.string()?.expose());
            let initial = if cursor.is_at_end() {
                None
            } else {
                cursor.spaces()?;
                Some(cursor.string()?)
            };
            Command::Authenticate { mechanism, initial }
        }
        b"XCLIENT" => {
            cursor.spaces()?;
            let attributes = cursor.rest().trim_ascii_end();
            return (!attributes.is_empty()).then(|| Command::Xclient(attributes.to_vec()));
        }
        other if NEED_LOGIN.iter().any(|name| name.as_bytes() == other) => return Some(Command::NeedsLogin),
        _ => return Some(Command::Unknown),
    };
    cursor.is_at_end().then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frame: &[u8]) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match parse(frame) {
            Err(CommandError) => "bad".to_owned(),
            Ok(Command::Noop(tag)) => format!("NOOP {:?}", tag.as_ref().map(text)),
            Ok(Command::Authenticate { mechanism, initial }) => {
                format!("AUTHENTICATE {mechanism:?} {:?}", initial.as_ref().map(text))
            }
            Ok(Command::Xclient(attributes)) => format!("XCLIENT <{}>", attributes.escape_ascii()),
            Ok(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn commands() {
        for (frame, expected) in [
            (&b"CAPABILITY\r\n"[..], "Capability"),
            (b"capability\n", "Capability"),
            (b"LOGOUT\r\n", "Logout"),
            (b"StartTls\r\n", "StartTls"),
            (b"NOOP\r\n", "NOOP None"),
            (b"NOOP \"sync 1\"\r\n", "NOOP Some(\"sync 1\")"),
            (b"NOOP {4+}\r\na\r\nb\r\n", "NOOP Some(\"a\\\\r\\\\nb\")"),
            (b"AUTHENTICATE \"PLAIN\"\r\n", "AUTHENTICATE Some(Plain) None"),
            (b"authenticate \"plain\" \"AGE=\"\r\n", "AUTHENTICATE Some(Plain) Some(\"AGE=\")"),
            (b"AUTHENTICATE \"PLAIN\" {4+}\r\nAGE=\r\n", "AUTHENTICATE Some(Plain) Some(\"AGE=\")"),
            (b"AUTHENTICATE {5+}\r\nPLAIN \"\"\r\n", "AUTHENTICATE Some(Plain) Some(\"\")"),
            (b"AUTHENTICATE \"NTLM\"\r\n", "AUTHENTICATE None None"),
            (b"XCLIENT ADDR=192.0.2.1 TTL=5\r\n", "XCLIENT <ADDR=192.0.2.1 TTL=5>"),
            (b"LISTSCRIPTS\r\n", "NeedsLogin"),
            (b"PUTSCRIPT \"x\" {6+}\r\nLOGOUT\r\n", "NeedsLogin"),
            (b"UNAUTHENTICATE\r\n", "NeedsLogin"),
            (b"FROBNICATE\r\n", "Unknown"),
            (b"\r\n", "Unknown"),
            (b" NOOP\r\n", "Unknown"),
            (b"\"NOOP\"\r\n", "Unknown"),
            // Accepted beyond the grammar.
            (b"LOGOUT \r\n", "Logout"),
            (b"NOOP \r\n", "NOOP None"),
            (b"AUTHENTICATE  \"PLAIN\"   \"AGE=\"  \r\n", "AUTHENTICATE Some(Plain) Some(\"AGE=\")"),
            (b"AUTHENTICATE \"PLAIN\" \r\n", "AUTHENTICATE Some(Plain) None"),
            // Errors.
            (b"CAPABILITY x\r\n", "bad"),
            (b"NOOP x\r\n", "bad"),
            (b"NOOP \"a\" \"b\"\r\n", "bad"),
            (b"NOOP \"a\0\"\r\n", "bad"),
            (b"AUTHENTICATE\r\n", "bad"),
            (b"AUTHENTICATE PLAIN\r\n", "bad"),
            (b"AUTHENTICATE \"PLAIN\" AGE=\r\n", "bad"),
            (b"AUTHENTICATE \"PLAIN\" \"AGE=\" x\r\n", "bad"),
            (b"XCLIENT\r\n", "bad"),
            (b"XCLIENT \r\n", "bad"),
        ] {
            assert_eq!(shown(frame), expected, "{}", frame.escape_ascii());
        }
        let long = format!("NOOP \"{}\"\r\n", "x".repeat(1025));
        assert_eq!(shown(long.as_bytes()), "bad");
    }

    #[test]
    fn responses() {
        for (frame, expected) in [
            (&b"\"AGE=\"\r\n"[..], Some(&b"AGE="[..])),
            (b"{4+}\r\nAGE=\r\n", Some(b"AGE=")),
            (b"\"\"\n", Some(b"")),
            (b"\"*\"\r\n", Some(b"*")),
            (b"*\r\n", Some(b"*")),
            (b"AGE=\r\n", None),
            (b"\"AGE=\" x\r\n", None),
            (b"\r\n", None),
        ] {
            assert_eq!(response(frame).as_ref().map(Secret::expose), expected, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn incomplete_lines() {
        assert!(
            is_authenticate(b"authenticate \"X")
                && !is_authenticate(b"AUTHENTICATE")
                && !is_authenticate(b"x")
        );
    }
}
