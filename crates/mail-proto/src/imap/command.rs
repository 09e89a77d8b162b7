//! The commands that exist before login, parsed from one complete frame (RFC 9051 section 9).
//!
//! The parser accepts what Dovecot and Cyrus accept beyond the grammar, where a command still has one reading: more than
//! one space between arguments, spaces at the end, spaces inside the parentheses of `ID`, and a backslash before any
//! character of a quoted string.

use crate::frame::literal_header;
use credentials::attempt::Mechanism;
use types::secret::Secret;

/// Longest tag. The grammar has no limit; a response repeats the tag, so one is needed.
const MAX_TAG: usize = 128;
/// The limits of RFC 2971 section 3.3 for an `ID` list. Pairs beyond them are dropped.
const MAX_ID_PAIRS: usize = 30;
const MAX_ID_NAME: usize = 30;
const MAX_ID_VALUE: usize = 1024;

/// One command with its tag.
#[derive(Debug)]
pub(super) struct Command {
    pub tag: Vec<u8>,
    pub verb: Verb,
}

/// A command without its tag.
#[derive(Debug)]
pub(super) enum Verb {
    Capability,
    Noop,
    Logout,
    StartTls,
    Id(Vec<IdField>),
    Login {
        user: Secret,
        password: Secret,
    },
    Authenticate {
        /// `None` for an unknown mechanism.
        mechanism: Option<Mechanism>,
        /// The initial response in base64.
        initial: Option<Secret>,
    },
    /// A command of the authenticated or selected state.
    NeedsLogin,
    /// An unknown command.
    Unknown,
}

/// One pair of an `ID` list.
pub(super) type IdField = (Vec<u8>, Option<Vec<u8>>);

/// Why a frame is not a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    /// It does not start with a tag.
    NoTag,
    /// The arguments are invalid for the command.
    Arguments {
        /// The tag for the response.
        tag: Vec<u8>,
    },
}
/// Commands of the authenticated and selected states in RFC 9051 and in common extensions.
const NEED_LOGIN: [&str; 36] = [
    "ENABLE",
    "SELECT",
    "EXAMINE",
    "CREATE",
    "DELETE",
    "RENAME",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "LIST",
    "LSUB",
    "NAMESPACE",
    "STATUS",
    "APPEND",
    "IDLE",
    "DONE",
    "CLOSE",
    "UNSELECT",
    "EXPUNGE",
    "SEARCH",
    "FETCH",
    "STORE",
    "COPY",
    "MOVE",
    "UID",
    "CHECK",
    "SORT",
    "THREAD",
    "GETQUOTA",
    "GETQUOTAROOT",
    "SETQUOTA",
    "GETACL",
    "MYRIGHTS",
    "GETMETADATA",
    "SETMETADATA",
    "NOTIFY",
    "COMPRESS",
];

/// Parses one whole frame, its last line end included.
///
/// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
pub(super) fn parse(frame: &[u8]) -> Result<Command, CommandError> {
    let mut cursor = Cursor::new(frame);
    let tag = cursor.tag().ok_or(CommandError::NoTag)?.to_vec();
    match verb(&mut cursor) {
        Some(verb) => Ok(Command { tag, verb }),
        None => Err(CommandError::Arguments { tag }),
    }
}

/// Returns whether an incomplete frame is a `LOGIN`, whose literals hold credentials.
pub(super) fn is_login(frame: &[u8]) -> bool {
    verb_of(frame).is_some_and(|verb| verb.eq_ignore_ascii_case(b"LOGIN"))
}

/// Returns whether an incomplete line may be longer than other commands: an `AUTHENTICATE` for its initial response, an
/// `ID` for its 30 values of 1,024 octets (RFC 2971 section 3.3).
pub(super) fn may_be_long(frame: &[u8]) -> bool {
    verb_of(frame)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTHENTICATE") || verb.eq_ignore_ascii_case(b"ID"))
}

/// Returns the tag of a frame that exceeds the limits.
pub(super) fn tag_of(frame: &[u8]) -> Option<Vec<u8>> {
    Cursor::new(&frame[..frame.len().min(MAX_TAG + 1)]).tag().map(<[u8]>::to_vec)
}

