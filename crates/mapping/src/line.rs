//! The grammar of a line of the mapping file, and its errors.
//!
//! ```text
//! line    = blank / comment / entry
//! comment = *WSP "#" *any
//! entry   = *WSP ( identifier / DQUOTE identifier DQUOTE ) 1*WSP destination *WSP
//! ```
//!
//! An identifier that contains spaces or begins with `#` must be quoted. It never contains a quote, so there are no escapes.
//!
//! An invalid line is never skipped: an account that is silently left out would be routed to the default destination.

use std::borrow::Cow;
use std::fmt;

use plan::Name;
use thiserror::Error;
use types::identifier::{BadIdentifier, validate};

use crate::rules::{BYTE_ORDER_MARK, Rules};
use crate::shown::shown;
use crate::unmatchable::Unmatchable;

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MappingLine<'a> {
    /// A blank line or a comment.
    Nothing,
    /// An entry.
    Entry {
        /// The normalised identifier.
        key: Cow<'a, str>,
        /// Index in the rules' destinations.
        destination: u16,
        /// The destination as written in the line.
        word: &'a str,
    },
}

/// An error in a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LineProblem {
    /// The line is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// The line has one field.
    #[error("has one field, expected an identifier and a destination")]
    OneField,
    /// The line has more than two fields.
    #[error(
        "has {0} fields, expected an identifier and a destination (quote an identifier that contains spaces; a comment needs a line of its own)"
    )]
    ManyFields(usize),
    /// The line begins with a quote, and the quoted identifier does not end before white space.
    #[error("begins with a quote, expected a second one after the identifier, and white space after that")]
    Unquoted,
    /// No login has such an identifier.
    #[error("can match no login: {0}")]
    Identifier(BadIdentifier),
    /// No login has such an identifier, although it is a valid one.
    #[error("can match no login: {0}")]
    Unmatchable(Unmatchable),
    /// The destination is not declared.
    #[error("names the destination {}, which is not declared; declared are: {}", shown(found), declared.join(", "))]
    UnknownDestination {
        /// The destination as written, shortened.
        found: String,
        /// The first few declared destinations.
        declared: Vec<Name>,
    },
    /// The line begins with a byte order mark and is not the first of the file.
    #[error("begins with a byte order mark, as in two files joined together; remove it")]
    ByteOrderMark,
    /// The file has more entries than the table can hold.
    #[error("is beyond the capacity of a mapping file; keep this many accounts in SQL or Redis")]
    TooMany,
    /// An earlier line maps the identifier to another destination.
    #[error(
        "maps {} to {destination}, but line {first_line} maps it to {first}: keep one of them",
        shown(identifier)
    )]
    Contradiction {
        /// The normalised identifier.
        identifier: String,
        /// The destination in this line.
        destination: Name,
        /// The number of the earlier line, from 1.
        first_line: usize,
        /// The destination in the earlier line.
        first: Name,
    },
}

/// An invalid line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line} {problem}")]
pub struct LineError {
    /// The line number, from 1.
    pub line: usize,
    /// The error.
    pub problem: LineProblem,
}

/// The invalid lines of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Error)]
pub struct BadLines {
    /// The errors in file order, at most [`BadLines::MAX`].
    pub errors: Vec<LineError>,
    /// The number of further errors.
    pub more: usize,
}

// === impl MappingLine ===

impl<'a> MappingLine<'a> {
    /// Parses one line without its line feed. A carriage return counts as white space.
    pub(crate) fn parse(bytes: &'a [u8], rules: &Rules) -> Result<Self, LineProblem> {
        let text = str::from_utf8(bytes).map_err(|_| LineProblem::NotUtf8)?;
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(Self::Nothing);
        }
        if text.starts_with(BYTE_ORDER_MARK) {
            return Err(LineProblem::ByteOrderMark);
        }
        let (identifier, rest) = split_identifier(text)?;
        if identifier.starts_with(BYTE_ORDER_MARK) {
            return Err(LineProblem::ByteOrderMark);
        }
        let mut fields = rest.split_whitespace();
        let word = fields.next().ok_or(LineProblem::OneField)?;
        let more = fields.count();
        if more > 0 {
            return Err(LineProblem::ManyFields(2 + more));
        }
        let key = rules.key(identifier);
        validate(&key).map_err(LineProblem::Identifier)?;
        if let Some(unmatchable) = Unmatchable::find(&key, rules.domains) {
            return Err(LineProblem::Unmatchable(unmatchable));
        }
        let destination = rules.index_of(word).ok_or_else(|| LineProblem::unknown(word, rules))?;
        Ok(Self::Entry { key, destination, word })
    }
}

