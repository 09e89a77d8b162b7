//! The commands that exist before login, parsed from one line (RFC 1939 section 3).
//!
//! As in Dovecot, spaces at the end of a command without arguments and around those of `AUTH` are ignored. A name and a
//! password are taken byte for byte.

use credentials::attempt::Mechanism;
use types::secret::Secret;

/// One command.
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
    /// `AUTH` without arguments: list the mechanisms.
    Mechanisms,
    Auth {
        /// `None` for an unknown mechanism.
        mechanism: Option<Mechanism>,
        /// The initial response in base64.
        initial: Option<Secret>,
    },
    Apop,
    /// What a trusted proxy reports about the client.
    Xclient(Vec<u8>),
    /// RFC 6856 section 2.
    Utf8,
    /// RFC 6856 section 3: with a language range, or without one for the list.
    Lang(Option<Vec<u8>>),
    /// A command of the TRANSACTION state.
    NeedsLogin,
    /// An unknown command.
    Unknown,
}

/// Why a line is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    /// The arguments are invalid for the command.
    Arguments,
    /// A NUL, or a CR without LF.
    ForbiddenByte,
}

/// Commands of the TRANSACTION state (RFC 1939 section 5, 7).
const NEED_LOGIN: [&str; 7] = ["STAT", "LIST", "RETR", "DELE", "RSET", "TOP", "UIDL"];

/// Parses one line without its end: a keyword, and arguments after one space.
pub(super) fn parse(line: &[u8]) -> Result<Command, CommandError> {
    if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        return Err(CommandError::ForbiddenByte);
    }
    let space = memchr::memchr(b' ', line);
    let keyword = line[..space.unwrap_or(line.len())].to_ascii_uppercase();
    let argument = space.map(|space| &line[space + 1..]);
    let words = argument.map(<[u8]>::trim_ascii).filter(|words| !words.is_empty());
    let command = match (&keyword[..], words) {
        (b"CAPA", None) => Command::Capa,
        (b"NOOP", None) => Command::Noop,
        (b"QUIT", None) => Command::Quit,
        (b"STLS", None) => Command::Stls,
        (b"AUTH", None) => Command::Mechanisms,
        (b"AUTH", Some(words)) => auth(words)?,
        (b"XCLIENT", Some(words)) => Command::Xclient(words.to_vec()),
        (b"APOP", _) => Command::Apop,
        (b"UTF8", None) => Command::Utf8,
        (b"LANG", None) => Command::Lang(None),
        (b"LANG", Some(range)) => Command::Lang(Some(range.to_vec())),
        (b"USER" | b"PASS", _) => credential(&keyword, argument)?,
        (b"CAPA" | b"NOOP" | b"QUIT" | b"STLS" | b"XCLIENT" | b"UTF8", _) => {
            return Err(CommandError::Arguments);
        }
        (other, _) if NEED_LOGIN.iter().any(|name| name.as_bytes() == other) => Command::NeedsLogin,
        _ => Command::Unknown,
    };
    Ok(command)
}

/// Returns whether an incomplete line is an `AUTH`, whose initial response may be long.
pub(super) fn is_auth(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "))
}

/// `USER` and `PASS`: everything after the first space is the argument.
fn credential(keyword: &[u8], argument: Option<&[u8]>) -> Result<Command, CommandError> {
    match argument {
        Some(name) if keyword == b"USER" && !name.is_empty() => Ok(Command::User(Secret::copy_of(name))),
        Some(password) if keyword == b"PASS" => Ok(Command::Pass(Secret::copy_of(password))),
        _ => Err(CommandError::Arguments),
    }
}

/// "AUTH" SP sasl-mech [SP (initial-response / "=")] (RFC 5034 section 7)
fn auth(words: &[u8]) -> Result<Command, CommandError> {
    let mut words = words.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(CommandError::Arguments)?;
    let initial = words.next().map(Secret::copy_of);
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
            // Accepted beyond the grammar.
            (b"CAPA ", "Capa"),
            (b"QUIT  ", "Quit"),
            (b"NOOP ", "Noop"),
            (b"STLS ", "Stls"),
            (b"AUTH ", "Mechanisms"),
            (b"AUTH  PLAIN  AGE= ", "AUTH Some(Plain) Some(\"AGE=\")"),
            (b"LANG ", "Lang(None)"),
            // Errors.
            (b"CAPA x", "Arguments"),
            (b"XCLIENT  ", "Arguments"),
            (b"USER", "Arguments"),
            (b"USER ", "Arguments"),
            (b"PASS", "Arguments"),
            (b"AUTH PLAIN AGE= x", "Arguments"),
            (b"XCLIENT", "Arguments"),
            (b"UTF8 on", "Arguments"),
            (b"PASS a\0b", "ForbiddenByte"),
            (b"PASS a\rSTAT", "ForbiddenByte"),
        ] {
            assert_eq!(shown(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn incomplete_lines() {
        assert!(
            is_auth(b"AUTH X")
                && is_auth(b"auth ")
                && !is_auth(b"AUTH")
                && !is_auth(b"AUTHX ")
                && !is_auth(b"")
        );
    }
}
