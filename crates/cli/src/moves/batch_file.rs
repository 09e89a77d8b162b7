//! The file of a batch: one account a line, its names separated by tabs or commas; `#` begins a comment.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use api::Problem;

use crate::api_client::CommandError;

/// A batch.
#[derive(Debug)]
pub(crate) struct BatchFile {
    /// The names of each account.
    pub(crate) groups: Vec<Vec<String>>,
    /// For the batch's name.
    pub(super) stem: String,
    path: String,
    /// The line of each account, from 1.
    lines: Vec<usize>,
}

/// Bytes of a file: the API's limit for a request, with room for its JSON.
const MAX_FILE: u64 = 4 << 20;

// === impl BatchFile ===

impl BatchFile {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let source: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(path).map_err(|error| file_error(path, error))?)
        };
        let mut text = String::new();
        source.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| file_error(path, error))?;
        if text.len() as u64 > MAX_FILE {
            let reason = format!("it is larger than {MAX_FILE} bytes: split it into several batches");
            return Err(file_error(path, io::Error::other(reason)));
        }
        let stem = match path.file_stem().and_then(|stem| stem.to_str()) {
            Some(stem) if stem != "-" => stem.to_owned(),
            _ => "batch".to_owned(),
        };
        let file = Self::parse(&text, path.display().to_string(), stem);
        if file.groups.is_empty() {
            return Err(CommandError::Usage(format!("{} names no account", file.path)));
        }
        Ok(file)
    }

    fn parse(text: &str, path: String, stem: String) -> Self {
        let mut groups = Vec::new();
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.strip_prefix('\u{feff}').unwrap_or(line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let names = line.split(['\t', ',']).map(str::trim).filter(|name| !name.is_empty());
            groups.push(names.map(str::to_owned).collect());
            lines.push(index + 1);
        }
        Self { groups, stem, path, lines }
    }

    /// Returns a refusal with the lines of this file in it.
    pub(super) fn located(&self, mut problem: Problem) -> Problem {
        for diagnostic in &mut problem.problems {
            let group = diagnostic.line.saturating_sub(1);
            if let Some(line) = self.lines.get(group) {
                diagnostic.line = *line;
                diagnostic.file.clone_from(&self.path);
                if !diagnostic.key.is_empty() {
                    diagnostic.message = format!("{}: {}", diagnostic.key, diagnostic.message);
                }
            }
        }
        problem.detail = format!("nothing was started: {} has mistakes", self.path);
        problem
    }
}

fn file_error(path: &Path, error: io::Error) -> CommandError {
    CommandError::File(path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_comments_and_names() {
        let text = "\u{feff}# Monday\nalice@example.org\talice\r\n\n  bob@example.org , bob\n,\n";
        let file = BatchFile::parse(text, "batch.tsv".into(), "batch".into());
        let groups = [vec!["alice@example.org", "alice"], vec!["bob@example.org", "bob"], vec![]];
        assert_eq!(file.groups, groups);
        assert_eq!(file.lines, [2, 4, 5]);
    }
}
