//! The errors and warnings of a configuration: for the log, one line each, and for the management API.

use api::Diagnostic;
use config::{Report, Severity};

/// Logs every problem of `report`.
pub(crate) fn log(report: &Report) {
    for problem in &report.diagnostics {
        let (line, column) = report.position(problem);
        let key = &*problem.key;
        let help = &*problem.help;
        let message = &*problem.message;
        match problem.severity {
            Severity::Error => {
                tracing::error!(key, problem = message, help, line, column, "the configuration is not valid");
            }
            Severity::Warning => {
                tracing::warn!(key, problem = message, help, line, column, "the configuration has a warning");
            }
        }
    }
}

/// Returns the errors and warnings of `report` as the management API shows them.
pub(crate) fn diagnostics(report: &Report) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::with_capacity(report.diagnostics.len());
    for problem in &report.diagnostics {
        let (line, column) = report.position(problem);
        diagnostics.push(Diagnostic {
            severity: problem.severity.as_str().to_owned(),
            file: report.path.display().to_string(),
            line,
            column,
            key: problem.key.clone(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        });
    }
    diagnostics
}
