//! Where the password comes from. It is never an argument: those are in every process list.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use wire::secret::Secret;
use zeroize::Zeroizing;

use crate::arguments::Verify;
use crate::client::Failure;

/// For scripts that have no file.
const VARIABLE: &str = "POINTSMAN_VERIFY_PASSWORD";

/// Puts the terminal back when it goes.
struct Quiet(Termios);

/// From the file, the environment, or whoever sits there.
pub(super) fn obtain(arguments: &Verify) -> Result<Secret, Failure> {
    if let Some(path) = &arguments.password_file {
        return config::secret_file(path).map_err(Failure::Usage);
    }
    if let Some(value) = std::env::var_os(VARIABLE) {
        return Ok(Secret::new(value.into_encoded_bytes()));
    }
    if !io::stdin().is_terminal() {
        let why =
            format!("no password: give --password-file or {VARIABLE}, or run it at a terminal to be asked");
        return Err(Failure::Usage(why));
    }
    let failed = |error: io::Error| Failure::File("the terminal".to_owned(), error);
    eprint!("Password of {}: ", crate::print::escaped(&arguments.user));
    let quiet = Quiet::new().map_err(failed)?;
    // More room than a terminal's line has: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(8 * 1024));
    let read = io::stdin().lock().read_until(b'\n', &mut line);
    drop(quiet);
    eprintln!();
    read.map_err(failed)?;
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    Ok(Secret::copy_of(text))
}

// === impl Quiet ===

impl Quiet {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
