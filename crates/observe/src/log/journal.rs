//! What lines look like when standard error is a stream of systemd's journal: a priority, which the journal reads and
//! removes (sd-daemon(3)), and no time, because the journal records its own.
//!
//! What must never happen here: a priority in front of a line that another program than the journal reads.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Returns whether `stream` is the stream that the service manager connected to the journal. `journal_stream` is the
/// value of the environment variable `JOURNAL_STREAM` (systemd.exec(5)): `DEVICE:INODE`. The variable alone proves
/// nothing: a child process inherits it together with another standard error.
pub(super) fn is_journal(journal_stream: &str, stream: impl AsFd) -> io::Result<bool> {
    let metadata = File::from(stream.as_fd().try_clone_to_owned()?).metadata()?;
    Ok(journal_stream == format!("{}:{}", metadata.dev(), metadata.ino()))
}

/// Puts the priority in front of what `inner` formats.
pub(super) struct Prioritized<F> {
    pub(super) inner: F,
    /// Whether lines have a priority at all.
    pub(super) is_enabled: bool,
}

/// Returns the priority of syslog(3) for a level.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

// === impl Prioritized ===

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.is_enabled {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        self.inner.format_event(context, writer, event)
    }
}
