//! Keys that are valid identifiers and that no login has: mistakes in a mapping file that would otherwise do nothing.

use thiserror::Error;

/// Why no login can match a key, and what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unmatchable {
    /// It ends with a punctuation mark, as in a list.
    #[error("the identifier ends with '{0}': remove it, fields are separated by white space")]
    Punctuation(char),
    /// It is a pattern.
    #[error("the identifier begins with '*': write @DOMAIN for a whole domain, with mapping.domains = true")]
    Pattern,
    /// It is a domain without `@`.
    #[error(
        "the identifier is a domain without '@': write @DOMAIN for a whole domain, with mapping.domains = true"
    )]
    Domain,
    /// It is an entry for a domain, which `mapping.domains` turns off.
    #[error("the entry is for a whole domain, and mapping.domains is off: set mapping.domains = true")]
    DomainsOff,
}

/// Top-level domains by which a domain is told from a login name such as `anna.li`. Country codes are too much like
/// surnames.
const TOP_LEVEL: [&str; 9] = ["com", "org", "net", "edu", "gov", "mil", "int", "info", "biz"];

// === impl Unmatchable ===

impl Unmatchable {
    /// Returns why no login can match `key`; `domains`: whether entries for whole domains count.
    pub(crate) fn find(key: &str, domains: bool) -> Option<Self> {
        if let Some(last) = key.chars().next_back().filter(|last| matches!(last, ',' | ';' | ':')) {
            return Some(Self::Punctuation(last));
        }
        if key.starts_with("*@") {
            return Some(Self::Pattern);
        }
        if key.starts_with('@') {
            return (!domains).then_some(Self::DomainsOff);
        }
        let (_, top_level) = key.rsplit_once('.')?;
        (!key.contains('@') && TOP_LEVEL.iter().any(|one| one.eq_ignore_ascii_case(top_level)))
            .then_some(Self::Domain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_key() {
        for (key, domains, expected) in [
            ("alice@example.org", false, None),
            ("alice@example.org,", false, Some(Unmatchable::Punctuation(','))),
            ("alice@example.org;", true, Some(Unmatchable::Punctuation(';'))),
            ("alice:", true, Some(Unmatchable::Punctuation(':'))),
            ("*@example.org", true, Some(Unmatchable::Pattern)),
            ("@example.org", true, None),
            ("@example.org", false, Some(Unmatchable::DomainsOff)),
            ("example.org", true, Some(Unmatchable::Domain)),
            ("Mail.Example.COM", false, Some(Unmatchable::Domain)),
            ("anna.li", false, None),
            ("stalwart-webui", false, None),
            ("alice", false, None),
        ] {
            assert_eq!(Unmatchable::find(key, domains), expected, "{key}");
        }
    }
}
