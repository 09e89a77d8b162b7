//! One problem in a configuration file, and all of them together.
//!
//! A problem names its place, what was found, what was expected and how to fix it. It never quotes a value
//! that may be a secret.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::redact::redact;

/// The severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The proxy does not start, or refuses the reload.
    Error,
    /// Reported at every start; the proxy runs.
    Warning,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// Whether it stops the start.
    pub severity: Severity,
    /// The key's full path: `destination.old.protocol.imap.port`.
    pub key: String,
    /// Where it stands in the file, in bytes; empty when the problem is that something is missing.
    pub span: Range<usize>,
    /// What is wrong, in one sentence: what was found and what was expected.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

/// Every problem of one file.
#[derive(Debug)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Its text with redacted secrets; empty if it could not be read.
    text: String,
    /// In the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// The maximum number of problems in a report: a bound for a file that is not a configuration.
const MAX_PROBLEMS: usize = 500;

/// Collects the problems that the loader finds.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: RefCell<Vec<Diagnostic>>,
}

// === impl Severity ===

impl Severity {
    /// Returns its name in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

// === impl Report ===

impl Report {
    /// `is_toml`: whether the text could be parsed.
    pub(crate) fn new(path: &Path, text: &str, is_toml: bool, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| (diagnostic.span.start, diagnostic.span.end));
        shorten(&mut diagnostics);
        Self { path: path.to_owned(), text: redact(text, is_toml), diagnostics }
    }

    /// Returns the number of errors, without the warnings.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }

    /// Returns the line and column of a problem. Both start at 1; columns count characters.
    #[must_use]
    pub fn position(&self, diagnostic: &Diagnostic) -> (usize, usize) {
        let before = self.text.get(..diagnostic.span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Returns a text for people: each problem with its excerpt of the file.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let path = self.path.display().to_string();
        let render = |diagnostic: &Diagnostic| {
            let level = match diagnostic.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let title = format!("{}: {}", diagnostic.key, diagnostic.message);
            let snippet = Snippet::source(&*self.text)
                .path(&*path)
                .annotation(AnnotationKind::Primary.span(self.shown(&diagnostic.span)));
            let group = level.primary_title(title).element(snippet);
            renderer.render(&[group.element(Level::HELP.message(&*diagnostic.help))])
        };
        self.diagnostics.iter().map(render).collect::<Vec<_>>().join("\n\n")
    }

    /// Returns the problems as JSON.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let one = |diagnostic: &Diagnostic| {
            let (line, column) = self.position(diagnostic);
            serde_json::json!({
                "severity": diagnostic.severity.as_str(),
                "file": self.path.display().to_string(),
                "line": line,
                "column": column,
                "key": diagnostic.key,
                "message": diagnostic.message,
                "help": diagnostic.help,
            })
        };
        self.diagnostics.iter().map(one).collect()
    }

    fn shown(&self, span: &Range<usize>) -> Range<usize> {
        let end = span.end.min(self.text.len());
        span.start.min(end)..end
    }
}

/// Keeps the first problems, and adds one that counts the others. It is an error if one of the others is, so that
/// a file never passes as valid because its errors were cut off.
fn shorten(diagnostics: &mut Vec<Diagnostic>) {
    if diagnostics.len() <= MAX_PROBLEMS {
        return;
    }
    let rest = diagnostics.split_off(MAX_PROBLEMS);
    let is_error = rest.iter().any(|one| one.severity == Severity::Error);
    let severity = if is_error { Severity::Error } else { Severity::Warning };
    let more = match rest.len() {
        1 => "1 more problem is".to_owned(),
        count => format!("{count} more problems are"),
    };
    diagnostics.extend(rest.first().map(|next| Diagnostic {
        severity,
        key: next.key.clone(),
        span: next.span.clone(),
        message: format!("{more} not shown"),
        help: "fix the problems above first".to_owned(),
    }));
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

// === impl Problems ===

impl Problems {
    pub(crate) fn error(
        &self,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, key, span, message.into(), help.into());
    }

    pub(crate) fn warning(
        &self,
        key: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Warning, key, span, message.into(), help.into());
    }

    pub(crate) fn into_inner(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }

    fn push(&self, severity: Severity, key: &str, span: Range<usize>, message: String, help: String) {
        self.found.borrow_mut().push(Diagnostic { severity, key: key.to_owned(), span, message, help });
    }
}
