//! From a file to a [`Plan`]: one pass over every table, then the rules that span tables.

mod admin;
mod broken;
mod capabilities;
mod cluster;
mod destination;
mod http;
mod limits;
mod listener;
mod log_level;
mod mapping;
mod moves;
mod oauth;
mod server;
mod syntax_help;
mod tls;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ::toml::de::DeTable;
use zeroize::Zeroizing;

use crate::check;
use crate::diagnostic::{Diagnostic, Problems, Report, Severity};
use crate::draft::Draft;
use crate::read::Table;
use plan::Plan;

/// A valid configuration and its warnings.
#[derive(Debug)]
pub struct Loaded {
    /// What to run.
    pub plan: Plan,
    /// The warnings, ready to be rendered.
    pub warnings: Report,
}

/// The maximum size of a file in bytes: far more than a deployment needs.
const MAX_FILE: u64 = 8 << 20;

/// Reads and validates the file at `path`.
///
/// # Errors
/// Every problem of the file, warnings included.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    match read_file(path) {
        Ok(text) => parse(path, text),
        Err(error) => {
            let diagnostic = Diagnostic {
                severity: Severity::Error,
                key: path.display().to_string(),
                span: 0..0,
                message: format!("the configuration file cannot be read: {error}"),
                help: "give the path of a TOML file: `pointsman run CONFIG`".to_owned(),
            };
            Err(Report::new(path, "", false, vec![diagnostic]))
        }
    }
}

/// Like [`load`], but from `text`. `path` is only used in messages and as the base of relative paths.
///
/// # Errors
/// See [`load`].
pub fn parse(path: &Path, text: String) -> Result<Loaded, Report> {
    // The text may contain secrets: the report keeps a redacted copy, and this one is wiped.
    let text = Zeroizing::new(text);
    let (diagnostics, plan) = read(path, &text);
    let report = Report::new(path, &text, plan.is_some(), diagnostics);
    match plan {
        Some(plan) if report.errors() == 0 => Ok(Loaded { plan, warnings: report }),
        _ => Err(report),
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_FILE {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(text)
}

fn read(path: &Path, text: &str) -> (Vec<Diagnostic>, Option<Plan>) {
    let problems = Problems::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().trim();
        let help = syntax_help::help(text, &span, message);
        problems.error("syntax", span, message, help);
    }
    let root = Table::new(document.get_ref(), 0..0, String::new(), &problems);
    let draft = draft(path, &root);
    root.finish();
    if !errors.is_empty() {
        return (broken::keep(text, problems.into_inner(), errors.len()), None);
    }
    check::all(&draft, &problems);
    (problems.into_inner(), Some(draft.plan))
}

fn draft(path: &Path, root: &Table<'_>) -> Draft {
    let folder = path.parent().map_or_else(|| Path::new(".").to_owned(), Path::to_owned);
    let mut references = Vec::new();
    let (server, hostname) = server::read(root, &folder);
    let (tls, certificates) = tls::read(root, &folder);
    let destination::Read { destinations, places, declared } = destination::read(root, &folder);
    let (listeners, listener_places) = listener::read(root);
    let (routing, routing_span) = server::routing(root, &mut references);
    let mapping = mapping::read(root, &folder);
    let capabilities = capabilities::read(root);
    let oauth = oauth::read(root, &folder, &routing, &mut references);
    let http = http::read(root, &mut references);
    let (admin, admin_bind) = admin::read(root, &folder, &certificates);
    let limits = limits::read(root);
    let moves = moves::read(root, &folder, &mut references);
    let node = cluster::node(root);
    let plan = Plan {
        path: path.to_owned(),
        server,
        tls,
        listeners,
        destinations,
        routing,
        mapping,
        capabilities,
        oauth,
        http,
        admin,
        limits,
        moves,
        node,
    };
    Draft {
        plan,
        listeners: listener_places,
        destinations: places,
        declared,
        references,
        hostname,
        routing: routing_span,
        admin_bind,
    }
}