fn verb_of(frame: &[u8]) -> Option<&[u8]> {
    // A tag, a space and the longest verb: nothing after them matters here.
    let mut cursor = Cursor::new(&frame[..frame.len().min(MAX_TAG + 16)]);
    cursor.tag()?;
    cursor.spaces()?;
    cursor.atom()
}

fn verb(cursor: &mut Cursor<'_>) -> Option<Verb> {
    cursor.spaces()?;
    let name = cursor.atom()?.to_ascii_uppercase();
    let verb = match &name[..] {
        b"CAPABILITY" => Verb::Capability,
        b"NOOP" => Verb::Noop,
        b"LOGOUT" => Verb::Logout,
        b"STARTTLS" => Verb::StartTls,
        b"ID" => Verb::Id(cursor.id_arguments()?),
        b"LOGIN" => {
            cursor.spaces()?;
            let user = cursor.astring()?;
            cursor.spaces()?;
            Verb::Login { user, password: cursor.astring()? }
        }
        b"AUTHENTICATE" => {
            cursor.spaces()?;
            let mechanism = Mechanism::from_name(cursor.atom()?);
            let has_more = cursor.spaces().is_some();
            let initial = if has_more { cursor.rest().map(Secret::copy_of) } else { None };
            Verb::Authenticate { mechanism, initial }
        }
        other if NEED_LOGIN.iter().any(|name| name.as_bytes() == other) => return Some(Verb::NeedsLogin),
        _ => return Some(Verb::Unknown),
    };
    cursor.is_at_end().then_some(verb)
}

/// A cursor over one frame.
struct Cursor<'a> {
    frame: &'a [u8],
    at: usize,
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.frame.get(self.at).copied()
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let rest = &self.frame[self.at..];
        let length = rest.iter().position(|&byte| !is_part(byte)).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    /// tag = 1*<any ASTRING-CHAR except "+">
    fn tag(&mut self) -> Option<&'a [u8]> {
        self.take_while(|byte| is_astring_char(byte) && byte != b'+' && byte < 0x80)
            .filter(|tag| tag.len() <= MAX_TAG)
    }

    fn atom(&mut self) -> Option<&'a [u8]> {
        self.take_while(|byte| is_astring_char(byte) && byte < 0x80)
    }

    /// One or more spaces.
    fn spaces(&mut self) -> Option<()> {
        self.take_while(|byte| byte == b' ').map(|_| ())
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// What is left of the line up to a space or the line end.
    fn rest(&mut self) -> Option<&'a [u8]> {
        self.take_while(|byte| !matches!(byte, b'\r' | b'\n' | 0 | b' '))
    }

    /// astring = 1*ASTRING-CHAR / string
    /// string  = quoted / literal
    fn astring(&mut self) -> Option<Secret> {
        match self.peek()? {
            b'"' => self.quoted(),
            b'{' => self.literal(),
            _ => self.take_while(is_astring_char).map(Secret::copy_of),
        }
    }

    /// quoted = DQUOTE *QUOTED-CHAR DQUOTE, with 8-bit bytes allowed: passwords are bytes.
    fn quoted(&mut self) -> Option<Secret> {
        self.byte(b'"')?;
        let mut text = Secret::with_capacity(64);
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    self.at += 1;
                    // Other characters than the quoted-specials are taken literally, as in Dovecot.
                    let escaped = self.peek().filter(|byte| !matches!(byte, b'\r' | b'\n' | 0))?;
                    text.extend(&[escaped]);
                }
                b'\r' | b'\n' | 0 => return None,
                byte => text.extend(&[byte]),
            }
            self.at += 1;
        }
        self.at += 1;
        Some(text)
    }

    /// literal = "{" number64 ["+"] "}" CRLF *CHAR8. NUL is no CHAR8.
    fn literal(&mut self) -> Option<Secret> {
        let line = memchr::memchr(b'\n', &self.frame[self.at..]).map(|at| at + self.at)?;
        let text = &self.frame[self.at..line];
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let announced = literal_header(text).filter(|literal| literal.length == text.len())?;
        let octets = self.frame.get(line + 1..)?.get(..announced.octets)?;
        self.at = line + 1 + announced.octets;
        (!octets.contains(&0)).then(|| Secret::copy_of(octets))
    }

    /// id-params-list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil
    ///
    /// No arguments mean `NIL`. Pairs beyond the limits of RFC 2971 section 3.3 are dropped.
    fn id_arguments(&mut self) -> Option<Vec<IdField>> {
        let mut fields = Vec::new();
        if self.spaces().is_none() || self.is_at_end() || self.nil() {
            return Some(fields);
        }
        self.byte(b'(')?;
        let _ = self.spaces();
        while self.peek()? != b')' {
            let name = self.astring()?;
            self.spaces()?;
            let value = if self.nil() { None } else { Some(self.astring()?) };
            let fits = name.len() <= MAX_ID_NAME
                && value.as_ref().is_none_or(|value| value.len() <= MAX_ID_VALUE)
                && fields.len() < MAX_ID_PAIRS;
            if fits {
                fields.push((name.expose().to_vec(), value.map(|value| value.expose().to_vec())));
            }
            if self.spaces().is_none() && self.peek()? != b')' {
                return None;
            }
        }
        self.byte(b')')?;
        Some(fields)
    }

    fn nil(&mut self) -> bool {
        let is_nil = self.frame[self.at..].get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"NIL"));
        self.at += if is_nil { 3 } else { 0 };
        is_nil
    }

    /// Returns whether only spaces and the line end are left.
    fn is_at_end(&self) -> bool {
        let rest = &self.frame[self.at..];
        let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
        matches!(&rest[spaces..], b"\r\n" | b"\n")
    }
}

