//! Typed reading of a parsed file, key by key, with every mistake put down and none passed over.
//!
//! A getter that finds a mistake reports it and gives the default, so that reading goes on: all problems come
//! out in one run. Keys that no getter asked for are unknown keys.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Problems;
use crate::value;

/// A table being read.
pub(crate) struct Table<'a> {
    table: &'a DeTable<'a>,
    /// Where its header stands.
    pub(crate) span: Range<usize>,
    /// Its full path; empty for the file itself.
    pub(crate) path: String,
    pub(crate) problems: &'a Problems,
    known: RefCell<Vec<String>>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
    /// The key's full path.
    pub(crate) key: String,
}

// === impl Table ===

impl<'a> Table<'a> {
    pub(crate) fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        path: String,
        problems: &'a Problems,
    ) -> Self {
        Self { table, span, path, problems, known: RefCell::default() }
    }

    /// The full path of `key` in this table.
    pub(crate) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether `key` was written. Who asks knows the key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    pub(crate) fn string(&self, key: &str) -> Option<At<String>> {
        self.get(key, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn boolean(&self, key: &str, default: bool) -> bool {
        let read = |value: &DeValue<'_>| match value {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => None,
        };
        self.get(key, "true or false", read).map_or(default, |at| at.value)
    }

    /// An integer within `range`.
    pub(crate) fn integer(&self, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
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

    pub(crate) fn size(&self, key: &str, default: usize) -> usize {
        let expected = "a size: an integer of bytes, or a string with KB, MB, KiB or MiB";
        let read = |value: &DeValue<'_>| match value {
            DeValue::Integer(integer) => usize::from_str_radix(integer.as_str(), integer.radix()).ok(),
            other => other.as_str().and_then(value::size),
        };
        self.get(key, expected, read).map_or(default, |at| at.value)
    }

    /// One of a closed set of words.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Option<At<T>> {
        let At { value, span, key } = self.string(key)?;
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, found)) => Some(At { value: *found, span, key }),
            None => {
                let all: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                let help = closest(&value, words.iter().map(|(word, _)| *word)).map_or_else(
                    || format!("write one of {}", all.join(", ")),
                    |word| format!("did you mean \"{word}\"?"),
                );
                self.problems.error(
                    &key,
                    span,
                    format!("found \"{value}\", expected one of {}", all.join(", ")),
                    help,
                );
                None
            }
        }
    }

    /// A list of strings, each with its place.
    pub(crate) fn strings(&self, key: &str) -> Option<Vec<At<String>>> {
        let at = self.raw(key)?;
        let path = self.key(key);
        let Some(array) = at.get_ref().as_array() else {
            self.mismatch(&path, at, "a list of strings");
            return None;
        };
        let mut found = Vec::new();
        for item in array {
            match item.get_ref().as_str() {
                Some(text) => found.push(At { value: text.to_owned(), span: item.span(), key: path.clone() }),
                None => self.mismatch(&path, item, "a string"),
            }
        }
        Some(found)
    }

    /// A string, or a list of them.
    pub(crate) fn string_or_strings(&self, key: &str) -> Option<Vec<At<String>>> {
        if self.table.get(key).is_some_and(|value| value.get_ref().is_array()) {
            return self.strings(key);
        }
        self.get(key, "a string or a list of strings", |value| value.as_str().map(str::to_owned))
            .map(|at| vec![at])
    }

    /// A table within this one.
    pub(crate) fn table(&self, key: &str) -> Option<Self> {
        let value = self.raw(key)?;
        let path = self.key(key);
        match value.get_ref().as_table() {
            Some(table) => Some(Self::new(table, value.span(), path, self.problems)),
            None => {
                self.mismatch(&path, value, "a table");
                None
            }
        }
    }

    /// A list of tables.
    pub(crate) fn tables(&self, key: &str) -> Vec<Self> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let path = self.key(key);
        let Some(array) = value.get_ref().as_array() else {
            self.mismatch(&path, value, &format!("a list of tables, written [[{path}]]"));
            return Vec::new();
        };
        let mut found = Vec::new();
        for (index, item) in array.iter().enumerate() {
            match item.get_ref().as_table() {
                Some(table) => {
                    found.push(Self::new(table, item.span(), format!("{path}[{index}]"), self.problems));
                }
                None => self.mismatch(&path, item, "a table"),
            }
        }
        found
    }

    /// Every table within this one, in the file's order: for tables whose keys are names.
    pub(crate) fn named(&self) -> Vec<(String, Self)> {
        let mut found = Vec::new();
        for (name, value) in self.table {
            let name = name.get_ref().to_string();
            self.known.borrow_mut().push(name.clone());
            match value.get_ref().as_table() {
                Some(table) => {
                    let inner = Self::new(table, value.span(), self.key(&name), self.problems);
                    found.push((name, inner));
                }
                None => self.mismatch(&self.key(&name), value, "a table"),
            }
        }
        found.sort_by_key(|(_, table)| table.span.start);
        found
    }

    /// A key that must be there and is not.
    pub(crate) fn missing(&self, key: &str, help: &str) {
        let message = format!("the key is missing in [{}]", self.path);
        self.problems.error(&self.key(key), self.span.clone(), message, help);
    }

    /// Reports every key that nothing asked for. Call when all have been read.
    pub(crate) fn finish(&self) {
        let known = self.known.borrow();
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if known.iter().any(|known| known == name) {
                continue;
            }
            let help = closest(name, known.iter().map(String::as_str)).map_or_else(
                || "remove it, or look the key up with `pointsman schema`".to_owned(),
                |word| format!("did you mean `{word}`?"),
            );
            self.problems.error(&self.key(name), key.span(), format!("unknown key `{name}`"), help);
        }
    }

    fn raw(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key.to_owned());
        self.table.get(key)
    }

    fn get<T>(&self, key: &str, expected: &str, read: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<At<T>> {
        let value = self.raw(key)?;
        let path = self.key(key);
        match read(value.get_ref()) {
            Some(found) => Some(At { value: found, span: value.span(), key: path }),
            None => {
                self.mismatch(&path, value, expected);
                None
            }
        }
    }

    fn mismatch(&self, path: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) if is_secret(path) => "another string".to_owned(),
            DeValue::String(text) => format!("\"{}\"", text.escape_debug()),
            DeValue::Integer(integer) => integer.as_str().to_owned(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            other => format!("a value of type {}", other.type_str()),
        };
        let help = format!("write {expected}");
        self.problems.error(path, value.span(), format!("found {found}, expected {expected}"), help);
    }
}

/// Keys whose values are never shown.
fn is_secret(path: &str) -> bool {
    ["token", "secret", "password", "url"].iter().any(|word| path.ends_with(word))
}

/// The word that was probably meant.
pub(crate) fn closest<'w>(found: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    words
        .map(|word| (strsim::jaro_winkler(found, word), word))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}
