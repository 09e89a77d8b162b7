//! Ends a bridged session before a command that would change its account reaches the backend.
//!
//! After `UNAUTHENTICATE` (RFC 8437; RFC 5804 section 2.14.1) the client could log in as another account: on the server that
//! was chosen for the first one, and in a session that is listed, counted and kicked under the first name.
//!
//! What must never happen here: the backend reads a command in bytes that the guard has skipped as a literal. Only the
//! literals of a message upload are skipped, and only where the backend must take them as such. From the first byte that could
//! be read in two ways, every line is read as a command; the worst that follows is that a message which contains the
//! line `x UNAUTHENTICATE` ends the session.

use crate::follow::Side;
use crate::follow::lines::{Literal, LiteralLines, Tail};

/// Follows the bytes of both sides, from the login on.
#[derive(Debug)]
pub struct AccountGuard {
    syntax: Syntax,
    position: Position,
    word: Word,
    command: Command,
    /// The remaining octets of a literal.
    literal: u64,
    /// The length of a literal that the backend has not asked for yet.
    announced: Option<u64>,
    /// `IDLE` commands whose continuation request is still to come.
    idles: u32,
    /// Whether it is certain which bytes are literals.
    is_certain: bool,
    tail: Tail,
    /// The backend's side. ManageSieve's is not followed: no answer changes how its lines are read.
    responses: LiteralLines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syntax {
    /// A tag precedes each command.
    Imap {
        /// `LITERAL+`: a literal of any length may follow at once; otherwise at most [`MAX_LITERAL_MINUS`] octets (RFC 7888).
        literal_plus: bool,
    },
    ManageSieve,
}

/// Where the next byte of the line belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Position {
    Tag,
    Command,
    Arguments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// `APPEND` or `REPLACE`: its literals may be messages.
    Upload,
    Idle,
    Other,
}

/// A word of the line, in upper case.
#[derive(Debug, Clone, Default)]
struct Word {
    bytes: [u8; MAX_WORD],
    length: usize,
}

/// The length of `UNAUTHENTICATE`, the longest word that matters, and one byte more.
const MAX_WORD: usize = 15;
/// RFC 7888 section 5.
const MAX_LITERAL_MINUS: u64 = 4096;

// === impl AccountGuard ===

impl AccountGuard {
    /// Guards an IMAP session; `literal_plus`: the backend has `LITERAL+`.
    #[must_use]
    pub fn imap(literal_plus: bool) -> Self {
        Self::new(Syntax::Imap { literal_plus })
    }

    /// Guards a ManageSieve session. A script is short, so its lines are read like commands.
    #[must_use]
    pub fn managesieve() -> Self {
        Self::new(Syntax::ManageSieve)
    }

    fn new(syntax: Syntax) -> Self {
        Self {
            syntax,
            position: syntax.line_start(),
            word: Word::default(),
            command: Command::Other,
            literal: 0,
            announced: None,
            idles: 0,
            is_certain: true,
            tail: Tail::default(),
            responses: LiteralLines::default(),
        }
    }

    /// Processes the next bytes of a side before the other one receives them. Returns false if they contain a command that
    /// must not reach the backend.
    #[must_use]
    pub fn see(&mut self, from: Side, bytes: &[u8]) -> bool {
        match from {
            Side::Client => self.see_client(bytes),
            Side::Backend => {
                self.see_backend(bytes);
                true
            }
        }
    }

    /// Returns how many of the next bytes of a side need not be seen.
    #[must_use]
    pub const fn unseen(&self, from: Side) -> u64 {
        match (from, self.syntax) {
            (Side::Client, _) => self.literal,
            (Side::Backend, Syntax::Imap { .. }) => self.responses.literal(),
            (Side::Backend, Syntax::ManageSieve) => u64::MAX,
        }
    }

    /// Passes over `count` bytes, at most [`AccountGuard::unseen`].
    pub const fn skip(&mut self, from: Side, count: u64) {
        match from {
            Side::Client => self.literal = self.literal.saturating_sub(count),
            Side::Backend => self.responses.skip(count),
        }
    }

