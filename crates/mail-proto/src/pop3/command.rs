//! The few commands that exist before a login, parsed from one line (RFC 1939 section 3).

use credentials::attempt::Mechanism;
use types::secret::Secret;

/// What is asked.
#[derive(Debug)]
pub(super) enum Command {
    Capa,
    Noop,
    Quit,
    Stls,
    /// The user name, byte for byte.
    User(Secret),
    /// The password, byte for byte: spaces belong to it (RFC 1939 section 7, `PASS`).
    Pass(Secret),
    /// `AUTH` alone: which mechanisms are there?
    Mechanisms,
    Auth {
        /// `None`: a mechanism that we do not know.
        mechanism: Option<Mechanism>,
        /// As it stood on the line, still encoded.
        initial: Option<Secret>,
    },
    Apop,
    /// What a trusted proxy reports about the client.
    Xclient(Vec<u8>),
    /// RFC 6856 section 2.
    Utf8,
    /// RFC 6856 section 3: with a language range, or without one for the list.
    Lang(Option<Vec<u8>>),
    /// A command of a later state: it needs a login first.
    NeedsLogin,
    /// No command that we have heard of.
    Unknown,
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    /// The arguments are not what the command takes.
    Arguments,
    /// A NUL, or a CR that ends no line.
    ForbiddenByte,
}

/// Commands of the TRANSACTION state (RFC 1939 section 5, 7).
const NEED_LOGIN: [&str; 7] = ["STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"];

/// Parses one line without its end: a keyword, and arguments behind one space.
pub(super) fn parse(line: &[u8]) -> Result<Command, CommandError> {
    if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        return Err(CommandError::ForbiddenByte);
    }
    let space = memchr::memchr(b' ', line);
    let keyword = line[..space.unwrap_or(line.len())].to_ascii_uppercase();
    let argument = space.map(|space| &line[space + 1..]);
    let command = match (&keyword[..], argument) {
        (b"CAPA", None) => Command::Capa,
        (b"NOOP", None) => Command::Noop,
        (b"QUIT", None) => Command::Quit,
        (b"STLS", None) => Command::Stls,
        (b"USER", Some(name)) if !name.is_empty() => Command::User(Secret::copy_of(name)),
        (b"PASS", Some(password)) => Command::Pass(Secret::copy_of(password)),
        (b"AUTH", None) => Command::Mechanisms,
        (b"AUTH", Some(arguments)) => auth(arguments)?,
        (b"XCLIENT", Some(arguments)) => Command::Xclient(arguments.to_vec()),
        (b"APOP", _) => Command::Apop,
        (b"UTF8", None) => Command::Utf8,
        (b"LANG", None) => Command::Lang(None),
        (b"LANG", Some(range)) if !range.is_empty() => Command::Lang(Some(range.to_vec())),
        (b"CAPA" | b"NOOP" | b"QUIT" | b"STLS" | b"USER" | b"PASS" | b"XCLIENT" | b"UTF8" | b"LANG", _) => {
            return Err(CommandError::Arguments);
        }
        (other, _) if NEED_LOGIN.iter().any(|name| name.as_bytes() == other) => Command::NeedsLogin,
        _ => Command::Unknown,
    };
    Ok(command)
}

/// Whether an unfinished line already shows itself to be `AUTH`, whose initial response may be long.
pub(super) fn is_auth(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "))
}

/// "AUTH" SP sasl-mech [SP (initial-response / "=")] (RFC 5034 section 7)
fn auth(arguments: &[u8]) -> Result<Command, CommandError> {
    let mut words = arguments.split(|&byte| byte == b' ');
    let mechanism = words.next().filter(|name| !name.is_empty()).ok_or(CommandError::Arguments)?;
    let initial = words.next().filter(|text| !text.is_empty()).map(Secret::copy_of);
    if words.next().is_some() {
        return Err(CommandError::Arguments);
    }
    Ok(Command::Auth { mechanism: Mechanism::from_name(mechanism), initial })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match parse(line) {
            Err(mistake) => format!("{mistake:?}"),
            Ok(Command::User(name)) => format!("USER <{}>", text(&name)),
            Ok(Command::Pass(password)) => format!("PASS <{}>", text(&password)),
            Ok(Command::Auth { mechanism, initial }) => {
                format!("AUTH {mechanism:?} {:?}", initial.as_ref().map(text))
            }
            Ok(Command::Xclient(arguments)) => format!("XCLIENT <{}>", arguments.escape_ascii()),
            Ok(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn commands() {
        for (line, expected) in [
            (&b"CAPA"[..], "Capa"),
            (b"capa", "Capa"),
            (b"Noop", "Noop"),
            (b"QUIT", "Quit"),
            (b"STLS", "Stls"),
            (b"USER alice", "USER <alice>"),
            (b"user  al ice ", "USER < al ice >"),
            (b"PASS secret", "PASS <secret>"),
            (b"PASS  sp aced  ", "PASS < sp aced  >"),
            (b"PASS ", "PASS <>"),
            (b"PASS %\"\\\xff", "PASS <%\\\"\\\\\\xff>"),
            (b"AUTH", "Mechanisms"),
            (b"AUTH PLAIN", "AUTH Some(Plain) None"),
            (b"AUTH PLAIN ", "AUTH Some(Plain) None"),
            (b"auth plain AGE=", "AUTH Some(Plain) Some(\"AGE=\")"),
            (b"AUTH PLAIN =", "AUTH Some(Plain) Some(\"=\")"),
            (b"AUTH CRAM-MD5", "AUTH None None"),
            (b"APOP alice c4c9", "Apop"),
            (b"XCLIENT ADDR=192.0.2.1", "XCLIENT <ADDR=192.0.2.1>"),
            (b"UTF8", "Utf8"),
            (b"LANG", "Lang(None)"),
            (b"lang en-GB", "Lang(Some([101, 110, 45, 71, 66]))"),
            (b"STAT", "NeedsLogin"),
            (b"RETR 1", "NeedsLogin"),
            (b"", "Unknown"),
            (b" NOOP", "Unknown"),
            (b"FROBNICATE x", "Unknown"),
            // Mistakes.
            (b"CAPA x", "Arguments"),
            (b"NOOP ", "Arguments"),
            (b"USER", "Arguments"),
            (b"USER ", "Arguments"),
            (b"PASS", "Arguments"),
            (b"AUTH ", "Arguments"),
            (b"AUTH  PLAIN", "Arguments"),
            (b"AUTH PLAIN AGE= x", "Arguments"),
            (b"XCLIENT", "Arguments"),
            (b"UTF8 on", "Arguments"),
            (b"LANG ", "Arguments"),
            (b"PASS a\0b", "ForbiddenByte"),
            (b"PASS a\rSTAT", "ForbiddenByte"),
        ] {
            assert_eq!(shown(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_an_unfinished_line_shows() {
        assert!(
            is_auth(b"AUTH X")
                && is_auth(b"auth ")
                && !is_auth(b"AUTH")
                && !is_auth(b"AUTHX ")
                && !is_auth(b"")
        );
    }
}
