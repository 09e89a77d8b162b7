//! Changes entries in the text of a mapping file and leaves every other line as it is.
//!
//! The operator's comments, blank lines, line order, line endings and spelling of identifiers must not change.

use std::collections::HashMap;

use plan::Name;

use crate::line::{self, MappingLine};
use crate::parse::BOM;
use crate::rules::Rules;

/// Changes by normalised identifier. New lines are appended in the order of the changes.
#[derive(Debug, Default)]
pub(crate) struct TextEdits {
    order: Vec<LineEdit>,
    by_key: HashMap<String, usize>,
}

#[derive(Debug)]
struct LineEdit {
    key: String,
    /// `None` removes the lines of this key.
    destination: Option<Name>,
    /// Whether a line with this entry has been written.
    is_written: bool,
}

// === impl TextEdits ===

impl TextEdits {
    /// Adds a change. A later change of the same key replaces an earlier one.
    pub(crate) fn push(&mut self, key: &str, destination: Option<Name>) {
        if let Some(index) = self.by_key.get(key) {
            self.order[*index].destination = destination;
            return;
        }
        self.by_key.insert(key.to_owned(), self.order.len());
        self.order.push(LineEdit { key: key.to_owned(), destination, is_written: false });
    }

    /// Returns the text with these changes. Invalid lines are copied; the caller has parsed the text and found none.
    pub(crate) fn apply(mut self, text: &[u8], rules: &Rules) -> Vec<u8> {
        let filter = KeyFilter::of(self.order.iter().map(|edit| edit.key.as_bytes()));
        let mut out = Vec::with_capacity(text.len() + 64 * self.order.len());
        let body = text.strip_prefix(BOM).unwrap_or(text);
        out.extend_from_slice(&text[..text.len() - body.len()]);
        let mut copied = 0;
        let mut end = 0;
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let start = end;
            end += line.len();
            if !filter.may_concern(line) {
                continue;
            }
            let content = line.strip_suffix(b"\n").unwrap_or(line);
            if let Ok(MappingLine::Entry { key, word, .. }) = MappingLine::parse(content, rules) {
                // The lines since the last change in one piece.
                out.extend_from_slice(&body[copied..start]);
                copied = end;
                self.copy_entry(&mut out, line, &key, word);
            }
        }
        out.extend_from_slice(&body[copied..]);
        self.append(&mut out, body);
        out
    }

    fn copy_entry(&mut self, out: &mut Vec<u8>, line: &[u8], key: &str, word: &str) {
        let Some(edit) = self.by_key.get(key).and_then(|index| self.order.get_mut(*index)) else {
            out.extend_from_slice(line);
            return;
        };
        // A second line of the same identifier repeats the first and is dropped.
        let Some(destination) = edit.destination.as_deref().filter(|_| !edit.is_written) else {
            return;
        };
        edit.is_written = true;
        let end = line.trim_ascii_end().len();
        let end = if line[..end].ends_with(word.as_bytes()) { end } else { end_of(line, word) };
        out.extend_from_slice(&line[..end - word.len()]);
        out.extend_from_slice(destination.as_bytes());
        out.extend_from_slice(&line[end..]);
    }

    fn append(&self, out: &mut Vec<u8>, body: &[u8]) {
        let first_end = body.iter().position(|byte| *byte == b'\n');
        let has_returns = first_end.is_some_and(|end| body[..end].ends_with(b"\r"));
        let line_end: &[u8] = if has_returns { b"\r\n" } else { b"\n" };
        let missing = self.order.iter().filter(|edit| !edit.is_written);
        for (edit, destination) in missing.filter_map(|edit| Some((edit, edit.destination.as_ref()?))) {
            if !matches!(out.last(), None | Some(b'\n')) && out != BOM {
                out.extend_from_slice(line_end);
            }
            out.extend_from_slice(line::field(&edit.key).as_bytes());
            out.push(b'\t');
            out.extend_from_slice(destination.as_bytes());
            out.extend_from_slice(line_end);
        }
    }
}

