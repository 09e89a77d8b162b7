//! The log: lines on standard error, text for people or JSON for collectors, with a level that can change.
//!
//! Standard error, because journald and every container runtime read it. The libraries below us stay at
//! `warn` whatever level is asked for: at `debug` some of them print header fields, and those hold passwords.

use std::fmt;
use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;

/// The form of a line (`server.log_format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Changes the level of the running log.
#[derive(Clone)]
pub struct Handle {
    filter: reload::Handle<EnvFilter, Registry>,
    from_environment: bool,
}

/// Our crates, whose names are the targets of their log lines. `pointsman=LEVEL` stands for all of them.
const CRATES: &[&str] = &[
    "admin",
    "api",
    "app",
    "bridge",
    "cluster",
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

/// Starts the log of this process on standard error. `level` is a level or a list of directives as in
/// `server.log_level`; the environment's `RUST_LOG` wins over it.
///
/// # Errors
/// A sentence for the operator when `level` or `RUST_LOG` cannot be read, or when the process has a log already.
pub fn init(level: &str, format: Format) -> Result<Handle, String> {
    let environment = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty());
    let (handle, subscriber) = build(level, environment.as_deref(), format, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|_| "this process has a log already: start it once".to_owned())?;
    Ok(handle)
}

/// The subscriber that [`init`] installs, with lines going to `out`.
pub(crate) fn build<W>(
    level: &str,
    environment: Option<&str>,
    format: Format,
    out: W,
) -> Result<(Handle, Box<dyn Subscriber + Send + Sync>), String>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = environment.map_or_else(|| filter("log_level", level), |set| directives("RUST_LOG", set))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    // No colours: what reads standard error is a file or a collector as often as a terminal.
    let lines = tracing_subscriber::fmt::layer().with_writer(out).with_ansi(false);
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        Format::Text => Box::new(registry.with(lines)),
        Format::Json => Box::new(registry.with(lines.json())),
    };
    Ok((Handle { filter: handle, from_environment: environment.is_some() }, subscriber))
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

// === impl Handle ===

impl Handle {
    /// Makes `level`, as in `server.log_level`, the one in force.
    ///
    /// # Errors
    /// A sentence for the operator when it cannot be read; the level then stays as it was.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        self.filter
            .reload(filter("log_level", level)?)
            .map_err(|error| format!("the log is gone ({error}); restart the process"))
    }

    /// Whether the level came from `RUST_LOG`: a reload of the file must then leave it alone.
    #[must_use]
    pub fn is_from_environment(&self) -> bool {
        self.from_environment
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("from_environment", &self.from_environment).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
