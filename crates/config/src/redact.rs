//! Redacts secrets before the text of a file is stored or shown.
//!
//! A report quotes lines of the file, and a line may contain a token. The text is searched as text, not as TOML:
//! a file that cannot be parsed contains secrets too, and so do a misspelt key and a comment. Every byte and
//! every character keeps its position, so that spans and columns stay correct.

mod broken;
mod secret_key;

use std::ops::Range;

use self::secret_key::star;
pub(crate) use self::secret_key::{is_secret, last};

/// Returns `text` with stars in place of every value that may be a secret. `env:NAME` and `file:PATH` stay, because
/// they name where a secret is. If `is_toml`, a string ends at its quote; otherwise the quote may be the mistake, and
/// the rest of the line is redacted too.
pub(crate) fn redact(text: &str, is_toml: bool) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut at = 0;
    for (equals, _) in text.match_indices('=') {
        if equals < at || !is_secret(key_before(text, equals)) {
            continue;
        }
        let value = value_after(text, equals + 1, is_toml);
        redacted.push_str(&text[at..value.start]);
        redacted.extend(text[value.clone()].chars().map(star));
        at = value.end;
    }
    redacted.push_str(&text[at..]);
    if is_toml { redacted } else { broken::redact(&redacted) }
}

/// Returns the name before an equals sign, without quotes.
fn key_before(text: &str, equals: usize) -> &str {
    let before = text[..equals].trim_end_matches([' ', '\t', '"', '\'']);
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    before.rfind(|c| !is_part(c)).map_or(before, |at| {
        let next = before[at..].chars().next().map_or(1, char::len_utf8);
        &before[at + next..]
    })
}

/// Returns the part to redact of the value that begins at `from`, after optional spaces.
fn value_after(text: &str, from: usize, is_toml: bool) -> Range<usize> {
    let start = from + text[from..].len() - text[from..].trim_start_matches([' ', '\t']).len();
    let rest = &text[start..];
    for (open, close) in [("\"\"\"", "\"\"\""), ("'''", "'''"), ("[", "]"), ("{", "}")] {
        if let Some(inner) = rest.strip_prefix(open) {
            let inner_start = start + open.len();
            let end = inner.find(close).filter(|_| is_toml).unwrap_or(inner.len());
            return inner_start..inner_start + end;
        }
    }
    let line = rest.find('\n').map_or(rest, |end| &rest[..end]);
    let Some(quote) = line.chars().next().filter(|&c| c == '"' || c == '\'') else {
        return start..start + line.len();
    };
    let inner = &line[1..];
    let end = if is_toml { inner_end(inner, quote) } else { inner.len() };
    if inner.starts_with("env:") || inner.starts_with("file:") {
        return start..start;
    }
    start + 1..start + 1 + end
}

/// Returns the end of a string on one line. A string without an end ends with its line.
fn inner_end(inner: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in inner.char_indices() {
        if c == quote && !is_escaped {
            return at;
        }
        is_escaped = quote == '"' && c == '\\' && !is_escaped;
    }
    inner.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_redacted() {
        for (text, expected) in [
            ("bearer_token = \"abc\" # x", "bearer_token = \"***\" # x"),
            ("bearer_token = \"a\\\"c\" # x", "bearer_token = \"****\" # x"),
            ("admin.bearer_token='abc'", "admin.bearer_token='***'"),
            ("\"bearer_token\" = \"abc\"", "\"bearer_token\" = \"***\""),
            ("bearer_token = \"abc", "bearer_token = \"***"),
            ("bearer_token = abc\nx = 1", "bearer_token = ***\nx = 1"),
            ("bearer_token = \"\"\"a\nbc\"\"\" # x", "bearer_token = \"\"\"*\n**\"\"\" # x"),
            ("bearer_token = [\n\"ab\"]\n", "bearer_token = [\n****]\n"),
            ("password = \"é€𝄞a\"", "password = \"×•𐄂*\""),
            ("sql = { url = \"ab\", query = \"q\" }", "sql = { url = \"**\", query = \"q\" }"),
            ("#password = \"ab\"", "#password = \"**\""),
            ("bearer_tokne = \"ab\"", "bearer_tokne = \"**\""),
            ("clientsecret = \"ab\"", "clientsecret = \"**\""),
            ("password = \"env:NAME\"", "password = \"env:NAME\""),
            ("password = \"file:name\"", "password = \"file:name\""),
            ("bearer_token_file = \"name\"", "bearer_token_file = \"name\""),
            ("min_token_len = 32", "min_token_len = 32"),
            ("host = \"a=b\"", "host = \"a=b\""),
            ("=", "="),
            ("password=", "password="),
            ("", ""),
        ] {
            assert_eq!(redact(text, true), expected, "{text}");
        }
    }

    /// In a file that is not TOML, quotes cannot be trusted.
    #[test]
    fn secrets_are_redacted_in_invalid_toml() {
        for (text, expected) in [
            ("password = \"a\"b\"\nport = 1", "password = \"****\nport = 1"),
            // The rest of a value that was broken in two, for all that is known.
            ("password = \"a\nb==\"", "password = \"*\n*==\""),
            ("{ password = \"a\", x", "{ password = \"*****"),
            ("password = a\nx", "password = *\n*"),
            ("password = \"\"\"a\nb", "password = \"\"\"*\n*"),
            ("password = \"file:a\" b", "password = \"file:a\" b"),
            ("password \"ab\"\nhost = \"h\"", "password \"**\"\nhost = \"h\""),
            ("passw\"ord = \"ab\"", "passw\"*** = \"**\""),
            ("password\n = \"ab\"\n[routing]\nx = 1", "password\n = \"**\"\n[routing]\nx = 1"),
            ("password = \"a\nb\"\n", "password = \"*\n*\"\n"),
        ] {
            assert_eq!(redact(text, false), expected, "{text}");
        }
    }

    #[test]
    fn every_place_is_kept() {
        use proptest::prelude::*;
        proptest!(|(is_toml in any::<bool>(), text in "([a-z]{0,3}|password|url|=|\"|'|\\\\| |\n|\\[|\\]|\\{|\\}|é|𝄞|#|\"\"\"){0,40}")| {
            let redacted = redact(&text, is_toml);
            let places = |text: &str| text.char_indices().map(|(at, c)| (at, c == '\n')).collect::<Vec<_>>();
            prop_assert_eq!(places(&text), places(&redacted));
        });
    }
}
