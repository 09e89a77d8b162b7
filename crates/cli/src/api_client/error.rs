//! Why a command failed: the message for people and the exit status for scripts.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use api::Problem;

use crate::format::escaped;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The proxy answered and refused the request: exit status 1.
    #[error("{}", problem_text(.0))]
    Refused(Problem),
    /// The arguments, or the files they name, do not say what to do.
    #[error("{0}")]
    Usage(String),
    /// No usable response came from the address.
    #[error("no answer from the proxy at {0}: {1}")]
    Unreachable(String, String),
    /// The response ended early or is too large.
    #[error("the proxy's response is incomplete and was not used: {0}")]
    Incomplete(String),
    /// A local file, or standard output, cannot be read or written.
    #[error("{0}: {1}")]
    File(String, io::Error),
}

// === impl CommandError ===

impl CommandError {
    /// Prints the error to standard error and returns the exit status.
    pub(crate) fn report(&self) -> ExitCode {
        // A reader that closed the pipe (`| head`) has what it wants: not worth a message.
        let is_broken_pipe =
            matches!(self, Self::File(_, error) if error.kind() == io::ErrorKind::BrokenPipe);
        if !is_broken_pipe {
            eprintln!("pointsman: {self}");
        }
        match self {
            Self::Refused(_) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

fn problem_text(problem: &Problem) -> String {
    let mut text = escaped(&problem.detail);
    for diagnostic in &problem.problems {
        // A problem of the request itself, which the detail has named already.
        if diagnostic.file.is_empty() {
            continue;
        }
        let file = escaped(&diagnostic.file);
        let _ = write!(text, "\n  {file}:{}: {}", diagnostic.line, escaped(&diagnostic.message));
        if !diagnostic.help.is_empty() {
            let _ = write!(text, " ({})", escaped(&diagnostic.help));
        }
    }
    if problem.status == 401 {
        text.push_str(
            "; check that the token file is the one that the running proxy has read (a new token takes effect at a restart)",
        );
    }
    text
}