/// 2^16 bits, one for each value of a fingerprint.
const FILTER_WORDS: usize = 1 << 10;

/// Finds the few lines of a large file that may have one of some keys, without parsing the others: parsing takes ten
/// times as long as reading.
struct KeyFilter {
    /// One bit for each fingerprint of a key.
    bits: Box<[u64; FILTER_WORDS]>,
}

// === impl KeyFilter ===

impl KeyFilter {
    fn of<'k>(keys: impl Iterator<Item = &'k [u8]>) -> Self {
        let mut filter = Self { bits: Box::new([0; FILTER_WORDS]) };
        for key in keys {
            let (word, bit) = Self::position(key);
            filter.bits[word] |= bit;
        }
        filter
    }

    /// Returns whether the line's identifier may have one of the keys. A line that is not ASCII always may: in it, case
    /// folding may change bytes and lengths, and white space is more than a byte. So may a line with a quoted identifier,
    /// which can contain spaces.
    fn may_concern(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii_start();
        if line.starts_with(b"\"") {
            return true;
        }
        let Some(end) = line.iter().position(|byte| *byte <= b' ' || !byte.is_ascii()) else {
            return true;
        };
        // An empty identifier: the line begins with a white space that `trim_ascii_start` keeps.
        if end == 0 || !line[end].is_ascii() {
            return true;
        }
        let (word, bit) = Self::position(&line[..end]);
        self.bits[word] & bit != 0
    }

    /// Returns the word and the bit of an identifier or a key. They are the same for both cases of a letter.
    fn position(key: &[u8]) -> (usize, u64) {
        const CASE: u64 = 0x2020_2020_2020_2020;
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut hash = key.len() as u64;
        for chunk in key.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            hash = (hash ^ (u64::from_le_bytes(bytes) | CASE)).wrapping_mul(FACTOR).rotate_left(29);
        }
        let [first, second, ..] = hash.wrapping_mul(FACTOR).to_be_bytes();
        let position = usize::from(u16::from_be_bytes([first, second]));
        (position / 64, 1 << (position % 64))
    }
}

