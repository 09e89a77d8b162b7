//! The few commands that exist before a login, parsed from one whole frame (RFC 9051 section 9).

use crate::frame::literal_header;
use credentials::attempt::Mechanism;
use types::secret::Secret;

/// Longest tag. The grammar knows no limit; a response repeats the tag, so we need one.
const MAX_TAG: usize = 128;

/// One command with its tag.
#[derive(Debug)]
pub(super) struct Command {
    pub tag: Vec<u8>,
    pub verb: Verb,
}

/// What is asked.
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
        /// `None`: a mechanism that we do not know.
        mechanism: Option<Mechanism>,
        /// As it stood on the line, still encoded.
        initial: Option<Secret>,
    },
    /// A command of a later state: it needs a login first.
    NeedsLogin,
    /// No command that we have heard of.
    Unknown,
}

/// One pair of an `ID` list.
pub(super) type IdField = (Vec<u8>, Option<Vec<u8>>);

/// Why a frame is no command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    /// Not even a tag to answer with.
    NoTag,
    /// The arguments are not what the command takes.
    Arguments {
        /// The tag to answer with.
        tag: Vec<u8>,
    },
}

/// Commands that RFC 9051 knows in a later state, and those of common extensions.
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
    let verb = cursor.space().and_then(|()| cursor.atom()).map(<[u8]>::to_ascii_uppercase);
    match verb.and_then(|verb| arguments(&verb, &mut cursor)) {
        Some(verb) => Ok(Command { tag, verb }),
        None => Err(CommandError::Arguments { tag }),
    }
}

/// Whether an unfinished frame already shows itself to be `LOGIN`, whose literals hold credentials.
pub(super) fn is_login(frame: &[u8]) -> bool {
    verb_of(frame).is_some_and(|verb| verb.eq_ignore_ascii_case(b"LOGIN"))
}

/// Whether an unfinished line already shows itself to be `AUTHENTICATE`, whose initial response may be long.
pub(super) fn is_authenticate(frame: &[u8]) -> bool {
    verb_of(frame).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTHENTICATE"))
}

/// The tag of a frame that could not be taken whole.
pub(super) fn tag_of(frame: &[u8]) -> Option<Vec<u8>> {
    Cursor::new(&frame[..frame.len().min(MAX_TAG + 1)]).tag().map(<[u8]>::to_vec)
}

fn verb_of(frame: &[u8]) -> Option<&[u8]> {
    // Tag, space and the longest of the two verbs: more need not be looked at.
    let mut cursor = Cursor::new(&frame[..frame.len().min(MAX_TAG + 16)]);
    cursor.tag()?;
    cursor.space()?;
    cursor.atom()
}

fn arguments(verb: &[u8], cursor: &mut Cursor<'_>) -> Option<Verb> {
    let verb = match verb {
        b"CAPABILITY" => Verb::Capability,
        b"NOOP" => Verb::Noop,
        b"LOGOUT" => Verb::Logout,
        b"STARTTLS" => Verb::StartTls,
        b"ID" => {
            cursor.space()?;
            Verb::Id(cursor.id_list()?)
        }
        b"LOGIN" => {
            cursor.space()?;
            let user = cursor.astring()?;
            cursor.space()?;
            Verb::Login { user, password: cursor.astring()? }
        }
        b"AUTHENTICATE" => {
            cursor.space()?;
            let mechanism = Mechanism::from_name(cursor.atom()?);
            let initial = cursor.space().and_then(|()| cursor.rest()).map(Secret::copy_of);
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

    fn space(&mut self) -> Option<()> {
        self.byte(b' ')
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        (self.peek()? == expected).then(|| self.at += 1)
    }

    /// What is left of the line, without its end.
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
                    let escaped = self.peek().filter(|byte| matches!(byte, b'"' | b'\\'))?;
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
    /// (RFC 2971 section 4: at most 30 pairs, names of 30 and values of 1024 octets)
    fn id_list(&mut self) -> Option<Vec<IdField>> {
        let mut fields = Vec::new();
        if self.nil() {
            return Some(fields);
        }
        self.byte(b'(')?;
        while self.peek()? != b')' {
            if !fields.is_empty() {
                self.space()?;
            }
            let name = self.astring()?;
            self.space()?;
            let value = if self.nil() { None } else { Some(self.astring()?) };
            let fits = name.len() <= 30 && value.as_ref().is_none_or(|value| value.len() <= 1024);
            if !fits || fields.len() == 30 {
                return None;
            }
            fields.push((name.expose().to_vec(), value.map(|value| value.expose().to_vec())));
        }
        self.byte(b')')?;
        Some(fields)
    }

    fn nil(&mut self) -> bool {
        let is_nil = self.frame[self.at..].get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"NIL"));
        self.at += if is_nil { 3 } else { 0 };
        is_nil
    }

    fn is_at_end(&self) -> bool {
        matches!(&self.frame[self.at..], b"\r\n" | b"\n")
    }
}

/// ASTRING-CHAR, and beyond it `%`, `*`, `\` and 8-bit bytes: clients send passwords unquoted with them, and
/// no meaning in these commands collides.
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
            // Mistakes.
            (b"\r\n", "no tag"),
            (b" NOOP\r\n", "no tag"),
            (b"+ NOOP\r\n", "no tag"),
            (b"a\r\n", "a bad"),
            (b"a  NOOP\r\n", "a bad"),
            (b"a NOOP x\r\n", "a bad"),
            (b"a NOOP \r\n", "a bad"),
            (b"a LOGIN alice\r\n", "a bad"),
            (b"a LOGIN alice secret more\r\n", "a bad"),
            (b"a LOGIN alice \"secret\r\n", "a bad"),
            (b"a LOGIN alice \"s\\ecret\"\r\n", "a bad"),
            (b"a LOGIN alice se\"cret\r\n", "a bad"),
            (b"a LOGIN alice {3+}\r\na\0b\r\n", "a bad"),
            (b"a LOGIN alice se\0cret\r\n", "a bad"),
            (b"a LOGIN x{5}\r\nalice secret\r\n", "a bad"),
            (b"a AUTHENTICATE\r\n", "a bad"),
            (b"a AUTHENTICATE PLAIN AGE= x\r\n", "a bad"),
            (b"a ID (\"name\")\r\n", "a bad"),
            (b"a ID (\"0123456789012345678901234567890\" NIL)\r\n", "a bad"),
        ] {
            assert_eq!(shown(frame), expected, "{}", frame.escape_ascii());
        }
    }

    #[test]
    fn what_an_unfinished_frame_shows() {
        assert!(is_login(b"a LOGIN {5}\r\n") && is_login(b"a login") && !is_login(b"a LOGI"));
        assert!(is_authenticate(b"a1 AUTHENTICATE X") && !is_authenticate(b"a1"));
        assert_eq!(tag_of(b"a1 x"), Some(b"a1".to_vec()));
        assert_eq!(tag_of(&[b'x'; 500]), None);
    }
}
