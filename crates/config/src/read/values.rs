//! Getters of values: strings, numbers, durations, words of a closed set, secrets, lists.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use toml::de::DeValue;
use types::secret::Secret;

use super::{Located, Table};
use crate::exposure;
use crate::suggest::closest;
use crate::value;

impl Table<'_> {
    pub(crate) fn string(&self, key: &str) -> Option<Located<String>> {
        self.get(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn boolean(&self, key: &str, default: bool) -> bool {
        self.optional_boolean(key).unwrap_or(default)
    }

    /// A boolean whose default depends on more than the file.
    pub(crate) fn optional_boolean(&self, key: &str) -> Option<bool> {
        let read = |value: &DeValue<'_>| match value {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => None,
        };
        self.get(key, "true or false", read).map(|at| at.value)
    }

    /// A secret, wherever it is kept: as itself, in the environment or in a file.
    pub(crate) fn secret(&self, key: &str, folder: &Path) -> Option<Located<Secret>> {
        let value = self.raw(key)?;
        let path = self.key(key);
        let help = "write \"file:PATH\", \"env:NAME\" or the secret itself";
        let Some(text) = value.get_ref().as_str() else {
            self.mismatch(&path, value, "a string");
            return None;
        };
        match value::secret(text, folder) {
            Ok(secret) if secret.is_empty() => {
                self.problems.error(&path, value.span(), "found an empty secret", help);
                None
            }
            Ok(secret) => {
                if let Some(file) = value::path_of_secret(text, folder) {
                    exposure::warn(self, &file, &path, value.span());
                }
                Some(Located { value: secret, span: value.span(), key: path })
            }
            Err(why) => {
                self.problems.error(&path, value.span(), why, help);
                None
            }
        }
    }

    /// An integer within `range`.
    pub(crate) fn integer(&self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        let read = |value: &DeValue<'_>| {
            let integer = value.as_integer()?;
            let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
            range.contains(&number).then_some(number)
        };
        self.get(key, &expected, read).map_or(default, |at| at.value)
    }

    pub(crate) fn duration(&self, key: &str, default: Duration) -> Duration {
        let expected = "a duration such as \"45s\": an integer and ms, s, m, h or d";
        self.get(key, expected, |value| value.as_str().and_then(value::duration))
            .map_or(default, |at| at.value)
    }

    /// A duration that something is bounded by: a duration of zero would end it before it begins.
    pub(crate) fn limit(&self, key: &str, default: Duration) -> Duration {
        let found = self.duration(key, default);
        if found.is_zero() {
            let message = "found a duration of zero, expected a longer one";
            self.problems.error(&self.key(key), self.place(key), message, "write a duration such as \"30s\"");
        }
        found
    }

    /// A size within `range`, in bytes.
    pub(crate) fn size(&self, key: &str, default: usize, range: RangeInclusive<usize>) -> usize {
        let least = range.start();
        let most = range.end();
        let expected = format!(
            "a size from {least} to {most} bytes: an integer of bytes, or a string with KB, MB, KiB or MiB"
        );
        let read = |value: &DeValue<'_>| match value {
            DeValue::Integer(integer) => usize::from_str_radix(integer.as_str(), integer.radix()).ok(),
            other => other.as_str().and_then(value::size),
        };
        let read = |value: &DeValue<'_>| read(value).filter(|size| range.contains(size));
        self.get(key, &expected, read).map_or(default, |at| at.value)
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<Located<T>> {
        let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        let all = all.join(", ");
        let Located { value, span, key } =
            self.get(key, &format!("one of {all}"), |value| value.as_str().map(str::to_owned))?;
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, found)) => Some(Located { value: *found, span, key }),
            None => {
                // "sieve" is too far from "managesieve" to be a misspelling of it.
                let longer = words
                    .iter()
                    .map(|(word, _)| *word)
                    .find(|word| value.len() >= 4 && word.ends_with(&*value));
                let help = match closest(&value, words.iter().map(|(word, _)| *word)).or(longer) {
                    Some(word) => format!("did you mean \"{word}\"?"),
                    None => format!("write one of {all}"),
                };
                self.problems.error(
                    &key,
                    span,
                    format!("found \"{}\", expected one of {}", value.escape_debug(), all),
                    help,
                );
                None
            }
        }
    }

    /// A list of strings, each with its place.
    pub(crate) fn strings(&self, key: &str) -> Option<Vec<Located<String>>> {
        let at = self.raw(key)?;
        let path = self.key(key);
        let Some(array) = at.get_ref().as_array() else {
            self.mismatch(&path, at, "a list of strings");
            return None;
        };
        let mut found = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => {
                    found.push(Located { value: text.to_owned(), span: item.span(), key: path.clone() });
                }
                None => self.mismatch(&path, item, "a string"),
            }
        }
        Some(found)
    }

    /// A string, or a list of them.
    pub(crate) fn string_or_strings(&self, key: &str) -> Option<Vec<Located<String>>> {
        if self.table.get(key).is_some_and(|value| value.get_ref().is_array()) {
            return self.strings(key);
        }
        self.get(key, "a string or a list of strings", |value| value.as_str().map(str::to_owned))
            .map(|at| vec![at])
    }
}
