//! Where the password comes from. It is never an argument: those are in every process list.

use std::io::{self, BufRead, IsTerminal};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use types::secret::Secret;
use zeroize::Zeroizing;

use crate::arguments::Verify;
use crate::client::{Failure, block_on};

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
    eprint!("Password of {}: ", crate::print::escaped(&arguments.user));
    let typed = block_on(typed());
    eprintln!();
    typed
}

/// A line of standard input, without an echo. Whoever gives up by Ctrl-C gets the terminal back as it was.
async fn typed() -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::File("the terminal".to_owned(), error);
    // Before the terminal is changed: from then on a signal must not end the process by itself.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let _quiet = Quiet::new().map_err(failed)?;
    let (client_info, line) = oneshot::channel();
    // A read cannot be called back: the thread ends with the process.
    std::thread::spawn(move || {
        // More room than a terminal's line has: a buffer that grows leaves copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(8 * 1024));
        let read = io::stdin().lock().read_until(b'\n', &mut line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        // Nothing at all is the end of the input (Ctrl-D), and no empty password.
        let _ = client_info.send(read.map(|count| (count > 0).then(|| Secret::copy_of(text))));
    });
    let given_up = || Failure::Usage("no password was given".to_owned());
    tokio::select! {
        line = line => line.map_err(|_| given_up())?.map_err(failed)?.ok_or_else(given_up),
        _ = interrupt.recv() => Err(given_up()),
        _ = terminate.recv() => Err(given_up()),
    }
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
