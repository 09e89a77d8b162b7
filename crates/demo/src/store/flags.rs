//! Flags of a message (RFC 3501 section 2.3.2): the system's and a few keywords.

use std::collections::BTreeSet;
use std::fmt;

/// What a message is marked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(BTreeSet<String>);

/// The flags that mean something to the server, as they are written. `\Recent` is not among them: no client
/// can set it, and this server never does (as RFC 9051 wants it).
const SYSTEM: [&str; 5] = ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"];

/// Flags on one message: the system's and about a dozen keywords.
const MAX_FLAGS: usize = 16;
/// Bytes of a keyword.
const MAX_KEYWORD: usize = 32;

// === impl Flags ===

impl Flags {
    pub(crate) const ANSWERED: &str = SYSTEM[0];
    pub(crate) const DELETED: &str = SYSTEM[1];
    pub(crate) const DRAFT: &str = SYSTEM[2];
    pub(crate) const FLAGGED: &str = SYSTEM[3];
    pub(crate) const SEEN: &str = SYSTEM[4];

    /// A flag as it is kept; `None` for a name that cannot be kept.
    pub(crate) fn canonical(name: &str) -> Option<String> {
        if name.starts_with('\\') {
            return SYSTEM.iter().find(|flag| flag.eq_ignore_ascii_case(name)).map(|flag| (*flag).to_owned());
        }
        (!name.is_empty() && name.len() <= MAX_KEYWORD).then(|| name.to_owned())
    }

    /// Marks. Ignored when there are too many already.
    pub(crate) fn insert(&mut self, flag: &str) {
        if self.0.len() < MAX_FLAGS && !self.contains(flag) {
            self.0.insert(flag.to_owned());
        }
    }

    /// Takes a mark away.
    pub(crate) fn remove(&mut self, flag: &str) {
        self.0.retain(|have| !have.eq_ignore_ascii_case(flag));
    }

    /// Every mark.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether it is marked so. Keywords are compared without regard to case.
    pub(crate) fn contains(&self, flag: &str) -> bool {
        self.0.iter().any(|have| have.eq_ignore_ascii_case(flag))
    }
}

impl<S: AsRef<str>> FromIterator<S> for Flags {
    fn from_iter<T: IntoIterator<Item = S>>(names: T) -> Self {
        let mut flags = Self::default();
        for name in names {
            flags.insert(name.as_ref());
        }
        flags
    }
}

/// flag-list = "(" [flag *(SP flag)] ")"
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, flag) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(flag)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expected) in [
            ("\\seen", Some("\\Seen")),
            ("\\DELETED", Some("\\Deleted")),
            ("\\Recent", None),
            ("\\Unheard", None),
            ("$Forwarded", Some("$Forwarded")),
            ("", None),
            ("abcdefghijklmnopqrstuvwxyz0123456", None),
        ] {
            assert_eq!(Flags::canonical(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn sets_are_bounded_and_printed_in_order() {
        let mut flags: Flags = ["\\Seen", "\\Answered", "$a", "$A"].into_iter().collect();
        assert_eq!(flags.to_string(), "($a \\Answered \\Seen)");
        flags.remove("\\answered");
        for n in 0..100 {
            flags.insert(&format!("k{n}"));
        }
        assert_eq!(flags.0.len(), MAX_FLAGS);
        assert_eq!(Flags::default().to_string(), "()");
    }
}
