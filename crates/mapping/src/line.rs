//! One line of a mapping file: its grammar, and what can be wrong with it.
//!
//! ```text
//! line    = blank / comment / entry
//! comment = *WSP "#" *any
//! entry   = *WSP identifier 1*WSP destination *WSP
//! ```
//!
//! A wrong line is never skipped: an account that is silently left out would be routed to the default.

use std::borrow::Cow;
use std::fmt;

use plan::Name;
use thiserror::Error;
use types::identifier::BadIdentifier;

use crate::rules::{BYTE_ORDER_MARK, Rules, judge};
use crate::shown::shown;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MappingLine<'a> {
    /// Nothing: blank, or a comment.
    Nothing,
    /// An entry.
    Entry {
        /// The normalised identifier.
        key: Cow<'a, str>,
        /// Index in the rules' destinations.
        destination: u16,
        /// The destination as it stands in the line.
        word: &'a str,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// Not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// One field.
    #[error("has one field, expected an identifier and a destination")]
    OneField,
    /// More than two fields.
    #[error("has {0} fields, expected an identifier and a destination (a comment needs a line of its own)")]
    ManyFields(usize),
    /// No login has such an identifier.
    #[error("can match no login: {0}")]
    Identifier(BadIdentifier),
    /// No such destination.
    #[error("names the destination {}, which is not declared; declared are: {}", shown(found), declared.join(", "))]
    UnknownDestination {
        /// As it stands there.
        found: String,
        /// The first few that there are.
        declared: Vec<Name>,
    },
    /// A byte order mark where no file begins.
    #[error("begins with a byte order mark, as where two files were joined; take it out")]
    Mark,
    /// The file has more entries than fit.
    #[error("lies beyond what a mapping file can hold; keep that many accounts in SQL or Redis")]
    TooMany,
    /// The identifier has another destination in an earlier line.
    #[error(
        "maps {} to {destination}, but line {first_line} maps it to {first}: keep one of them",
        shown(identifier)
    )]
    Contradiction {
        /// Normalised.
        identifier: String,
        /// Of this line.
        destination: Name,
        /// The earlier line, from 1.
        first_line: usize,
        /// Its destination.
        first: Name,
    },
}

/// A line that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} {problem}")]
pub struct LineError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub problem: LineProblem,
}

/// The lines of a file that are wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct BadLines {
    /// In the file's order, at most [`BadLines::MAX`].
    pub errors: Vec<LineError>,
    /// How many more there are.
    pub more: usize,
}

// === impl MappingLine ===

impl<'a> MappingLine<'a> {
    /// Reads one line, without its line feed (a carriage return before it is white space).
    pub(crate) fn parse(bytes: &'a [u8], rules: &Rules) -> Result<Self, LineProblem> {
        let text = str::from_utf8(bytes).map_err(|_| LineProblem::NotUtf8)?;
        let mut fields = text.split_whitespace();
        let Some(identifier) = fields.next().filter(|first| !first.starts_with('#')) else {
            return Ok(Self::Nothing);
        };
        let word = fields.next().ok_or(LineProblem::OneField)?;
        let more = fields.count();
        if more > 0 {
            return Err(LineProblem::ManyFields(2 + more));
        }
        if identifier.starts_with(BYTE_ORDER_MARK) {
            return Err(LineProblem::Mark);
        }
        let key = rules.key(identifier);
        judge(&key).map_err(LineProblem::Identifier)?;
        let destination = rules.index_of(word).ok_or_else(|| LineProblem::unknown(word, rules))?;
        Ok(Self::Entry { key, destination, word })
    }
}

// === impl LineProblem ===

impl LineProblem {
    fn unknown(word: &str, rules: &Rules) -> Self {
        const MAX_SHOWN: usize = 8;
        let declared = rules.destinations().iter().take(MAX_SHOWN).cloned().collect();
        Self::UnknownDestination { found: word.chars().take(100).collect(), declared }
    }
}

// === impl BadLines ===

impl BadLines {
    /// Errors that are kept of one file: nobody reads more, and every line may have one.
    pub const MAX: usize = 1_000;

    pub(crate) fn push(&mut self, line: usize, problem: LineProblem) {
        if self.errors.len() < Self::MAX {
            self.errors.push(LineError { line, problem });
        } else {
            self.more += 1;
        }
    }

    /// How many lines are wrong.
    #[must_use]
    pub fn count(&self) -> usize {
        self.errors.len() + self.more
    }
}

impl fmt::Display for BadLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN: usize = 10;
        for (index, error) in self.errors.iter().take(MAX_SHOWN).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        match self.count().saturating_sub(MAX_SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules() -> Rules {
        Rules::new(["new", "old"].map(Name::from), true, false)
    }

    fn said(line: &[u8]) -> String {
        match MappingLine::parse(line, &rules()) {
            Ok(MappingLine::Nothing) => "nothing".to_owned(),
            Ok(MappingLine::Entry { key, destination, word }) => format!("{key} {destination} {word}"),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn every_kind_of_line() {
        let long = [b"a".repeat(321).as_slice(), b" new"].concat();
        let most = [b"a".repeat(320).as_slice(), b" new"].concat();
        let unknown = r#"names the destination "nwe", which is not declared; declared are: new, old"#;
        let two = "expected an identifier and a destination";
        let mark = "begins with a byte order mark, as where two files were joined; take it out";
        for (line, expected) in [
            (&b""[..], "nothing"),
            (b" \t\r", "nothing"),
            (b"# alice new", "nothing"),
            (b"  #alice", "nothing"),
            (b"alice new", "alice 0 new"),
            (b"\tAlice@Example.org \t old\r", "alice@example.org 1 old"),
            (b"@Example.org old", "@example.org 1 old"),
            (b"alice#1 new", "alice#1 0 new"),
            (b"alice", &format!("has one field, {two}")),
            (b"alice new #yes", &format!("has 3 fields, {two} (a comment needs a line of its own)")),
            (b"alice nwe", unknown),
            (b"alice New", "names the destination \"New\", which is not declared; declared are: new, old"),
            (b"al\xffice new", "is not UTF-8"),
            (b"\"alice\" new", "can match no login: the account name holds a double quote; take it out"),
            (b"al\0ice new", "can match no login: the account name holds a control character; take it out"),
            ("\u{feff}alice new".as_bytes(), mark),
            ("\u{feff}# people".as_bytes(), mark),
            ("a\u{feff} new".as_bytes(), "a\u{feff} 0 new"),
            ("a\u{2003}new\u{3000}".as_bytes(), "a 0 new"),
            (&long, "can match no login: the account name has more than 320 bytes; use a shorter one"),
            (&most, &format!("{} 0 new", "a".repeat(320))),
        ] {
            assert_eq!(said(line), expected, "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn errors_have_a_bound_and_say_how_many_there_are() {
        let mut lines = BadLines::default();
        for line in 1..=1_500 {
            lines.push(line, LineProblem::OneField);
        }
        assert_eq!((lines.errors.len(), lines.more, lines.count()), (1_000, 500, 1_500));
        let text = lines.to_string();
        assert!(text.starts_with("line 1 has one field, "), "{text}");
        assert!(text.ends_with("; and 1490 more"), "{text}");
    }

    proptest! {
        #[test]
        fn never_panics(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = MappingLine::parse(&line, &rules());
        }
    }
}
