//! Accounts in the log: in full, or as a keyed hash where names may not be kept.
//!
//! The hash is keyed because mail addresses can be guessed: without a key, whoever has the log would only
//! have to try a list of names. Whether in full or hashed, what [`Accounts::show`] gives is fit for a line.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use aws_lc_rs::hmac;

use crate::escape::Escaped;

/// Bytes of the hash that are shown: 48 bits tell a million accounts apart (a clash once in 500 such logs).
const SHOWN: usize = 6;

/// How accounts are named in the log (`server.log_identifiers`).
#[derive(Clone, Debug, Default)]
pub enum Accounts {
    /// As they are.
    #[default]
    Full,
    /// As `#` and 12 hexadecimal digits of HMAC-SHA256 (RFC 2104) under this key.
    Hash(Box<HashKey>),
}

/// The key of the hash. `Debug` prints `[redacted]`.
#[derive(Clone)]
pub struct HashKey(hmac::Key);

// === impl Accounts ===

impl Accounts {
    /// The name for the log of the account that `identifier` routes.
    #[must_use]
    pub fn show<'a>(&self, identifier: &'a str) -> Cow<'a, str> {
        match self {
            Self::Full => {
                let escaped = Escaped(identifier.as_bytes());
                escaped.as_it_is().map_or_else(|| Cow::Owned(escaped.to_string()), Cow::Borrowed)
            }
            Self::Hash(key) => Cow::Owned(key.digest(identifier.as_bytes())),
        }
    }

    /// As [`Accounts::show`], for a name that may not even be UTF-8.
    pub(crate) fn show_bytes<'a>(&self, name: &'a [u8]) -> Cow<'a, str> {
        match (self, str::from_utf8(name)) {
            (Self::Full, Err(_)) => Cow::Owned(Escaped(name).to_string()),
            (Self::Hash(key), Err(_)) => Cow::Owned(key.digest(name)),
            (_, Ok(name)) => self.show(name),
        }
    }
}

// === impl HashKey ===

impl HashKey {
    /// A key of the operator's, of any length: the same account then has the same name in every process and
    /// after every start. The caller wipes its own copy.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// A key that nobody knows and that ends with the process: names cannot be compared across starts.
    ///
    /// # Panics
    /// When the system's random source fails: then no TLS handshake could work either.
    #[must_use]
    pub fn random() -> Self {
        let mut key = [0; 32];
        // As in `SessionId::new`: seeded once, out of any input's reach.
        aws_lc_rs::rand::fill(&mut key).expect("the system's random source works");
        Self::new(&key)
    }

    fn digest(&self, name: &[u8]) -> String {
        let tag = hmac::sign(&self.0, name);
        let mut shown = String::with_capacity(1 + 2 * SHOWN);
        shown.push('#');
        for byte in tag.as_ref().iter().take(SHOWN) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{byte:02x}");
        }
        shown
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_are_lent_and_escaped_only_if_needed() {
        assert!(matches!(Accounts::Full.show("alice@example.com"), Cow::Borrowed("alice@example.com")));
        assert_eq!(Accounts::Full.show("a\"\nb"), r#"a\"\nb"#);
        assert!(Accounts::Full.show(&"x".repeat(4000)).len() <= crate::escape::LONGEST);
    }

    #[test]
    fn hashes_are_keyed() {
        // RFC 4231, test case 2: HMAC-SHA256("Jefe", "what do ya want for nothing?") = 5bdcc146bf60…
        let accounts = Accounts::Hash(Box::new(HashKey::new(b"Jefe")));
        assert_eq!(accounts.show("what do ya want for nothing?"), "#5bdcc146bf60");
        assert_ne!(accounts.show("alice"), Accounts::Hash(Box::new(HashKey::new(b"other"))).show("alice"));
        assert_ne!(
            Accounts::Hash(Box::new(HashKey::random())).show("alice"),
            Accounts::Hash(Box::new(HashKey::random())).show("alice")
        );
    }

    #[test]
    fn the_key_never_prints() {
        assert_eq!(format!("{:?}", Accounts::Hash(Box::new(HashKey::new(b"Jefe")))), "Hash([redacted])");
    }
}