/// ASTRING-CHAR, and in addition `%`, `*`, `\` and 8-bit bytes: clients send them in unquoted passwords, and in these
/// commands they have no other meaning.
const fn is_astring_char(byte: u8) -> bool {
    !matches!(byte, 0..=b' ' | b'(' | b')' | b'{' | b'"' | 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(frame: &[u8]) -> String {
        let text = |secret: &Secret| secret.expose().escape_ascii().to_string();
        match parse(frame) {
            Err(CommandError::NoTag) => "no tag".to_owned(),
            Err(CommandError::Arguments { tag }) => format!("{} bad", tag.escape_ascii()),
            Ok(Command { tag, verb }) => {
                let verb = match verb {
                    Verb::Login { user, password } => {
                        format!("LOGIN <{}> <{}>", text(&user), text(&password))
                    }
                    Verb::Authenticate { mechanism, initial } => {
                        format!("AUTHENTICATE {mechanism:?} {:?}", initial.as_ref().map(text))
                    }
                    Verb::Id(fields) => format!("ID {}", fields.len()),
                    other => format!("{other:?}"),
                };
                format!("{} {verb}", tag.escape_ascii())
            }
        }
    }

    #[test]
    fn commands() {
        for (frame, expected) in [
            (&b"a1 NOOP\r\n"[..], "a1 Noop"),
            (b"a1 noop\n", "a1 Noop"),
            (b"A.b-3] CAPABILITY\r\n", "A.b-3] Capability"),
            (b"a LOGIN alice secret\r\n", "a LOGIN <alice> <secret>"),
            (b"a login \"al ice\" \"s\\\"e\\\\c\"\r\n", "a LOGIN <al ice> <s\\\"e\\\\c>"),
            (b"a LOGIN {5}\r\nalice {6+}\r\nse\r\nts\r\n", "a LOGIN <alice> <se\\r\\nts>"),
            (b"a LOGIN alice \"\"\r\n", "a LOGIN <alice> <>"),
            (b"a LOGIN alice {0}\r\n\r\n", "a LOGIN <alice> <>"),
            (b"a LOGIN alice \" sp \"\r\n", "a LOGIN <alice> < sp >"),
            (b"a LOGIN alice p%*\\\xe9]\r\n", "a LOGIN <alice> <p%*\\\\\\xe9]>"),
            (b"a LOGIN alice \"\xff\"\r\n", "a LOGIN <alice> <\\xff>"),
            (b"a AUTHENTICATE plain AGE=\r\n", "a AUTHENTICATE Some(Plain) Some(\"AGE=\")"),
            (b"a AUTHENTICATE SCRAM-SHA-256\r\n", "a AUTHENTICATE Some(ScramSha256) None"),
            (b"a AUTHENTICATE SCRAM-SHA-256-PLUS\r\n", "a AUTHENTICATE None None"),
            (b"a ID NIL\r\n", "a ID 0"),
            (b"a ID (\"name\" \"x\" \"version\" NIL)\r\n", "a ID 2"),
            (b"a SELECT INBOX\r\n", "a NeedsLogin"),
            (b"a FROBNICATE\r\n", "a Unknown"),
            (b"a STARTTLS\r\n", "a StartTls"),
            // Accepted beyond the grammar.
            (b"a  NOOP\r\n", "a Noop"),
            (b"a NOOP \r\n", "a Noop"),
            (b"a CAPABILITY  \n", "a Capability"),
            (b"a  LOGIN  alice   secret  \r\n", "a LOGIN <alice> <secret>"),
            (b"a LOGIN \"alice\\@example.org\" \"s\\ecret\"\r\n", "a LOGIN <alice@example.org> <secret>"),
            (b"a AUTHENTICATE  PLAIN \r\n", "a AUTHENTICATE Some(Plain) None"),
            (b"a AUTHENTICATE PLAIN  AGE= \r\n", "a AUTHENTICATE Some(Plain) Some(\"AGE=\")"),
            (b"a ID\r\n", "a ID 0"),
            (b"a ID \r\n", "a ID 0"),
            (b"a ID ()\r\n", "a ID 0"),
            (b"a ID ( \"name\"  \"x\" )\r\n", "a ID 1"),
            (b"a ID (\"0123456789012345678901234567890\" NIL \"os\" \"x\")\r\n", "a ID 1"),
            // Errors.
            (b"\r\n", "no tag"),
            (b" NOOP\r\n", "no tag"),
            (b"+ NOOP\r\n", "no tag"),
            (b"a\r\n", "a bad"),
            (b"a NOOP x\r\n", "a bad"),
            (b"a LOGIN alice\r\n", "a bad"),
            (b"a LOGIN alice secret more\r\n", "a bad"),
            (b"a LOGIN alice \"secret\r\n", "a bad"),
            (b"a LOGIN alice se\"cret\r\n", "a bad"),
            (b"a LOGIN alice {3+}\r\na\0b\r\n", "a bad"),
            (b"a LOGIN alice se\0cret\r\n", "a bad"),
            (b"a LOGIN x{5}\r\nalice secret\r\n", "a bad"),
            (b"a AUTHENTICATE\r\n", "a bad"),
            (b"a AUTHENTICATE PLAIN AGE= x\r\n", "a bad"),
            (b"a ID (\"name\")\r\n", "a bad"),
            (b"a ID (\"name\" \"x\"\"os\" \"y\")\r\n", "a bad"),
            (b"a ID (\"name\" \"x\"\r\n", "a bad"),
            (b"a LOGIN alice \"secret\\\r\n", "a bad"),
            (b"a LOGIN \r\n", "a bad"),
            (b"a LOGIN alice \r\n", "a bad"),
        ] {
            assert_eq!(shown(frame), expected, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn pairs_of_an_id_beyond_the_limits_are_dropped() {
        let pairs = |count: usize, length: usize| {
            let pair = format!(" \"name\" \"{}\"", "x".repeat(length));
            format!("a ID ({})\r\n", pair.repeat(count).trim_start())
        };
        for (command, expected) in
            [(pairs(30, 1024), "a ID 30"), (pairs(31, 10), "a ID 30"), (pairs(3, 1025), "a ID 0")]
        {
            assert_eq!(shown(command.as_bytes()), expected);
        }
    }

    #[test]
    fn incomplete_frames() {
        assert!(is_login(b"a LOGIN {5}\r\n") && is_login(b"a login") && !is_login(b"a LOGI"));
        assert!(may_be_long(b"a1 AUTHENTICATE X") && may_be_long(b"a1  id (") && !may_be_long(b"a1"));
        assert_eq!(tag_of(b"a1 x"), Some(b"a1".to_vec()));
        assert_eq!(tag_of(&[b'x'; 500]), None);
    }
}
