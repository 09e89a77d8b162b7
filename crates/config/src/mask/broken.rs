//! Hides secrets in a text that is not TOML.
//!
//! Where an equals sign, a quote or a line end may be the mistake, nothing says where a value begins or ends.
//! Too much may be starred out here, never too little.

use super::secret_key::{is_secret, star};
use crate::keys::KEYS;

/// Stars out what stands behind a word for a secret, to the end of its line and in the lines that may go on
/// with it. What gives a line its shape stays.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut goes_on = false;
    for line in text.split_inclusive('\n') {
        if begins_anew(line) {
            goes_on = false;
        }
        let shown = match telling_word(line) {
            _ if goes_on => 0,
            Some(end) if !says_where(&line[end..]) => end,
            _ => line.len(),
        };
        goes_on |= shown < line.len();
        masked.push_str(&line[..shown]);
        masked.extend(line[shown..].chars().map(|c| if is_shape(c) { c } else { star(c) }));
    }
    masked
}

/// Where the first word of a line ends that is a secret's name, or was meant to be.
fn telling_word(line: &str) -> Option<usize> {
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

/// Whether a value is where the secret is, not what it is.
fn says_where(behind: &str) -> bool {
    let value = behind.trim_start_matches([' ', '\t', '=', '"', '\'']);
    value.starts_with("env:") || value.starts_with("file:")
}

/// Whether a line is a known table's header, or gives a known key: not the rest of a value.
fn begins_anew(line: &str) -> bool {
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
