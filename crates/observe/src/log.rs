//! The log: lines on standard error, text for people or JSON for collectors, with a level that can change.
//!
//! Standard error, because journald and every container runtime read it (see `journal`). The libraries below us stay at
//! `warn` whatever level is asked for: at `debug` some of them print header fields, and those hold passwords.
//!
//! A thread that logs never waits for standard error: see `queue`.

mod journal;
mod panics;
mod queue;

use std::fmt;
use std::io;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

use self::journal::{Prioritized, is_journal};
use self::queue::LogQueue;

/// The form of a line (`server.log_format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What stands before the event in a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefix {
    /// The priority of syslog(3), which the journal reads: `<4>`.
    priority: bool,
    /// The time.
    timestamp: bool,
}

/// Controls the running log.
#[derive(Clone)]
pub struct Handle {
    queue: LogQueue,
    filter: FilterHandle,
    from_environment: bool,
}

type FilterHandle = reload::Handle<EnvFilter, Registry>;

/// Our crates, whose names are the targets of their log lines. `pointsman=LEVEL` stands for all of them.
const CRATES: &[&str] = &[
    "admin",
    "api",
    "app",
    "bridge",
    "cluster",
    "compare",
    "config",
    "connection",
    "control",
    "credentials",
    "demo",
    "http_proto",
    "identity",
    "listen",
    "mail",
    "mail_leg",
    "mail_proto",
    "mapping",
    "moves",
    "observe",
    "placement",
    "plan",
    "probe",
    "proxy_protocol",
    "runtime",
    "sessions",
    "tls",
    "token_lookup",
    "types",
    "upstream",
    "web",
];

/// Starts the log of this process on standard error, panics included. `level` is a level or a list of directives
/// as in `server.log_level`; the environment variable `RUST_LOG` overrides it. `timestamps` is `server.log_timestamps`:
/// whether lines contain the time, which they do by default unless the journal reads them.
///
/// # Errors
/// A sentence for the operator when `level` or `RUST_LOG` cannot be read, when the process has a log already, or
/// when the thread that writes cannot be started.
pub fn init(level: &str, format: Format, timestamps: Option<bool>) -> Result<Handle, String> {
    let environment = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let queue = LogQueue::new();
    let prefix = Prefix::for_standard_error(timestamps);
    let (filter, subscriber) = build(level, environment.as_deref(), format, prefix, queue.clone())?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| "this process has a log already: start it once".to_owned())?;
    panics::log();
    let writer = queue.clone();
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || writer.write_to(io::stderr(), report_dropped))
        .map_err(|error| format!("the thread that writes the log cannot be started: {error}"))?;
    Ok(Handle { queue, filter, from_environment: environment.is_some() })
}

fn report_dropped(lines: u64) {
    tracing::warn!(lines, "log lines were dropped: standard error was not read, or could not be written");
}

/// Builds the subscriber that [`init`] installs, with lines going to `out`, and the handle of its filter.
pub(crate) fn build<W>(
    level: &str,
    environment: Option<&str>,
    format: Format,
    prefix: Prefix,
    out: W,
) -> Result<(FilterHandle, Box<dyn Subscriber + Send + Sync>), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = match environment {
        Some(set) => directives("RUST_LOG", set)?,
        None => filter("log_level", level)?,
    };
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    // No colours: what reads standard error is a file or a collector as often as a terminal.
    let lines = tracing_subscriber::fmt::layer().with_writer(out).with_ansi(false);
    let is_enabled = prefix.priority;
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        Format::Text if prefix.timestamp => {
            Box::new(registry.with(lines.map_event_format(|inner| Prioritized { inner, is_enabled })))
        }
        Format::Text => {
            let lines = lines.without_time();
            Box::new(registry.with(lines.map_event_format(|inner| Prioritized { inner, is_enabled })))
        }
        Format::Json if prefix.timestamp => {
            let lines = lines.json();
            Box::new(registry.with(lines.map_event_format(|inner| Prioritized { inner, is_enabled })))
        }
        Format::Json => {
            let lines = lines.json().without_time();
            Box::new(registry.with(lines.map_event_format(|inner| Prioritized { inner, is_enabled })))
        }
    };
    Ok((handle, subscriber))
}

/// Reads a level, which then applies to our own crates only, or a list of directives.
fn filter(key: &str, level: &str) -> Result<EnvFilter, String> {
    match level {
        "trace" | "debug" | "info" | "warn" => directives(key, &format!("warn,pointsman={level}")),
        _ => directives(key, level),
    }
}

fn directives(key: &str, text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(expand(text)).map_err(|error| {
        format!(
            "{key} = {text:?} cannot be read ({error}); expected a level (error, warn, info, debug, trace, off) \
             or directives such as \"info,mail=debug\""
        )
    })
}

/// Replaces the directive `pointsman=LEVEL` by one for each of our crates.
fn expand(text: &str) -> String {
    let mut expanded = Vec::new();
    for directive in text.split(',') {
        expanded.push(directive.to_owned());
        if let Some(level) = directive.strip_prefix("pointsman=") {
            expanded.extend(CRATES.iter().map(|name| format!("{name}={level}")));
        }
    }
    expanded.join(",")
}

// === impl Prefix ===

impl Prefix {
    /// Returns the prefix of lines on this process's standard error.
    fn for_standard_error(timestamps: Option<bool>) -> Self {
        let journal_stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        // A standard error that cannot be examined is not the journal.
        let priority = is_journal(&journal_stream, io::stderr()).unwrap_or(false);
        Self { priority, timestamp: timestamps.unwrap_or(!priority) }
    }
}

// === impl Handle ===

impl Handle {
    /// Puts `level`, as in `server.log_level`, in force.
    ///
    /// # Errors
    /// A sentence for the operator when it cannot be read; the level then stays as it was.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        set_level(&self.filter, level)
    }

    /// Returns the number of lines that were dropped since the start.
    #[must_use]
    pub fn dropped_lines(&self) -> u64 {
        self.queue.dropped()
    }

    /// Waits until every line is written, for at most `limit`. For the end of the process: it blocks the thread.
    pub fn flush(&self, limit: Duration) {
        self.queue.flush(limit);
    }

    /// Returns whether the level came from `RUST_LOG`: a reload of the file must then leave it alone.
    #[must_use]
    pub fn is_from_environment(&self) -> bool {
        self.from_environment
    }
}

fn set_level(handle: &FilterHandle, level: &str) -> Result<(), String> {
    handle
        .reload(filter("log_level", level)?)
        .map_err(|error| format!("the level of the log cannot be changed ({error}); restart the process"))
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("from_environment", &self.from_environment).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
