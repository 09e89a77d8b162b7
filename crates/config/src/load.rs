//! From a file to a [`Plan`]: one pass over every table, then the rules that span tables.

mod admin;
mod capabilities;
mod destination;
mod http;
mod listener;
mod mapping;
mod oauth;
mod rest;
mod server;
mod tls;

use std::path::Path;

use ::toml::de::DeTable;

pub(crate) use self::destination::Places as DestinationPlaces;
use crate::check;
use crate::diagnostic::{Diagnostic, Problems, Report, Severity};
use crate::plan::Plan;
use crate::read::{At, Table};

/// A valid configuration, and what is worth knowing about it.
#[derive(Debug)]
pub struct Loaded {
    /// What to run.
    pub plan: Plan,
    /// The warnings, ready to be rendered.
    pub warnings: Report,
}

/// Everything that was read, with the places that the cross rules need.
pub(crate) struct Draft {
    pub(crate) plan: Plan,
    pub(crate) listeners: Vec<listener::Places>,
    pub(crate) destinations: Vec<destination::Places>,
    /// References to destinations by name, from anywhere.
    pub(crate) references: Vec<At<String>>,
    /// Where `[routing]` stands.
    pub(crate) routing: std::ops::Range<usize>,
}

/// Reads and validates the file at `path`.
///
/// # Errors
/// Every problem of the file, warnings included.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, text),
        Err(error) => {
            let diagnostic = Diagnostic {
                severity: Severity::Error,
                key: path.display().to_string(),
                span: 0..0,
                message: format!("the configuration file cannot be read: {error}"),
                help: "give the path of a TOML file: `pointsman run CONFIG`".to_owned(),
            };
            Err(Report::new(path, String::new(), vec![diagnostic]))
        }
    }
}

/// As [`load`], from text that `path` is only the name (and the folder) of.
///
/// # Errors
/// As [`load`].
pub fn parse(path: &Path, text: String) -> Result<Loaded, Report> {
    let (diagnostics, plan) = read(path, &text);
    let report = Report::new(path, text, diagnostics);
    match plan {
        Some(plan) if report.errors() == 0 => Ok(Loaded { plan, warnings: report }),
        _ => Err(report),
    }
}

fn read(path: &Path, text: &str) -> (Vec<Diagnostic>, Option<Plan>) {
    let problems = Problems::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        problems.error("syntax", span, error.message().trim(), "the file must be TOML 1.0: https://toml.io");
    }
    if !errors.is_empty() {
        return (problems.into_inner(), None);
    }
    let root = Table::new(document.get_ref(), 0..0, String::new(), &problems);
    let draft = draft(path, &root);
    root.finish();
    let plan = draft.map(|draft| {
        check::all(&draft, &problems);
        draft.plan
    });
    (problems.into_inner(), plan)
}

fn draft(path: &Path, root: &Table<'_>) -> Option<Draft> {
    let folder = path.parent().map_or_else(|| Path::new(".").to_owned(), Path::to_owned);
    let mut references = Vec::new();
    let server = server::read(root, &folder);
    let tls = tls::read(root, &folder);
    let (destinations, destination_places) = destination::read(root, &folder);
    let (listeners, listener_places) = listener::read(root);
    let (routing, routing_span) = server::routing(root, &mut references);
    let mapping = mapping::read(root, &folder);
    let capabilities = capabilities::read(root);
    let oauth = oauth::read(root, &folder, routing.as_ref(), &mut references);
    let http = http::read(root, &mut references);
    let admin = admin::read(root, &folder, tls.as_ref());
    let limits = rest::limits(root);
    let moves = rest::moves(root, &folder, &mut references);
    let node = rest::cluster(root);
    let plan = Plan {
        path: path.to_owned(),
        server,
        tls: tls?,
        listeners,
        destinations,
        routing: routing?,
        mapping: mapping?,
        capabilities,
        oauth,
        http,
        admin,
        limits,
        moves,
        node,
    };
    Some(Draft {
        plan,
        listeners: listener_places,
        destinations: destination_places,
        references,
        routing: routing_span,
    })
}