    fn see_client(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.literal > 0 {
                let skipped = usize::try_from(self.literal).unwrap_or(usize::MAX).min(bytes.len());
                self.literal -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            if self.announced.is_some() {
                // The client has not waited for the backend's answer, so what follows may be the literal or a command.
                self.lose_certainty();
            }
            let end = memchr::memchr(b'\n', bytes);
            let line = &bytes[..end.unwrap_or(bytes.len())];
            if !self.read(line) {
                return false;
            }
            self.tail.push(line);
            let Some(end) = end else { return true };
            if !self.complete_word() {
                return false;
            }
            self.end_line();
            bytes = &bytes[end + 1..];
        }
        true
    }

    fn see_backend(&mut self, mut bytes: &[u8]) {
        if self.syntax == Syntax::ManageSieve {
            return;
        }
        while let Some(&first) = bytes.first() {
            if self.responses.at_start() {
                self.response(first);
            }
            let Some(rest) = self.responses.next(bytes) else { return };
            bytes = rest;
        }
    }

    /// Handles the first byte of a response, before the rest of it has come: the client may be sending what it refuses.
    fn response(&mut self, first: u8) {
        match first {
            b'+' if self.idles > 0 => self.idles -= 1,
            b'+' => {
                if let Some(octets) = self.announced.take() {
                    self.literal = octets;
                }
            }
            b'*' => {}
            // A tagged response: the backend may have refused the upload that is under way.
            _ if self.literal > 0 || self.announced.is_some() => self.lose_certainty(),
            _ => {}
        }
    }

    /// Reads the words of a line or a part of it. A CR may end a line, too: some servers read it so.
    fn read(&mut self, mut line: &[u8]) -> bool {
        loop {
            if self.position == Position::Arguments {
                let Some(at) = memchr::memchr(b'\r', line) else { return true };
                line = &line[at..];
            }
            let Some((&byte, rest)) = line.split_first() else { return true };
            line = rest;
            let is_last_of_word = match self.position {
                Position::Tag => byte <= b' ',
                Position::Command => !byte.is_ascii_alphabetic(),
                Position::Arguments => false,
            };
            if is_last_of_word && !self.complete_word() {
                return false;
            }
            if byte == b'\r' {
                self.position = self.syntax.line_start();
            } else if !is_last_of_word && self.position != Position::Arguments {
                self.word.push(byte);
            }
        }
    }

    /// Handles the end of a word. Returns false if it is a command that must not reach the backend.
    fn complete_word(&mut self) -> bool {
        let word = std::mem::take(&mut self.word);
        if word.length == 0 || self.position == Position::Arguments {
            return true;
        }
        let word = &word.bytes[..word.length];
        let has_tags = self.syntax != Syntax::ManageSieve;
        // In the place of a tag, too: the octets of a literal `{14+}` could be the name of the command.
        if word == b"UNAUTHENTICATE" {
            return false;
        }
        if self.position == Position::Tag {
            self.position = Position::Command;
            return true;
        }
        self.position = Position::Arguments;
        self.command = match word {
            // What follows would be unreadable.
            b"COMPRESS" if has_tags => return false,
            b"APPEND" | b"REPLACE" if has_tags => Command::Upload,
            b"IDLE" if has_tags => Command::Idle,
            _ => Command::Other,
        };
        true
    }

    fn end_line(&mut self) {
        let literal = self.tail.literal();
        self.tail.clear();
        let command = std::mem::replace(&mut self.command, Command::Other);
        self.position = self.syntax.line_start();
        match literal {
            _ if self.syntax == Syntax::ManageSieve || !self.is_certain => {}
            None if command == Command::Idle => self.idles = self.idles.saturating_add(1),
            None => {}
            Some(literal) if command == Command::Upload => {
                // The command continues after the literal.
                self.command = Command::Upload;
                self.position = Position::Arguments;
                self.begin_literal(literal);
            }
            Some(_) => self.lose_certainty(),
        }
    }

