//! Parses the text of a mapping file into a [`Table`], or returns every invalid line.
//!
//! A file with one invalid line is not used at all.

use std::collections::HashMap;

use crate::line::{BadLines, LineProblem, MappingLine};
use crate::rules::Rules;
use crate::table::{ArenaFull, PreviousEntry, Table};

/// The byte order mark in UTF-8, which some editors put before the text.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// The largest file. It cannot overflow the table's arena: the arena needs 4 bytes more than each key, a line at least
/// 2 bytes more, and lower case makes a key at most half as long again.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// The indices of contradiction errors by key. The earlier line of each is found afterwards, because the table stores
/// no line numbers.
type Contradictions = HashMap<String, Vec<usize>>;

impl Table {
    /// Parses a whole file.
    ///
    /// # Errors
    /// [`BadLines`] lists every invalid line with its number and error.
    pub fn parse(text: &[u8], rules: &Rules) -> Result<Self, BadLines> {
        let mut table = Self::with_capacity(rules.destinations(), text.len());
        let mut bad = BadLines::default();
        let mut contradictions = Contradictions::new();
        for (number, line) in lines(text) {
            let (key, destination) = match MappingLine::parse(line, rules) {
                Ok(MappingLine::Nothing) => continue,
                Ok(MappingLine::Entry { key, destination, .. }) => (key, destination),
                Err(problem) => {
                    bad.push(number, problem);
                    continue;
                }
            };
            match table.add(&key, destination) {
                Ok(PreviousEntry::At(first)) if first != destination => {
                    if bad.errors.len() < BadLines::MAX {
                        contradictions.entry(key.clone().into_owned()).or_default().push(bad.errors.len());
                    }
                    bad.push(number, contradiction(&table, &key, destination, first));
                }
                Ok(_) => {}
                Err(ArenaFull) => bad.push(number, LineProblem::TooMany),
            }
        }
        if bad.count() > 0 {
            find_first_lines(text, rules, &mut contradictions, &mut bad);
            return Err(bad);
        }
        table.shrink();
        Ok(table)
    }
}

/// Returns the lines without line feeds, numbered from 1.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    (1..).zip(text.split(|byte| *byte == b'\n'))
}

fn contradiction(table: &Table, key: &str, destination: u16, first: u16) -> LineProblem {
    let name = |index| table.name(index).cloned().unwrap_or_else(|| "".into());
    LineProblem::Contradiction {
        identifier: key.to_owned(),
        destination: name(destination),
        first_line: 0,
        first: name(first),
    }
}