/// Returns where the last occurrence of `word` ends in `line`. Unicode white space may follow it.
fn end_of(line: &[u8], word: &str) -> usize {
    for start in (0..=line.len().saturating_sub(word.len())).rev() {
        if line[start..].starts_with(word.as_bytes()) {
            return start + word.len();
        }
    }
    line.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::table::Table;

    fn rules() -> Rules {
        Rules::new(["new", "old"].map(Name::from), true, true)
    }

    fn edited(text: &str, changes: &[(&str, Option<&str>)]) -> String {
        let mut edits = TextEdits::default();
        for (key, destination) in changes {
            edits.push(key, destination.map(Name::from));
        }
        String::from_utf8(edits.apply(text.as_bytes(), &rules())).unwrap()
    }

    #[test]
    fn only_changed_lines_differ() {
        let text = "# people\n\nAlice@Example.org \t old  \n bob old\n\n# more\ncarol new";
        for (changes, expected) in [
            (&[][..], text.to_owned()),
            (&[("bob", Some("new"))], text.replace("bob old", "bob new")),
            (&[("bob", None)], text.replace(" bob old\n", "")),
            (&[("alice@example.org", Some("new"))], text.replace("\t old  ", "\t new  ")),
            (
                &[("dora", Some("new")), ("carol", Some("old"))],
                text.replace("carol new", "carol old\ndora\tnew\n"),
            ),
            (&[("dora", Some("new")), ("dora", None)], text.to_owned()),
            (&[("@x", Some("new")), ("a", Some("old"))], format!("{text}\n@x\tnew\na\told\n")),
            (&[("jane doe", Some("new"))], format!("{text}\n\"jane doe\"\tnew\n")),
            (&[("#1", Some("new"))], format!("{text}\n\"#1\"\tnew\n")),
        ] {
            assert_eq!(edited(text, changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn unusual_files_are_edited_too() {
        for (text, changes, expected) in [
            ("", ("a", Some("new")), "a\tnew\n"),
            ("\u{feff}", ("a", Some("new")), "\u{feff}a\tnew\n"),
            ("\u{feff}a new\r\n", ("a", Some("old")), "\u{feff}a old\r\n"),
            ("b new\r\n", ("a", Some("old")), "b new\r\na\told\r\n"),
            ("a new\nA new\n", ("a", Some("old")), "a old\n"),
            ("a new\nb new\nA new\n", ("a", None), "b new\n"),
            ("new new\n", ("new", Some("old")), "new old\n"),
            ("\"A new\"  new \n", ("a new", Some("old")), "\"A new\"  old \n"),
            ("a\u{a0}new\u{a0}\n", ("a", Some("old")), "a\u{a0}old\u{a0}\n"),
            ("\u{b}a new\n", ("a", Some("old")), "\u{b}a old\n"),
            ("\u{212a} new\n", ("k", Some("old")), "\u{212a} old\n"),
        ] {
            assert_eq!(edited(text, &[changes]), expected, "{text:?}");
        }
    }

    proptest! {
        /// A name that may be written reads back from its own line only: no name produces a second line, a comment or
        /// the entry of another account.
        #[test]
        fn a_written_name_is_one_line_of_its_own(
            name in "[#@\"\u{feff}\u{85}\u{a0}\u{2028}\u{200b}\u{0}\t\r\n aÄİΣß]{0,6}|.{0,12}",
            lowercase: bool,
            base in prop_oneof![Just(""), Just("\u{feff}"), Just("bob old"), Just("# people\r\n")],
        ) {
            let rules = Rules::new(["new", "old"].map(Name::from), lowercase, true);
            if let Ok(key) = rules.writable_key(&name) {
                let mut edits = TextEdits::default();
                edits.push(&key, Some("new".into()));
                let text = edits.apply(base.as_bytes(), &rules);
                let table = Table::parse(&text, &rules).unwrap();
                prop_assert_eq!(table.get(&key).map(|name| &**name), Some("new"));
                let before = Table::parse(base.as_bytes(), &rules).unwrap();
                let is_other = before.get(&key).is_none();
                prop_assert_eq!(table.len(), before.len() + usize::from(is_other));
                let mut edits = TextEdits::default();
                edits.push(&key, None);
                let text = edits.apply(&text, &rules);
                let table = Table::parse(&text, &rules).unwrap();
                prop_assert_eq!(table.get(&key), None);
            }
        }

        /// Editing the text and changing the table have the same result.
        #[test]
        fn text_and_table_agree(
            lines in proptest::collection::vec(" ?[abcAB@]{1,2}[ \t\u{a0}]{1,2}new ?\r?|# ?[a-c]|", 0..12),
            changes in proptest::collection::vec(("[abc@]{1,2}", proptest::option::of(0_u16..2)), 0..8),
            ends in any::<bool>(),
        ) {
            let mut text = lines.join("\n");
            if ends { text.push('\n'); }
            let mut table = Table::parse(text.as_bytes(), &rules()).unwrap();
            let mut edits = TextEdits::default();
            for (key, destination) in &changes {
                match destination {
                    Some(index) => { table.set(key, *index).unwrap(); }
                    None => { table.remove(key); }
                }
                edits.push(key, destination.and_then(|index| table.name(index).cloned()));
            }
            let edited = edits.apply(text.as_bytes(), &rules());
            let reread = Table::parse(&edited, &rules()).unwrap();
            let sorted = |table: &Table| {
                let mut entries = table.list(0, 1_000).entries;
                entries.sort_by(|a, b| a.identifier.cmp(&b.identifier));
                entries
            };
            prop_assert_eq!(sorted(&reread), sorted(&table));
            // The last line gets a line end when another follows, a carriage return included.
            let comments = |text: &[u8]| {
                let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
                lines.filter(|line| line.starts_with(b"#")).map(<[u8]>::to_vec).collect::<Vec<_>>()
            };
            prop_assert_eq!(comments(&edited), comments(text.as_bytes()));
        }
    }
}
