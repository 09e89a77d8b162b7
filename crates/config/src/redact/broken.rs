//! Redacts secrets in a text that is not TOML.
//!
//! An equals sign, a quote or a line end may be the mistake, so it is not known where a value begins or ends. Too much
//! may be redacted here, never too little.

use super::secret_key::{is_secret, star};
use crate::keys::KEYS;

/// Redacts what follows the name of a secret, to the end of its line and in the lines that may continue the value.
/// Quotes, brackets and spaces stay.
pub(super) fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut goes_on = false;
    for line in text.split_inclusive('\n') {
        if starts_new_value(line) {
            goes_on = false;
        }
        let shown = match secret_name_end(line) {
            _ if goes_on => 0,
            Some(end) if !is_reference(&line[end..]) => end,
            _ => line.len(),
        };
        goes_on |= shown < line.len();
        redacted.push_str(&line[..shown]);
        redacted.extend(line[shown..].chars().map(|c| if is_shape(c) { c } else { star(c) }));
    }
    redacted
}

/// Returns the end of the first word of a line that is, or may be, the name of a secret.
fn secret_name_end(line: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let mut end = 0;
    for piece in line.split_inclusive(|c| !is_part(c)) {
        let word = piece.trim_end_matches(|c| !is_part(c));
        if !word.is_empty() && is_secret(word) {
            return Some(end + word.len());
        }
        end += piece.len();
    }
    None
}

/// Returns whether a value names where the secret is.
fn is_reference(after_key: &str) -> bool {
    let value = after_key.trim_start_matches([' ', '\t', '=', '"', '\'']);
    value.starts_with("env:") || value.starts_with("file:")
}

/// Returns whether a line is the header of a known table or sets a known key, and so does not continue a value.
fn starts_new_value(line: &str) -> bool {
    let line = line.trim_start();
    if let Some(header) = line.strip_prefix("[[").or_else(|| line.strip_prefix('[')) {
        let name = header.split(['.', ']']).next().unwrap_or(header);
        return KEYS.iter().any(|key| key.path.split('.').next() == Some(name));
    }
    line.split_once('=').is_some_and(|(key, _)| KEYS.iter().any(|one| super::last(one.path) == key.trim()))
}

const fn is_shape(c: char) -> bool {
    matches!(c, ' ' | '\t' | '=' | '"' | '\'' | '[' | ']' | '{' | '}' | ',')
}