/// Fills in the earlier line of each contradiction. This second pass runs only for invalid files.
fn find_first_lines(text: &[u8], rules: &Rules, wanted: &mut Contradictions, bad: &mut BadLines) {
    for (number, line) in lines(text) {
        if wanted.is_empty() {
            return;
        }
        let Ok(MappingLine::Entry { key, .. }) = MappingLine::parse(line, rules) else {
            continue;
        };
        for index in wanted.remove(&*key).unwrap_or_default() {
            if let LineProblem::Contradiction { first_line, .. } = &mut bad.errors[index].problem {
                *first_line = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use plan::Name;
    use proptest::prelude::*;

    use super::*;

    fn rules(lowercase: bool) -> Rules {
        Rules::new(["new", "old"].map(Name::from), lowercase, true)
    }

    fn errors(text: &[u8]) -> Vec<String> {
        let bad = Table::parse(text, &rules(true)).expect_err("the text is bad");
        bad.errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn parses_entries_comments_and_a_byte_order_mark() {
        let text = b"\xef\xbb\xbf# moved in May\r\n\r\nAlice@Example.org\tnew\r\n  bob old\n@example.net new";
        let table = Table::parse(text, &rules(true)).unwrap();
        let found: Vec<_> =
            table.list(0, 9).entries.iter().map(|e| format!("{} {}", e.identifier, e.destination)).collect();
        assert_eq!(found, ["alice@example.org new", "bob old", "@example.net new"]);
        assert_eq!((table.len(), table.domains()), (3, 1));
        assert_eq!(table.get("Alice@Example.org"), None, "the caller folds the key");
        assert!(Table::parse(b"", &rules(true)).unwrap().is_empty());
        let joined = b"\xef\xbb\xbfalice new\n\xef\xbb\xbfbob new\n";
        assert_eq!(errors(joined).len(), 1, "an entry that matches no login is an error");
    }

    #[test]
    fn every_invalid_line_is_reported() {
        let two = "expected an identifier and a destination";
        let text = b"alice new\nbob\nalice old\n\xff new\n# fine\nALICE new\na b c\nbob nowhere\nAlice old\n";
        let contradicts = "maps \"alice\" to old, but line 1 maps it to new: keep one of them";
        assert_eq!(
            errors(text),
            [
                format!("line 2 has one field, {two}"),
                format!("line 3 {contradicts}"),
                "line 4 is not UTF-8".to_owned(),
                format!(
                    "line 7 has 3 fields, {two} (quote an identifier that contains spaces; a comment needs a line of its own)"
                ),
                "line 8 names the destination \"nowhere\", which is not declared; declared are: new, old"
                    .to_owned(),
                format!("line 9 {contradicts}"),
            ]
        );
    }

    #[test]
    fn case_contradicts_only_where_it_is_folded() {
        let text = b"Alice new\nalice old\n";
        assert_eq!(Table::parse(text, &rules(false)).unwrap().len(), 2);
        assert_eq!(errors(text).len(), 1);
    }

    #[test]
    fn a_file_of_nothing_but_errors_is_bounded() {
        let text =
            b"alice new\n".iter().chain(b"alice old\n".repeat(5_000).iter()).copied().collect::<Vec<_>>();
        let bad = Table::parse(&text, &rules(true)).expect_err("contradictions");
        assert_eq!((bad.errors.len(), bad.count()), (BadLines::MAX, 5_000));
        assert!(bad.errors[999].to_string().contains("but line 1 maps"), "{}", bad.errors[999]);
    }

    /// The target: at most 100 bytes per entry for a million entries of 25 bytes. `benches/mapping.rs` measures the time.
    #[test]
    fn a_million_accounts_take_little_memory() {
        let text: String = (0..1_000_000)
            .map(|n| format!("user{n:07}@example1.org\tnew\n").replace("1.o", "01.o"))
            .collect();
        assert_eq!(text.lines().next().map(str::len), Some("user0000000@example01.org".len() + 4));
        let table = Table::parse(text.as_bytes(), &rules(true)).unwrap();
        assert_eq!(table.len(), 1_000_000);
        let each = table.heap_bytes() / table.len();
        assert!(each <= 45, "{each} bytes an entry");
        assert_eq!(table.get("user0999999@example01.org").map(|name| &**name), Some("new"));
        assert_eq!(table.get("user1000000@example01.org"), None);
    }

    proptest! {
        #[test]
        fn never_panics(text in proptest::collection::vec(any::<u8>(), 0..400), lowercase: bool) {
            let _ = Table::parse(&text, &rules(lowercase));
        }

        /// The table has the entries that a plain line-by-line reader finds.
        #[test]
        fn agrees_with_a_plain_reader(text in "((#|[abAB@]{1,2}|\u{feff}a| )[ \t]{0,2}(new|old|x)?[ \r]?\n){0,8}") {
            let mut plain = BTreeMap::new();
            let mut wrong = 0;
            let body = text.strip_prefix('\u{feff}').unwrap_or(&text);
            for line in body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let fields: Vec<_> = line.split_whitespace().collect();
                let is_sound = fields.len() == 2
                    && !fields[0].starts_with('\u{feff}')
                    && ["new", "old"].contains(&fields[1]);
                let is_first = !is_sound || {
                    let first = plain.entry(fields[0].to_lowercase()).or_insert(fields[1]);
                    *first == fields[1]
                };
                wrong += usize::from(!is_sound || !is_first);
            }
            match Table::parse(text.as_bytes(), &rules(true)) {
                Err(bad) => prop_assert_eq!(bad.count(), wrong),
                Ok(table) => {
                    prop_assert_eq!(wrong, 0);
                    prop_assert_eq!(table.len(), plain.len());
                    for (key, name) in &plain {
                        prop_assert_eq!(table.get(key).map(|name| &**name), Some(*name));
                    }
                }
            }
        }

        #[test]
        fn never_panics_on_nearly_valid_text(text in "([ab#@A\"]{0,3}[ \t\r\n]{0,2}(new|old|x)?\n?){0,12}") {
            if let Err(bad) = Table::parse(text.as_bytes(), &rules(true)) {
                prop_assert!(bad.count() > 0);
                prop_assert!(!bad.to_string().contains("line 0"), "{}", bad);
            }
        }
    }
}
