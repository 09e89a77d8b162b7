//! The configuration file: an operator's text, with secrets in it.

use std::path::Path;

use config::{Report, Severity};

/// Folders of which a file's name could lead to something that never ends.
const ELSEWHERE: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Every text is taken or refused with a reason that has a place, twice the same; what is shown of it holds no
/// control character of the file's.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if ELSEWHERE.iter().any(|folder| text.contains(folder)) {
        return;
    }
    let [first, second] = [(), ()].map(|()| read(text));
    assert_eq!(first.to_json(), second.to_json(), "read twice, and not as the same");
    judge(text, &first);
}

fn read(text: &str) -> Report {
    match config::parse(Path::new("/nonexistent/pointsman.toml"), text.to_owned()) {
        Ok(loaded) => {
            assert_eq!(loaded.warnings.errors(), 0, "taken with an error");
            loaded.warnings
        }
        Err(report) => {
            assert!(report.errors() > 0, "refused without a word");
            report
        }
    }
}

fn judge(text: &str, report: &Report) {
    let lines = text.matches('\n').count() + 1;
    for diagnostic in &report.diagnostics {
        let (line, column) = report.position(diagnostic);
        assert!((1..=lines).contains(&line) && column >= 1, "{line}:{column} {diagnostic:?}");
        assert!(matches!(diagnostic.severity, Severity::Error | Severity::Warning));
        assert!(!diagnostic.message.is_empty() && !diagnostic.help.is_empty() && !diagnostic.key.is_empty());
        for text in [&diagnostic.message, &diagnostic.help, &diagnostic.key] {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
        }
    }
    let plain = report.render(false);
    assert!(!plain.contains('\u{1b}'), "an escape sequence of the file's: {plain:?}");
    let _ = report.render(true);
}
