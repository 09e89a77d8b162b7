//! Panics, as lines of the log.
//!
//! The hook of the standard library writes to standard error itself, and would wait there for a reader that has
//! stopped: then a panic in one connection would stop a worker thread.

use std::backtrace::Backtrace;
use std::panic::{PanicHookInfo, set_hook};

/// Has every panic of this process logged.
pub(super) fn log() {
    set_hook(Box::new(|info| {
        let message = message(info);
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        // Captured only where `RUST_BACKTRACE` asks for it.
        let backtrace = Backtrace::capture();
        tracing::error!(message, location, %backtrace, "panic");
    }));
}

fn message<'p>(info: &'p PanicHookInfo<'_>) -> &'p str {
    info.payload_as_str().unwrap_or("not a string")
}
