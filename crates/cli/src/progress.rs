//! Word that it goes on, for somebody at a terminal who has waited for two seconds.
//!
//! It is on standard error and gone before the result is printed: nothing that is piped or kept has it.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use crate::print::escaped;

/// Until the first word, and between two of them.
const SILENCE: Duration = Duration::from_secs(2);

/// Does `work`, and tells with `say` how far it is.
pub(crate) async fn telling<T>(say: impl Fn() -> String, work: impl Future<Output = T>) -> T {
    if !io::stderr().is_terminal() {
        return work.await;
    }
    let mut work = pin!(work);
    let mut ticks = interval_at(Instant::now() + SILENCE, SILENCE);
    let mut is_shown = false;
    let done = loop {
        tokio::select! {
            done = &mut work => break done,
            _ = ticks.tick() => {
                // Its own line, written anew each time.
                eprint!("\r{}\x1b[K", escaped(&say()));
                let _ = io::stderr().flush();
                is_shown = true;
            }
        }
    };
    if is_shown {
        eprint!("\r\x1b[K");
    }
    done
}

/// What there is to say of a call whose progress cannot be seen.
pub(crate) fn waiting(what: &'static str) -> impl Fn() -> String {
    let began = Instant::now();
    move || format!("{what}, {} seconds so far", began.elapsed().as_secs())
}