    fn begin_literal(&mut self, literal: Literal) {
        let has_plus = self.syntax == Syntax::Imap { literal_plus: true };
        match literal {
            Literal { octets, is_synchronizing: true } => self.announced = Some(octets),
            Literal { octets, .. } if has_plus || octets <= MAX_LITERAL_MINUS => self.literal = octets,
            _ => self.lose_certainty(),
        }
    }

    /// Reads every line as a command from now on.
    fn lose_certainty(&mut self) {
        self.is_certain = false;
        self.literal = 0;
        self.announced = None;
        self.position = self.syntax.line_start();
    }
}

// === impl Syntax ===

impl Syntax {
    const fn line_start(self) -> Position {
        match self {
            Self::Imap { .. } => Position::Tag,
            Self::ManageSieve => Position::Command,
        }
    }
}

// === impl Word ===

impl Word {
    /// Adds a byte. What is too long keeps the buffer full, and is none of the words that matter.
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte.to_ascii_uppercase();
            self.length += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plays lines of a session: `C:` and the client's bytes, `S:` and the backend's response, `s:` and a part of one. Returns
    /// the client's bytes that were refused.
    fn refused(mut guard: AccountGuard, script: &[&str]) -> Option<String> {
        for line in script {
            match line.split_once(": ") {
                Some(("C", bytes)) if guard.see(Side::Client, bytes.as_bytes()) => {}
                Some(("C", bytes)) => return Some(bytes.to_owned()),
                Some(("S", response)) => {
                    assert!(guard.see(Side::Backend, format!("{response}\r\n").as_bytes()));
                }
                Some(("s", part)) => assert!(guard.see(Side::Backend, part.as_bytes())),
                _ => panic!("{line}"),
            }
        }
        None
    }

    #[test]
    fn a_command_that_changes_the_account_is_refused() {
        for script in [
            &["C: a UNAUTHENTICATE\r\n"][..],
            &["C: a unauthenticate\n"],
            &["C: a NOOP\r\nb  UnAuthenticate \r\nc LOGIN bob x\r\n"],
            &["C: a UNAUTH", "C: ENTICATE", "C: \r\n"],
            &["C: a UNAUTHENTICATE now\r\n"],
            &["C: a NOOP\rb UNAUTHENTICATE\r\n"],
            &["C: \r\n\ta\tUNAUTHENTICATE\r\n"],
            &["C: a \"UNAUTHENTICATE\"\r\n"],
            &["C: a {14+}\r\nUNAUTHENTICATE\r\n"],
            &["C: a COMPRESS DEFLATE\r\n"],
            // The command after an upload.
            &["C: a APPEND x {4+}\r\nabcd\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {4}\r\n", "S: + go on", "C: abcd\r\n", "S: a OK", "C: b UNAUTHENTICATE\r\n"],
            // Not literals, or perhaps not: the backend may read the octets as commands.
            &["C: a NOOP {400+}\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {4097+}\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {400\r+}\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {400}\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {400}\r\n", "S: a NO full", "C: b UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {400+}\r\nab", "S: a NO full", "C: c\r\nb UNAUTHENTICATE\r\n"],
            &["C: a APPEND x {400+}\r\nab", "s: a N", "C: c\r\nb UNAUTHENTICATE\r\n"],
            // The octets of the backend's literal are not a continuation request.
            &["C: a APPEND x {400}\r\n", "S: * 1 FETCH (BODY[] {4}\r\n\n+ab)", "C: b UNAUTHENTICATE\r\n"],
            &["C: a APPEND x\ry FETCH {400+}\r\nb UNAUTHENTICATE\r\n"],
            // The octets of a search begin an upload only by name.
            &["C: a SEARCH SUBJECT {60+}\r\nx APPEND y {400+}\r\nb UNAUTHENTICATE\r\n"],
            // The continuation request is that of IDLE.
            &["C: a IDLE\r\nDONE\r\nb APPEND x {400}\r\n", "S: + idling", "C: c UNAUTHENTICATE\r\n"],
        ] {
            assert!(refused(AccountGuard::imap(false), script).is_some(), "{script:?}");
        }
        for script in [
            &["C: UNAUTHENTICATE\r\n"][..],
            &["C: NOOP\r\n  Unauthenticate\r\n"],
            &["C: PUTSCRIPT \"a\" \"x{400+}\r\n\"\r\nUNAUTHENTICATE\r\n"],
        ] {
            assert!(refused(AccountGuard::managesieve(), script).is_some(), "{script:?}");
        }
    }

