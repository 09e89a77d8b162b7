//! The keys that contain a secret, and the characters that replace it.

use crate::keys::{KEYS, Kind};
use crate::suggest::closest;

/// Parts of the names of misspelt keys for secrets.
const SECRET_PARTS: [&str; 6] = ["tok", "secr", "pass", "pw", "url", "cred"];

/// Returns whether a key of that name (without its table) contains a secret, or may be meant to.
pub(crate) fn is_secret(name: &str) -> bool {
    let mut known = KEYS.iter().filter(|key| last(key.path) == name).peekable();
    if known.peek().is_some() {
        return known.any(|key| key.kind == Kind::Secret);
    }
    // The cost of the comparison is the product of both lengths, and no key is that long.
    let lower = name.chars().take(64).collect::<String>().to_ascii_lowercase();
    let secrets = KEYS.iter().filter(|key| key.kind == Kind::Secret).map(|key| last(key.path));
    SECRET_PARTS.iter().any(|part| lower.contains(part)) || closest(&lower, secrets).is_some()
}

/// Returns the last name of a path.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Returns a replacement with as many bytes as `c`. Line ends stay.
pub(super) const fn star(c: char) -> char {
    match (c, c.len_utf8()) {
        ('\n' | '\r', _) => c,
        (_, 1) => '*',
        (_, 2) => '\u{d7}',
        (_, 3) => '\u{2022}',
        _ => '\u{10102}',
    }
}
