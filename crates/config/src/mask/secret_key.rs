//! Which keys hold a secret, and what is shown in its place.

use crate::keys::{KEYS, Kind};
use crate::suggest::closest;

/// Parts of words that a misspelt key for a secret has.
const TELLING: [&str; 6] = ["tok", "secr", "pass", "pw", "url", "cred"];

/// Whether a key of that name (without the tables before it) holds a secret, or was meant to.
pub(crate) fn is_secret(name: &str) -> bool {
    let mut known = KEYS.iter().filter(|key| last(key.path) == name).peekable();
    if known.peek().is_some() {
        return known.any(|key| key.kind == Kind::Secret);
    }
    // Likeness costs the product of both lengths: no key is that long.
    let lower = name.chars().take(64).collect::<String>().to_ascii_lowercase();
    let secrets = KEYS.iter().filter(|key| key.kind == Kind::Secret).map(|key| last(key.path));
    TELLING.iter().any(|part| lower.contains(part)) || closest(&lower, secrets).is_some()
}

/// The last name of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// A star of as many bytes as the character; line ends stay.
pub(super) const fn star(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\n' | '\r', _) => c,
        (_, 1) => '*',
        (_, 2) => '\u{d7}',
        (_, 3) => '\u{2022}',
        _ => '\u{10102}',
    }
}
