//! Why a command of the client did not succeed, and the exit status that says so.

use std::fmt::Write;
use std::io;
use std::process::ExitCode;

use api::Problem;

use crate::print::escaped;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The proxy answered, and the answer is no: exit status 1.
    #[error("{}", words(.0))]
    Refused(Problem),
    /// Whom to ask could not be found out, or not with these arguments.
    #[error("{0}")]
    Usage(String),
    /// There was no answer from the address.
    #[error("the proxy at {0} cannot be asked: {1}")]
    Unreachable(String, String),
    /// The answer ended in the middle.
    #[error("the answer broke off, and a part is not taken for the whole: {0}")]
    Broken(String),
    /// A file of ours, or standard output.
    #[error("{0}: {1}")]
    File(String, io::Error),
}

// === impl Failure ===

impl Failure {
    /// Tells it on standard error; the exit status.
    pub(crate) fn tell(&self) -> ExitCode {
        // Whoever closed the pipe has read enough.
        if !matches!(self, Self::File(_, error) if error.kind() == io::ErrorKind::BrokenPipe) {
            eprintln!("pointsman: {self}");
        }
        match self {
            Self::Refused(_) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

fn words(problem: &Problem) -> String {
    let mut words = escaped(&problem.detail);
    for remark in &problem.problems {
        let file = escaped(&remark.file);
        let _ = write!(words, "\n  {file}:{}: {}", remark.line, escaped(&remark.message));
        if !remark.help.is_empty() {
            let _ = write!(words, " ({})", escaped(&remark.help));
        }
    }
    if problem.status == 401 {
        words.push_str("; is the token that of the running proxy? A new one needs a restart");
    }
    words
}
