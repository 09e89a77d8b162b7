//! What a configuration has to say, as lines of the log: one for each problem, whatever the log's form.

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
                tracing::warn!(
                    key,
                    problem = message,
                    help,
                    line,
                    column,
                    "worth knowing of the configuration"
                );
            }
        }
    }
}
