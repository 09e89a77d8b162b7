//! The rules for a mapping's entries: the declared destinations, case folding, and whether domain entries count.
//!
//! Rules belong to one plan and never change; a reload makes new ones.

use std::borrow::Cow;

use plan::{Name, Plan};
use types::identifier::BadIdentifier as Bad;
use types::identifier::{MAX_LENGTH, validate};

use crate::bad_identifier::BadIdentifier;
use crate::unmatchable::Unmatchable;

/// U+FEFF, which some editors put before UTF-8 text. It is invisible and does not count as white space.
pub(crate) const BYTE_ORDER_MARK: char = '\u{feff}';

/// The rules of one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Sorted; at most as many as fit a 16-bit index.
    destinations: Vec<Name>,
    /// `normalize = "lowercase"`.
    pub lowercase: bool,
    /// `domains = true`.
    pub domains: bool,
}

// === impl Rules ===

impl Rules {
    /// Makes the rules for these destinations. Any beyond the first 65,535 count as undeclared.
    #[must_use]
    pub fn new(destinations: impl IntoIterator<Item = Name>, lowercase: bool, domains: bool) -> Self {
        let mut destinations: Vec<Name> = destinations.into_iter().collect();
        destinations.sort_unstable();
        destinations.dedup();
        destinations.truncate(usize::from(u16::MAX));
        Self { destinations, lowercase, domains }
    }

    /// Returns the rules of `plan`.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let mapping = &plan.mapping;
        Self::new(plan.destinations.keys().cloned(), mapping.lowercase, mapping.domains)
    }

    /// Returns every declared destination, sorted.
    #[must_use]
    pub fn destinations(&self) -> &[Name] {
        &self.destinations
    }

    /// Returns the declared destination with this name.
    #[must_use]
    pub fn declared(&self, name: &str) -> Option<&Name> {
        self.index_of(name).and_then(|index| self.destinations.get(usize::from(index)))
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u16> {
        let found = self.destinations.binary_search_by(|declared| (**declared).cmp(name));
        found.ok().and_then(|index| u16::try_from(index).ok())
    }

    /// Returns the key under which `identifier` is stored and cached.
    #[must_use]
    pub fn key<'a>(&self, identifier: &'a str) -> Cow<'a, str> {
        let is_folded = !self.lowercase
            || (identifier.is_ascii() && !identifier.bytes().any(|byte| byte.is_ascii_uppercase()));
        if is_folded { Cow::Borrowed(identifier) } else { Cow::Owned(identifier.to_lowercase()) }
    }

    /// Returns the key for writing `identifier` to a store: one that every store can hold and a login can match.
    ///
    /// # Errors
    /// [`BadIdentifier`] names the first rule that the identifier breaks.
    pub fn writable_key<'a>(&self, identifier: &'a str) -> Result<Cow<'a, str>, BadIdentifier> {
        // The length first, so that only bounded names are folded and copied.
        if identifier.len() > MAX_LENGTH {
            return Err(Bad::TooLong.into());
        }
        let key = self.key(identifier);
        validate(&key)?;
        if key.starts_with(BYTE_ORDER_MARK) {
            return Err(BadIdentifier::Mark);
        }
        if let Some(unmatchable) = Unmatchable::find(&key, self.domains) {
            return Err(BadIdentifier::Unmatchable(unmatchable));
        }
        Ok(key)
    }
}

/// Returns the key of the domain entry that applies to `key`, such as `@example.org`.
#[must_use]
pub fn domain_key(key: &str) -> Option<&str> {
    let at = key.rfind('@')?;
    // A key that begins with its last `@` is a domain entry itself, and `alice@` has no domain.
    (at > 0 && at + 1 < key.len()).then(|| &key[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lowercase: bool) -> Rules {
        Rules::new(["old", "new", "old"].map(Name::from), lowercase, false)
    }

    #[test]
    fn destinations_are_sorted_and_found() {
        let rules = rules(false);
        assert_eq!(rules.destinations(), ["new", "old"].map(Name::from));
        assert_eq!((rules.index_of("old"), rules.index_of("Old"), rules.index_of("")), (Some(1), None, None));
        assert_eq!(rules.declared("new").map(|name| &**name), Some("new"));
    }

    #[test]
    fn identifiers_are_folded_if_the_rules_say_so() {
        for (lowercase, identifier, key) in [
            (false, "Alice@Example.ORG", "Alice@Example.ORG"),
            (true, "Alice@Example.ORG", "alice@example.org"),
            (true, "alice", "alice"),
            (true, "ÄRGER@Ö.example", "ärger@ö.example"),
        ] {
            assert_eq!(rules(lowercase).key(identifier), key);
        }
    }

    #[test]
    fn identifiers_that_no_line_can_hold_are_refused() {
        let long = "a".repeat(321);
        for (identifier, bad) in [
            ("", BadIdentifier::Name(Bad::Empty)),
            (" ab", BadIdentifier::Name(Bad::Space)),
            ("ab ", BadIdentifier::Name(Bad::Space)),
            ("a\u{a0}b", BadIdentifier::Name(Bad::Space)),
            ("a\nb new", BadIdentifier::Name(Bad::Control)),
            ("a\u{7f}", BadIdentifier::Name(Bad::Control)),
            ("\"a\"", BadIdentifier::Name(Bad::Quote)),
            ("\u{feff}a", BadIdentifier::Mark),
            ("a@b.example,", BadIdentifier::Unmatchable(Unmatchable::Punctuation(','))),
            ("a\u{2028}b", BadIdentifier::Name(Bad::Space)),
            ("a\u{85}b", BadIdentifier::Name(Bad::Control)),
            ("a\u{3000}", BadIdentifier::Name(Bad::Space)),
            ("a\0", BadIdentifier::Name(Bad::Control)),
            ("\t", BadIdentifier::Name(Bad::Control)),
            (&long, BadIdentifier::Name(Bad::TooLong)),
        ] {
            assert_eq!(rules(true).writable_key(identifier), Err(bad), "{identifier:?}");
        }
        assert_eq!(rules(true).writable_key(&long[1..]), Ok(Cow::Borrowed(&long[1..])));
        assert_eq!(rules(true).writable_key("#a"), Ok(Cow::Borrowed("#a")));
        assert_eq!(rules(true).writable_key("A#b@é"), Ok(Cow::Borrowed("a#b@é")));
        assert_eq!(rules(true).writable_key("Jane Doe/Sales"), Ok(Cow::Borrowed("jane doe/sales")));
    }

    #[test]
    fn domain_keys_begin_at_the_last_at_sign() {
        for (key, domain) in [
            ("alice@example.org", Some("@example.org")),
            ("a@b@c", Some("@c")),
            ("alice", None),
            ("alice@", None),
            ("@example.org", None),
            ("@", None),
            ("", None),
        ] {
            assert_eq!(domain_key(key), domain, "{key:?}");
        }
    }
}
