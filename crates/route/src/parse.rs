//! The text of a mapping file → a [`Table`], or every line that is wrong.

use std::collections::HashMap;

use crate::line::{BadLines, Line, Problem};
use crate::rules::Rules;
use crate::table::{ArenaFull, Table, Was};

/// What some editors put before UTF-8 text.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Fewer bytes than any file's that reaches the arena's end: keys lie in it with 4 bytes each, a line has at
/// least 2 more than its key, and folding a key to lower case makes it at most half as long again.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 30;

/// An earlier line contradicts: which one is looked up afterwards, since the table keeps no line numbers.
type Contradictions = HashMap<String, Vec<usize>>;

impl Table {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Every line that is wrong, with its number and what is wrong with it. A file with one wrong line is not
    /// used at all.
    pub fn parse(text: &[u8], rules: &Rules) -> Result<Self, BadLines> {
        let mut table = Self::with_capacity(rules.destinations(), text.len());
        let mut bad = BadLines::default();
        let mut contradictions = Contradictions::new();
        for (number, line) in lines(text) {
            let (key, destination) = match Line::parse(line, rules) {
                Ok(Line::Nothing) => continue,
                Ok(Line::Entry { key, destination, .. }) => (key, destination),
                Err(problem) => {
                    bad.push(number, problem);
                    continue;
                }
            };
            match table.add(&key, destination) {
                Ok(Was::At(first)) if first != destination => {
                    if bad.errors.len() < BadLines::MAX {
                        contradictions.entry(key.clone().into_owned()).or_default().push(bad.errors.len());
                    }
                    bad.push(number, contradiction(&table, &key, destination, first));
                }
                Ok(_) => {}
                Err(ArenaFull) => unreachable_by_size(&mut bad, number),
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

/// Lines with their numbers from 1, without line feeds.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    (1..).zip(text.split(|byte| *byte == b'\n'))
}

fn contradiction(table: &Table, key: &str, destination: u16, first: u16) -> Problem {
    let name = |index| table.name(index).cloned().unwrap_or_else(|| "".into());
    Problem::Contradiction {
        identifier: key.to_owned(),
        destination: name(destination),
        first_line: 0,
        first: name(first),
    }
}
