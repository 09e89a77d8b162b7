//! The mapping file: an operator's text, and of whoever can write to it.

use mapping::Rules;
use mapping::line::BadLines;
use mapping::table::Table;

use crate::input::Input;

/// A file is taken whole or not at all; what is taken, written down line by line, is taken as the same; and every
/// mistake has the line that it is in.
pub(crate) fn mapping(bytes: &[u8]) {
    let Some(input) = Input::plain(bytes) else { return };
    let text = &input.data[..];
    let rules = Rules::new(["new", "old", "müller"].map(Into::into), input.has(0), input.has(1));
    let table = match Table::parse(text, &rules) {
        Ok(table) => table,
        Err(bad) => return mistakes(text, &bad),
    };
    every_line_counts(text, &table, &rules);
    let entries = table.list(0, usize::MAX).entries;
    assert_eq!(entries.len(), table.len());
    let mut written = String::new();
    for entry in &entries {
        assert_eq!(table.get(&entry.identifier), Some(&entry.destination));
        assert_eq!(rules.key(&entry.identifier), *entry.identifier, "a key that no login asks for");
        written.push_str(&format!("{} {}\n", entry.identifier, entry.destination));
    }
    let again = Table::parse(written.as_bytes(), &rules).expect("what was taken before");
    assert_eq!(again.list(0, usize::MAX).entries, entries);
    assert_eq!(again.domains(), table.domains());
}

/// No line is passed over, but for blank ones and comments.
fn every_line_counts(text: &[u8], table: &Table, rules: &Rules) {
    let text = std::str::from_utf8(text).expect("UTF-8");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.split('\n').map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [identifier, destination] = fields[..] else { panic!("{line:?} was taken") };
        assert_eq!(table.get(&rules.key(identifier)).map(|name| &**name), Some(destination), "{line:?}");
    }
}

fn mistakes(text: &[u8], bad: &BadLines) {
    let lines = 1 + text.iter().filter(|&&byte| byte == b'\n').count();
    assert!(bad.count() > 0, "refused without a word");
    assert!(bad.errors.len() <= BadLines::MAX && bad.count() <= lines);
    for error in &bad.errors {
        assert!((1..=lines).contains(&error.line), "{error}");
        assert!(!error.to_string().contains("line 0"), "{error}");
        assert!(!error.to_string().contains(char::is_control), "{:?}", error.to_string());
    }
    assert!(bad.errors.is_sorted_by_key(|error| error.line), "out of order");
}