/// Splits a line that is neither blank nor a comment into its identifier and the rest.
fn split_identifier(text: &str) -> Result<(&str, &str), LineProblem> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(text.split_once(char::is_whitespace).unwrap_or((text, "")));
    };
    let (identifier, rest) = quoted.split_once('"').ok_or(LineProblem::Unquoted)?;
    if rest.starts_with(|char: char| !char.is_whitespace()) {
        return Err(LineProblem::Unquoted);
    }
    Ok((identifier, rest))
}

/// Returns `identifier` as it is written in a line.
#[must_use]
pub fn field(identifier: &str) -> Cow<'_, str> {
    if identifier.contains(' ') || identifier.starts_with('#') {
        Cow::Owned(format!("\"{identifier}\""))
    } else {
        Cow::Borrowed(identifier)
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
    /// The most errors kept for one file. Every line of a file may have one.
    pub const MAX: usize = 1_000;

    pub(crate) fn push(&mut self, line: usize, problem: LineProblem) {
        if self.errors.len() < Self::MAX {
            self.errors.push(LineError { line, problem });
        } else {
            self.more += 1;
        }
    }

    /// Returns the number of invalid lines.
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
        Rules::new(["new", "old"].map(Name::from), true, true)
    }

    fn described(line: &[u8]) -> String {
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
        let remedy = "(quote an identifier that contains spaces; a comment needs a line of its own)";
        let quote =
            "begins with a quote, expected a second one after the identifier, and white space after that";
        let space =
            "the account name begins or ends with a space, or contains white space that is not a space";
        let mark = "begins with a byte order mark, as in two files joined together; remove it";
        for (line, expected) in [
            (&b""[..], "nothing"),
            (b" \t\r", "nothing"),
            (b"# alice new", "nothing"),
            (b"  #alice", "nothing"),
            (b"alice new", "alice 0 new"),
            (b"\tAlice@Example.org \t old\r", "alice@example.org 1 old"),
            (b"@Example.org old", "@example.org 1 old"),
            (b"alice#1 new", "alice#1 0 new"),
            (
                b"alice@example.org, new",
                "can match no login: the identifier ends with ',': remove it, fields are separated by white space",
            ),
            (b"alice", &format!("has one field, {two}")),
            (b"alice new #yes", &format!("has 3 fields, {two} {remedy}")),
            (b"jane doe new", &format!("has 3 fields, {two} {remedy}")),
            (b"\"Jane Doe/Sales\" new", "jane doe/sales 0 new"),
            (b" \"jane  doe\"\t new \r", "jane  doe 0 new"),
            (b"\"alice\" new", "alice 0 new"),
            (b"\"#1\" new", "#1 0 new"),
            (b"\"jane doe\"", &format!("has one field, {two}")),
            (b"\"jane doe new", quote),
            (b"\"jane\"doe new", quote),
            (b"\"", quote),
            (b"\"\" new", "can match no login: the account name is empty"),
            (b"\" jane\" new", &format!("can match no login: {space}")),
            (b"a\"b new", "can match no login: the account name contains a double quote"),
            (b"alice nwe", unknown),
            (b"alice New", "names the destination \"New\", which is not declared; declared are: new, old"),
            (b"al\xffice new", "is not UTF-8"),
            (b"al\0ice new", "can match no login: the account name contains a control character"),
            ("\u{feff}alice new".as_bytes(), mark),
            ("\u{feff}# people".as_bytes(), mark),
            ("a\u{feff} new".as_bytes(), "a\u{feff} 0 new"),
            ("a\u{2003}new\u{3000}".as_bytes(), "a 0 new"),
            (&long, "can match no login: the account name has more than 320 bytes"),
            (&most, &format!("{} 0 new", "a".repeat(320))),
        ] {
            assert_eq!(described(line), expected, "{:?}", line.escape_ascii().to_string());
        }
    }

    #[test]
    fn errors_are_bounded_and_counted() {
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
