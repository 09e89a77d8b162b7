//! Reads the password of the test account.
//!
//! What must never happen here: the password is an argument (every process list shows those), is echoed, or stays in
//! memory that is not wiped.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use types::secret::Secret;
use zeroize::Zeroizing;

use crate::api_client::{CommandError, block_on};
use crate::arguments::VerifyOptions;
use crate::format::escaped;

/// For scripts that cannot write a file.
const VARIABLE: &str = "POINTSMAN_VERIFY_PASSWORD";
/// More than a line of a terminal can have: a buffer that grows leaves copies of the password in memory.
const LINE_CAPACITY: usize = 8 * 1024;

/// Turns the terminal's echo off, and restores it when it is dropped.
struct EchoOff {
    before: Termios,
}

/// Returns the password from the file, the environment or the terminal, in this order.
pub(super) fn obtain(options: &VerifyOptions) -> Result<Secret, CommandError> {
    if let Some(path) = &options.password_file {
        return config::secret_file(path).map_err(CommandError::Usage);
    }
    if let Some(value) = std::env::var_os(VARIABLE) {
        return Ok(Secret::new(value.into_encoded_bytes()));
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage(format!(
            "no password: pass --password-file FILE, set {VARIABLE}, or run the command at a terminal"
        )));
    }
    eprint!("Password of {}: ", escaped(&options.user));
    let password = block_on(read_password());
    eprintln!();
    password
}

/// Reads a line without echo. A signal ends the wait and restores the terminal.
async fn read_password() -> Result<Secret, CommandError> {
    let terminal_error = |error: io::Error| CommandError::File("the terminal".to_owned(), error);
    // Installed before the echo is turned off: from then on a signal must not end the process by itself.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(terminal_error)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(terminal_error)?;
    let _echo_off = EchoOff::new().map_err(terminal_error)?;
    let (sender, line) = oneshot::channel();
    // A blocking read cannot be cancelled: after a signal, the thread ends with the process.
    std::thread::spawn(move || sender.send(read_line()));
    let no_password = || CommandError::Usage("no password was given".to_owned());
    tokio::select! {
        line = line => match line {
            Ok(read) => read.map_err(terminal_error)?.ok_or_else(no_password),
            Err(_) => Err(no_password()),
        },
        _ = interrupt.recv() => Err(no_password()),
        _ = terminate.recv() => Err(no_password()),
    }
}

/// Returns `None` at the end of the input (Ctrl-D), which is not an empty password.
fn read_line() -> io::Result<Option<Secret>> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_CAPACITY));
    if io::stdin().lock().read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(Secret::copy_of(line.strip_suffix(b"\n").unwrap_or(&line))))
}

// === impl EchoOff ===

impl EchoOff {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
