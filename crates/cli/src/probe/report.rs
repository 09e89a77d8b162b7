//! The result of a probe, as JSON and as a table.

use serde::Serialize;

use crate::api_client::CommandError;
use crate::format::or_dash;
use crate::print::{Table, print_line};

/// The result of probing a configuration.
pub(crate) struct ProbeReport {
    pub(crate) backends: Vec<BackendRow>,
    /// `None` if the mapping is a file.
    pub(crate) store: Option<StoreRow>,
}

/// The result for one host of one leg.
#[derive(Debug, Default, Serialize)]
pub(crate) struct BackendRow {
    pub(super) destination: String,
    pub(super) protocol: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// `ok`, `warning` or `failed`.
    pub(super) state: &'static str,
    pub(super) tls: Option<String>,
    pub(super) certificate: Option<CertificateRow>,
    pub(super) greeting: String,
    pub(super) capabilities: Vec<String>,
    pub(super) mechanisms: Vec<String>,
    /// How the backend learns the client's address, and whether it accepts that.
    pub(super) forwarding: String,
    /// Reasons why a login there would fail.
    pub(super) problems: Vec<String>,
    /// Findings that do not make a login fail.
    #[serde(rename = "remarks")]
    pub(super) warnings: Vec<String>,
    /// Facts that may explain other findings.
    pub(super) notes: Vec<String>,
}

/// The result for the mapping store.
#[derive(Debug, Serialize)]
pub(crate) struct StoreRow {
    pub(super) source: &'static str,
    /// `ok` or `failed`.
    pub(super) state: &'static str,
    /// Why the proxy would not start.
    pub(super) problem: Option<String>,
}

/// A backend's certificate.
#[derive(Debug, Serialize)]
pub(super) struct CertificateRow {
    pub(super) names: Vec<String>,
    pub(super) sha256: String,
    /// Seconds since 1970.
    pub(super) not_after: i64,
    pub(super) days_left: i64,
}

// === impl ProbeReport ===

impl ProbeReport {
    /// Returns whether the proxy would start and logins would work at every host.
    pub(crate) fn is_usable(&self) -> bool {
        let store_works = self.store.as_ref().is_none_or(|store| store.problem.is_none());
        store_works && self.backends.iter().all(|row| row.problems.is_empty())
    }

    /// Prints the table, then every finding on a line of its own.
    pub(crate) fn print(&self) -> Result<(), CommandError> {
        self.print_table()?;
        for row in &self.backends {
            let place = format!("{} {} at {}", row.destination, row.protocol, row.host);
            for problem in &row.problems {
                print_line(&format!("error: {place}: {problem}"))?;
            }
            for warning in &row.warnings {
                print_line(&format!("warning: {place}: {warning}"))?;
            }
            for note in &row.notes {
                print_line(&format!("note: {place}: {note}"))?;
            }
        }
        let Some(store) = &self.store else { return Ok(()) };
        match &store.problem {
            Some(problem) => print_line(&format!(
                "error: mapping ({}): {problem} (the proxy does not start without its mapping store)",
                store.source
            )),
            None => print_line(&format!("mapping ({}): the store answers", store.source)),
        }
    }

    fn print_table(&self) -> Result<(), CommandError> {
        let mut table = Table::new(&[
            "DESTINATION",
            "LEG",
            "HOST",
            "STATE",
            "TLS",
            "CERTIFICATE",
            "MECHANISMS",
            "FORWARDING",
        ]);
        for row in &self.backends {
            let mechanisms = (!row.mechanisms.is_empty()).then(|| row.mechanisms.join(" "));
            table.row([
                row.destination.clone(),
                row.protocol.clone(),
                format!("{}:{}", row.host, row.port),
                row.state.to_owned(),
                or_dash(row.tls.clone()),
                or_dash(row.certificate.as_ref().map(CertificateRow::summary)),
                or_dash(mechanisms),
                row.forwarding.clone(),
            ]);
        }
        table.print()
    }
}

// === impl CertificateRow ===

impl CertificateRow {
    fn summary(&self) -> String {
        match self.days_left {
            ..=-1 => "expired".to_owned(),
            1 => "1 day left".to_owned(),
            days => format!("{days} days left"),
        }
    }
}
