//! The routing identifier: the name by which an account is looked up, held, moved and logged.
//!
//! The type exists so that an unchecked name cannot get into a table, a log line or a header:
//! [`Identifier::parse`] is the only constructor. Never add another one, or a `From`.

use std::borrow::Borrow;
use std::error::Error;
use std::fmt;
use std::str;
use std::sync::Arc;

/// The longest identifier, in bytes: 64 of local part, `@`, 255 of domain (RFC 5321 section 4.5.3.1).
pub const MAX_LENGTH: usize = 320;

/// An account's name, as [`validate`] accepts it. Cloning shares it. It is not folded: to get lower case, fold before
/// parsing.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Arc<str>);

/// Why a name is not an [`Identifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BadIdentifier {
    /// The name is empty.
    Empty,
    /// More than [`MAX_LENGTH`] bytes.
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Contains a control character (Unicode's Cc: U+0000 to U+001F, U+007F to U+009F).
    Control,
    /// Begins or ends with a space, or contains other white space, as Unicode defines it.
    Space,
    /// Contains a double quote.
    Quote,
}

/// Checks whether `name` can be an account's name: 1 to [`MAX_LENGTH`] bytes without control characters and double quotes.
/// U+0020 is the only white space, and only between other characters: `Jane Doe/Sales/Example` is a name.
///
/// The same rule as [`Identifier::parse`], without its allocation.
///
/// # Errors
/// The first rule that `name` breaks, in the order of [`BadIdentifier`].
pub fn validate(name: &str) -> Result<(), BadIdentifier> {
    validate_length(name.as_bytes())?;
    if name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') {
        return Ok(());
    }
    // Control first: a tab is both, and "control character" is the more helpful reason.
    if name.contains(char::is_control) {
        return Err(BadIdentifier::Control);
    }
    let has_other_space = name.contains(|char: char| char.is_whitespace() && char != ' ');
    if has_other_space || name.starts_with(' ') || name.ends_with(' ') {
        return Err(BadIdentifier::Space);
    }
    if name.contains('"') {
        return Err(BadIdentifier::Quote);
    }
    Ok(())
}

fn validate_length(name: &[u8]) -> Result<(), BadIdentifier> {
    match name.len() {
        0 => Err(BadIdentifier::Empty),
        1..=MAX_LENGTH => Ok(()),
        _ => Err(BadIdentifier::TooLong),
    }
}

// === impl Identifier ===

impl Identifier {
    /// Checks `name` as it is, without trimming or folding.
    ///
    /// # Errors
    /// The first rule that `name` breaks, in the order of [`BadIdentifier`].
    pub fn parse(name: impl AsRef<[u8]>) -> Result<Self, BadIdentifier> {
        let bytes = name.as_ref();
        validate_length(bytes)?;
        let text = str::from_utf8(bytes).map_err(|_| BadIdentifier::NotUtf8)?;
        validate(text)?;
        Ok(Self(text.into()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the part after the last `@`, if there is one.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }
}

impl AsRef<str> for Identifier {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Identifier {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

// === impl BadIdentifier ===

impl BadIdentifier {
    /// Every value.
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::TooLong, Self::NotUtf8, Self::Control, Self::Space, Self::Quote];

    /// Returns the name in metrics and in the `reason` field of log lines.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Empty => "identifier_empty",
            Self::TooLong => "identifier_too_long",
            Self::NotUtf8 => "identifier_not_utf8",
            Self::Control => "identifier_control",
            Self::Space => "identifier_space",
            Self::Quote => "identifier_quote",
        }
    }
}

impl fmt::Display for BadIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the account name is empty"),
            Self::TooLong => {
                write!(f, "the account name has more than {MAX_LENGTH} bytes")
            }
            Self::NotUtf8 => f.write_str("the account name is not UTF-8"),
            Self::Control => f.write_str("the account name contains a control character"),
            Self::Space => f.write_str(
                "the account name begins or ends with a space, or contains white space that is not a space",
            ),
            Self::Quote => f.write_str("the account name contains a double quote"),
        }
    }
}

impl Error for BadIdentifier {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn takes_what_routes() {
        let longest = format!("{}@{}", "l".repeat(64), "d".repeat(255));
        for name in [
            "a",
            "alice@example.org",
            "Müller@example.org",
            "用户@例子.cn",
            "a%b*c'd\\e",
            "Jane Doe/Sales/Example",
            "a  b",
            &longest,
        ] {
            assert_eq!(Identifier::parse(name).map(|it| it.to_string()), Ok(name.to_owned()));
        }
    }

    #[test]
    fn refuses_the_rest() {
        for (name, expected) in [
            (&b""[..], BadIdentifier::Empty),
            (&[b'a'; 321], BadIdentifier::TooLong),
            (b"al\xffice", BadIdentifier::NotUtf8),
            (b"al\xc3", BadIdentifier::NotUtf8),
            (b"\xed\xa0\x80", BadIdentifier::NotUtf8), // a surrogate
            (b"alice\0", BadIdentifier::Control),
            (b"alice\r\n", BadIdentifier::Control),
            (b"al\tice", BadIdentifier::Control),
            (b"alice\x7f", BadIdentifier::Control),
            ("alice\u{85}".as_bytes(), BadIdentifier::Control),
            (b" alice", BadIdentifier::Space),
            (b"alice ", BadIdentifier::Space),
            (b" ", BadIdentifier::Space),
            ("alice\u{a0}".as_bytes(), BadIdentifier::Space),
            ("al\u{a0}ice b".as_bytes(), BadIdentifier::Space),
            ("alice\u{2028}".as_bytes(), BadIdentifier::Space),
            (b"\"alice\"", BadIdentifier::Quote),
        ] {
            assert_eq!(Identifier::parse(name), Err(expected), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn is_found_by_its_text() {
        let alice = Identifier::parse("alice@b@example.org").expect("good");
        assert_eq!(
            (alice.domain(), format!("{alice:>21}|{alice:?}")),
            (Some("example.org"), "  alice@b@example.org|\"alice@b@example.org\"".to_owned())
        );
        assert_eq!(HashMap::from([(alice, 7)]).get("alice@b@example.org"), Some(&7));
        assert_eq!(Identifier::parse("alice").expect("good").domain(), None);
    }

    #[test]
    fn labels_differ() {
        let mut labels = BadIdentifier::ALL.map(BadIdentifier::label).to_vec();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), 6);
    }

    proptest! {
        #[test]
        fn never_panics_and_never_changes(name in proptest::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(identifier) = Identifier::parse(&name) {
                prop_assert_eq!(identifier.as_str().as_bytes(), &name[..]);
            }
        }
    }
}
