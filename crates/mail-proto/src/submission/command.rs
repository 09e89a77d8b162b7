//! The commands that exist before login, parsed from one line (RFC 5321 section 4.1).
//!
//! As in Postfix, the arguments of `AUTH` are separated by any white space.

use credentials::attempt::Mechanism;
use types::secret::Secret;

/// One command.
#[derive(Debug)]
pub(super) enum Command {
    /// `EHLO` or `HELO`.
    Hello {
        /// The argument, not validated; never empty.
        name: Vec<u8>,
        /// Whether it was `EHLO`.
        extended: bool,
    },
    Noop,
    Rset,
    Help,
    /// `VRFY` or `EXPN`.
    Verify,
    Quit,
    StartTls,
    Auth {
        /// `None` for an unknown mechanism.
        mechanism: Option<Mechanism>,
        /// The initial response in base64.
        initial: Option<Secret>,
    },
    /// What a trusted proxy reports about the client.
    Xclient(Vec<u8>),
    /// A command of the mail transaction.
    NeedsLogin,
    /// `BDAT` (RFC 3030), which bytes of a message follow.
    Bdat,
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

/// Commands of the mail transaction (RFC 5321 section 3.3, RFC 1985, RFC 4468).
const NEED_LOGIN: [&str; 5] = ["MAIL", "RCPT", "DATA", "ETRN", "BURL"];

/// Parses one line without its end: a verb, and arguments after a space. White space at the end is accepted (RFC 5321
/// section 4.1.1).
pub(super) fn parse(line: &[u8]) -> Result<Command, CommandError> {
    if line.iter().any(|byte| matches!(byte, 0 | b'\r')) {
        return Err(CommandError::ForbiddenByte);
    }
    let line = line.trim_ascii_end();
    let space = memchr::memchr(b' ', line);
    let verb = line[..space.unwrap_or(line.len())].to_ascii_uppercase();
    let argument = space.map(|space| line[space..].trim_ascii_start());
    let command = match (&verb[..], argument) {
        (b"EHLO" | b"HELO", Some(name)) => Command::Hello { name: name.to_vec(), extended: verb == b"EHLO" },
        // RFC 5321 sections 4.1.1.8 and 4.1.1.9: HELP and NOOP may have a string.
        (b"NOOP", _) => Command::Noop,
        (b"HELP", _) => Command::Help,
        (b"RSET", None) => Command::Rset,
        (b"QUIT", None) => Command::Quit,
        (b"STARTTLS", None) => Command::StartTls,
        (b"VRFY" | b"EXPN", Some(_)) => Command::Verify,
        (b"AUTH", Some(arguments)) => auth(arguments)?,
        (b"XCLIENT", Some(arguments)) => Command::Xclient(arguments.to_vec()),
        (
            b"EHLO" | b"HELO" | b"RSET" | b"QUIT" | b"STARTTLS" | b"VRFY" | b"EXPN" | b"AUTH" | b"XCLIENT",
            _,
        ) => {
            return Err(CommandError::Arguments);
        }
        (b"BDAT", _) => Command::Bdat,
        (other, _) if NEED_LOGIN.iter().any(|name| name.as_bytes() == other) => Command::NeedsLogin,
        _ => Command::Unknown,
    };
    Ok(command)
}

/// Returns whether an incomplete line is an `AUTH`, whose initial response may be long.
pub(super) fn is_auth(line: &[u8]) -> bool {
    line.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "))
}

/// `auth-command = "AUTH" SP sasl-mech [SP initial-response]` (RFC 4954 section 8)
fn auth(arguments: &[u8]) -> Result<Command, CommandError> {
    let mut words = arguments.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let mechanism = words.next().ok_or(CommandError::Arguments)?;
    let initial = words.next();
    if words.next().is_some() {
        return Err(CommandError::Arguments);
    }
    Ok(Command::Auth { mechanism: Mechanism::from_name(mechanism), initial: initial.map(Secret::copy_of) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &[u8]) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match parse(line) {
            Err(mistake) => format!("{mistake:?}"),
            Ok(Command::Hello { name, extended }) => format!("HELLO <{}> {extended}", name.escape_ascii()),
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
            (&b"EHLO [192.0.2.1]"[..], "HELLO <[192.0.2.1]> true"),
            (b"ehlo  a\xff b ", "HELLO <a\\xff b> true"),
            (b"Helo pc", "HELLO <pc> false"),
            (b"NOOP", "Noop"),
            (b"NOOP anything at all", "Noop"),
            (b"RSET \t", "Rset"),
            (b"help MAIL", "Help"),
            (b"VRFY alice", "Verify"),
            (b"EXPN staff", "Verify"),
            (b"QUIT", "Quit"),
            (b"StartTLS", "StartTls"),
            (b"AUTH PLAIN", "AUTH Some(Plain) None"),
            (b"AUTH PLAIN ", "AUTH Some(Plain) None"),
            (b"auth  plain AGE=", "AUTH Some(Plain) Some(\"AGE=\")"),
            (b"AUTH PLAIN =", "AUTH Some(Plain) Some(\"=\")"),
            (b"AUTH CRAM-MD5", "AUTH None None"),
            (b"XCLIENT ADDR=192.0.2.1 PORT=1", "XCLIENT <ADDR=192.0.2.1 PORT=1>"),
            (b"MAIL FROM:<>", "NeedsLogin"),
            (b"rcpt to:<a@b>", "NeedsLogin"),
            (b"DATA", "NeedsLogin"),
            (b"BDAT 5 LAST", "Bdat"),
            (b"BDAT", "Bdat"),
            (b"", "Unknown"),
            (b" NOOP", "Unknown"),
            (b"AUTHX PLAIN", "Unknown"),
            (b"MAIL\tFROM", "Unknown"),
            (b"AUTH PLAIN  AGE= ", "AUTH Some(Plain) Some(\"AGE=\")"),
            (b"AUTH PLAIN\tAGE=", "AUTH Some(Plain) Some(\"AGE=\")"),
            // Errors.
            (b"EHLO", "Arguments"),
            (b"HELO ", "Arguments"),
            (b"RSET now", "Arguments"),
            (b"QUIT now", "Arguments"),
            (b"STARTTLS 1.3", "Arguments"),
            (b"VRFY", "Arguments"),
            (b"AUTH", "Arguments"),
            (b"AUTH PLAIN AGE= AUTH=x", "Arguments"),
            (b"XCLIENT", "Arguments"),
            (b"EHLO a\0b", "ForbiddenByte"),
            (b"NOOP\rMAIL FROM:<>", "ForbiddenByte"),
            (b"NOOP\r", "ForbiddenByte"),
        ] {
            assert_eq!(shown(line), expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn incomplete_lines() {
        for (line, expected) in
            [(&b"AUTH X"[..], true), (b"auth ", true), (b"AUTH", false), (b"AUTHX ", false), (b"", false)]
        {
            assert_eq!(is_auth(line), expected, "{}", line.escape_ascii());
        }
    }
}