    #[test]
    fn other_commands_and_messages_pass() {
        let message = "x UNAUTHENTICATE\r\nHello\r\n";
        let at_once = format!("C: b APPEND x (\\Seen) {{{}+}}\r\n{message}\r\nc NOOP\r\n", message.len());
        let asked = format!("C: b APPEND x {{{}}}\r\n", message.len());
        let text = format!("C: {message}");
        let two = format!("C:  {{{}+}}\r\n{message}\r\nc NOOP\r\n", message.len());
        for script in [
            &["C: a SEARCH SUBJECT \"x UNAUTHENTICATE\"\r\n"][..],
            &["C: a UNAUTHENTICATED\r\na UNAUTHENTICAT\r\n"],
            &["C: a UID FETCH 1 UNAUTHENTICATE\r\n"],
            &["C: a IDLE\r\n", "S: + idling", "S: * 1 EXISTS", "C: DONE\r\n", "S: a OK"],
            &[&at_once],
            &[&asked, "S: * 2 EXISTS", "S: + go on", &text, "C: \r\n", "S: b OK", "C: c NOOP\r\n"],
            &[&asked, "S: + go on", &text, &two, "S: b OK"],
            &[&asked, "s: * 1 FETCH (BODY[] {9}\r\n", "s: b NO", "S: + abc)", "s: +", &text],
            &["C: a IDLE\r\n", "S: + idling", "C: DONE\r\n", "S: a OK", &asked, "S: + go on", &text],
        ] {
            assert_eq!(refused(AccountGuard::imap(false), script), None, "{script:?}");
        }
        let script = "C: PUTSCRIPT \"UNAUTHENTICATE\" {5+}\r\nstop;\r\nLISTSCRIPTS\r\nCOMPRESS\r\n";
        assert_eq!(refused(AccountGuard::managesieve(), &[script]), None);
        // With LITERAL+, of any length.
        let mut guard = AccountGuard::imap(true);
        assert!(guard.see(Side::Client, b"a APPEND x {1000000+}\r\nx UNAUTHENTICATE\r\n"));
        assert_eq!(guard.unseen(Side::Client), 1_000_000 - 18);
        guard.skip(Side::Client, 1_000_000 - 18);
        assert!(guard.see(Side::Client, b"\r\n") && !guard.see(Side::Client, b"b UNAUTHENTICATE\r\n"));
    }

    #[test]
    fn literals_of_responses_can_be_skipped() {
        let mut guard = AccountGuard::imap(false);
        assert!(guard.see(Side::Client, b"a FETCH 1 BODY[]\r\nb APPEND x {18}\r\n"));
        assert!(guard.see(Side::Backend, b"* 1 FETCH (BODY[] {1000000}\r\n"));
        assert_eq!(guard.unseen(Side::Backend), 1_000_000);
        guard.skip(Side::Backend, 1_000_000);
        assert!(guard.see(Side::Backend, b")\r\na OK\r\n+ go on\r\n"));
        // The response to `a` was seen: it could be the refusal of the upload, so the literal is not skipped.
        assert_eq!(guard.unseen(Side::Client), 0);

        assert!(AccountGuard::managesieve().see(Side::Backend, b"{5}\r\n"));
        assert_eq!(AccountGuard::managesieve().unseen(Side::Backend), u64::MAX);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            text in "([ab]{0,2} |APPEND |UNAUTHENTICATE|IDLE|x {0,2}|\\{[0-9]{1,2}\\+?\\}|\r|\n|\r\n){0,30}",
            size in 1_usize..8,
        ) {
            let mut whole = AccountGuard::imap(true);
            let passes = whole.see(Side::Client, text.as_bytes());
            let mut pieces = AccountGuard::imap(true);
            let in_pieces = text.as_bytes().chunks(size).all(|piece| pieces.see(Side::Client, piece));
            prop_assert_eq!(in_pieces, passes);
        }
    }
}
