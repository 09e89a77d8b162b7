//! Typed reading of a parsed file, key by key.
//!
//! A getter that finds a mistake reports it and returns the default, so that one run reports every problem. Keys that
//! no getter read are unknown keys.

mod values;

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::Problems;
use crate::redact;
use crate::suggest::closest;

/// Longest name of a destination, a listener or a certificate: it is a label of logs and metrics.
const MAX_NAME: usize = 64;

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

/// A value with its position in the file.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
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

    /// Returns the full path of `key` in this table.
    pub(crate) fn key(&self, key: &str) -> String {
        // As TOML would write it: a quoted name can hold anything, and this goes to terminals and logs.
        let is_bare = !key.is_empty() && key.chars().all(is_plain);
        let key = if is_bare { key.to_owned() } else { format!("\"{}\"", key.escape_debug()) };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    /// Returns whether `key` is set. The key then counts as known.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.raw(key).is_some()
    }

    /// Returns the position of the value of `key`, or of the table's header if the key is not set.
    pub(crate) fn place(&self, key: &str) -> Range<usize> {
        self.raw(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Whether `key` is this text.
    pub(crate) fn is_text(&self, key: &str, text: &str) -> bool {
        self.raw(key).is_some_and(|value| value.get_ref().as_str() == Some(text))
    }

    /// Whether `key` is a list with something in it, right or wrong.
    pub(crate) fn has_items(&self, key: &str) -> bool {
        self.raw(key).and_then(|value| value.get_ref().as_array()).is_some_and(|list| !list.is_empty())
    }

    /// Returns the table `key` in this one.
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

    /// Returns the list of tables `key`.
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

    /// Returns every table in this one, in the file's order: for tables whose keys are names that the operator
    /// chose. Reports names that cannot be used in a log, a label or a line of the mapping.
    pub(crate) fn named(&self) -> Vec<(String, Self)> {
        let mut found = Vec::new();
        for (name, value) in self.table {
            let span = name.span();
            let name = name.get_ref().to_string();
            if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(|c| is_plain(c) || c == '.') {
                let message = format!("found \"{}\", expected a name", name.escape_debug());
                let help = format!("use letters, digits, \"-\", \"_\" and \".\", at most {MAX_NAME}");
                self.problems.error(&self.key(&name), span, message, help);
            }
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

    /// Reports a required key that is missing.
    pub(crate) fn missing(&self, key: &str, help: &str) {
        let message = match &*self.path {
            "" => "the table is missing".to_owned(),
            path => format!("the key is missing in [{path}]"),
        };
        self.problems.error(&self.key(key), self.span.clone(), message, help);
    }

    /// Warns that a key of newer published files is accepted and has no effect.
    pub(crate) fn unused(&self, key: &str, reason: &str) {
        let message = format!("this key is accepted and not used: {reason}");
        self.problems.warning(&self.key(key), self.place(key), message, "no change is needed");
    }

    /// Reports every unknown key. Call it after all keys were read.
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
            self.problems.error(
                &self.key(name),
                key.span(),
                format!("unknown key `{}`", name.escape_debug()),
                help,
            );
        }
    }

    fn raw(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.borrow_mut().push(key.to_owned());
        self.table.get(key)
    }

    fn get<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&DeValue<'_>) -> Option<T>,
    ) -> Option<Located<T>> {
        let value = self.raw(key)?;
        let path = self.key(key);
        match read(value.get_ref()) {
            Some(found) => Some(Located { value: found, span: value.span(), key: path }),
            None => {
                self.mismatch(&path, value, expected);
                None
            }
        }
    }

    fn mismatch(&self, path: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            // A token may be written as an integer, too.
            other if redact::is_secret(redact::last(path)) => format!("a value of type {}", other.type_str()),
            DeValue::String(text) => format!("\"{}\"", text.escape_debug()),
            DeValue::Integer(integer) => integer.as_str().to_owned(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            other => format!("a value of type {}", other.type_str()),
        };
        let help = format!("write {expected}");
        self.problems.error(path, value.span(), format!("found {found}, expected {expected}"), help);
    }
}

/// A character of a bare key.
const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}
