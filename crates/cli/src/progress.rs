//! A progress line for people at a terminal who have waited for two seconds.
//!
//! It is written to standard error, and only to a terminal, and is erased before the result is printed: it never
//! appears in a pipe or a file.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use crate::format::escaped;

/// Time until the line appears, and between two updates of it.
const UPDATE_INTERVAL: Duration = Duration::from_secs(2);

/// Runs `work` and shows what `message` returns while it runs.
pub(crate) async fn with_progress<T>(message: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let mut ticks = interval_at(Instant::now() + UPDATE_INTERVAL, UPDATE_INTERVAL);
    let mut is_shown = false;
    let output = loop {
        tokio::select! {
            output = &mut work => break output,
            _ = ticks.tick() => {
                // Overwrites the line, then erases what is left of a longer one.
                eprint!("\r{}\x1b[K", escaped(&message()));
                let _ = io::stderr().flush();
                is_shown = true;
            }
        }
    };
    if is_shown {
        eprint!("\r\x1b[K");
    }
    output
}

/// Returns the message of a call that reports no progress of its own.
pub(crate) fn elapsed(activity: &'static str) -> impl Fn() -> String {
    let started = Instant::now();
    move || format!("{activity}: {} seconds so far", started.elapsed().as_secs())
}
