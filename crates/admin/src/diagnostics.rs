//! The errors and warnings about a file, in the form of the API and of `check --json`.

use api::Diagnostic;
use mapping::line::{BadLines, LineError};
use mapping::store::LoadError;

/// Returns every error in a mapping: each wrong line, or the one error that prevents reading it.
#[must_use]
pub fn of_mapping(error: &LoadError) -> Vec<Diagnostic> {
    match error {
        LoadError::Lines { path, lines } => of_lines(&path.display().to_string(), lines),
        other => vec![diagnostic(&path_of(other), 1, other.to_string())],
    }
}

/// Returns the wrong lines of `file`.
pub(crate) fn of_lines(file: &str, lines: &BadLines) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> =
        lines.errors.iter().map(|error| diagnostic(file, error.line, error.to_string())).collect();
    if lines.more > 0 {
        let last = lines.errors.last().map_or(1, |error: &LineError| error.line);
        diagnostics.push(diagnostic(
            file,
            last,
            format!("{} more lines after this one are wrong", lines.more),
        ));
    }
    diagnostics
}

fn diagnostic(file: &str, line: usize, message: String) -> Diagnostic {
    Diagnostic {
        severity: "error".to_owned(),
        file: file.to_owned(),
        line,
        column: 1,
        key: String::new(),
        message,
        help: String::new(),
    }
}

/// Returns the path in the error; empty for a store that is not a file.
fn path_of(error: &LoadError) -> String {
    match error {
        LoadError::Io { path, .. }
        | LoadError::NotAFile(path)
        | LoadError::Emptied { path, .. }
        | LoadError::TooLarge { path, .. }
        | LoadError::Lines { path, .. } => path.display().to_string(),
        LoadError::Unusable(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_is_a_diagnostic() {
        let rules = mapping::Rules::new([mapping::Name::from("new")], true, true);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mapping");
        let check = |text: Option<&str>| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            of_mapping(&mapping::FileStore::check(&path, &rules).unwrap_err())
        };
        let missing = check(None);
        assert_eq!((missing.len(), missing[0].file.as_str()), (1, path.to_str().unwrap()));
        let lines: Vec<usize> =
            check(Some("a new\nb old\nc\n")).iter().map(|diagnostic| diagnostic.line).collect();
        assert_eq!(lines, [2, 3]);
        let many = check(Some(&"a nowhere\n".repeat(BadLines::MAX + 5)));
        assert_eq!(many.len(), BadLines::MAX + 1);
        assert!(many[BadLines::MAX].message.starts_with("5 more"), "{}", many[BadLines::MAX].message);
        assert_eq!(of_mapping(&LoadError::Unusable("refused".into()))[0].message, "refused");
    }
}
