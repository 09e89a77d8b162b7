//! `pointsman check --probe`: every host of every leg, as a session would meet it.

mod findings;
pub(crate) mod words;

use std::cell::Cell;
use std::sync::Arc;

use plan::{Plan, Source};
use serde::Serialize;
use tls::PlatformRoots;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use upstream::Backends;

use crate::client::{Failure, block_on};
use crate::print::{Table, line};
use crate::progress::telling;

/// What is said of one host of one leg.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Row {
    destination: String,
    protocol: String,
    host: String,
    port: u16,
    /// `ok`, `warning` or `failed`.
    state: &'static str,
    tls: Option<String>,
    certificate: Option<Certificate>,
    greeting: String,
    capabilities: Vec<String>,
    mechanisms: Vec<String>,
    /// How the backend learns who the client is, and whether it takes that.
    forwarding: String,
    /// Why a login there would fail.
    problems: Vec<String>,
    /// What is worth knowing.
    remarks: Vec<String>,
}

/// What is said of the store of the mappings.
#[derive(Debug, Serialize)]
pub(crate) struct StoreRow {
    source: &'static str,
    /// `ok` or `failed`.
    state: &'static str,
    /// Why the proxy would not start.
    problem: Option<String>,
}

#[derive(Debug, Serialize)]
struct Certificate {
    names: Vec<String>,
    sha256: String,
    /// Seconds since 1970.
    not_after: i64,
    days_left: i64,
}

/// Legs that are probed at once.
const AT_ONCE: usize = 8;

/// Probes what `plan` declares, and the store of its mappings where that is a server.
pub(crate) fn probe(plan: Plan) -> Result<(Vec<Row>, Option<StoreRow>), Failure> {
    let backends = Backends::new(&plan, &PlatformRoots::default(), None)
        .map_err(|(name, error)| Failure::Usage(format!("destination.{name}: {error}")))?;
    let plan = Arc::new(plan);
    // The library behind Redis asks the process for its provider.
    tls::provide();
    block_on(async { Ok(tokio::join!(all(&plan, &backends), store(&plan))) })
}

/// Asks the store as a start of the proxy would, within `lookup_timeout`.
async fn store(plan: &Arc<Plan>) -> Option<StoreRow> {
    let source = match &plan.mapping.source {
        Source::File { .. } => return None,
        Source::Redis { .. } => "redis",
        Source::Sql { .. } => "sql",
    };
    let problem = app::probe_mapping(plan).await?.err().map(|error| error.to_string());
    Some(StoreRow { source, state: if problem.is_none() { "ok" } else { "failed" }, problem })
}

async fn all(plan: &Plan, backends: &Backends) -> Vec<Row> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let hostname = plan.server.hostname.clone().unwrap_or_else(|| "localhost".to_owned());
    let mut running = JoinSet::new();
    for (_, backend) in backends.iter() {
        for (protocol, _) in backend.legs() {
            for host in &backend.destination().hosts {
                let (backend, host, hostname) = (Arc::clone(backend), host.clone(), hostname.clone());
                let (places, order) = (Arc::clone(&places), running.len());
                let offer = plan.capabilities(protocol).clone();
                running.spawn(async move {
                    // Never closed.
                    let _place = places.acquire().await;
                    let deadline = Instant::now() + backend.timeout();
                    let found = ::probe::probe(&backend, protocol, &host, &hostname, deadline).await;
                    (order, findings::row(&backend, &offer, (protocol, &host), &found))
                });
            }
        }
    }
    let (total, done) = (running.len(), Cell::new(0));
    let mut rows = Vec::new();
    let ended = async {
        while let Some(ended) = running.join_next().await {
            // A probe that has panicked is missed below.
            rows.extend(ended.ok());
            done.set(rows.len());
        }
    };
    telling(|| format!("probing: {} of {total} done", done.get()), ended).await;
    rows.sort_unstable_by_key(|&(order, _)| order);
    rows.into_iter().map(|(_, row)| row).collect()
}

// === impl Row ===

impl Row {
    /// Whether logins there would work.
    pub(crate) const fn serves(&self) -> bool {
        self.problems.is_empty()
    }
}

// === impl StoreRow ===

impl StoreRow {
    /// Whether the proxy would start.
    pub(crate) const fn serves(&self) -> bool {
        self.problem.is_none()
    }
}

/// Prints what was found for people.
pub(crate) fn show(rows: &[Row], store: Option<&StoreRow>) -> Result<(), Failure> {
    let mut table =
        Table::new(&["DESTINATION", "LEG", "HOST", "STATE", "TLS", "CERTIFICATE", "LOGINS", "FORWARDING"]);
    for row in rows {
        let certificate = row.certificate.as_ref();
        table.row([
            row.destination.clone(),
            row.protocol.clone(),
            format!("{}:{}", row.host, row.port),
            row.state.to_owned(),
            row.tls.clone().unwrap_or_else(|| "-".to_owned()),
            certificate
                .map_or_else(|| "-".to_owned(), |certificate| format!("{} days left", certificate.days_left)),
            if row.mechanisms.is_empty() { "-".to_owned() } else { row.mechanisms.join(" ") },
            row.forwarding.clone(),
        ]);
    }
    table.print()?;
    for row in rows {
        let problems = row.problems.iter().map(|text| ("error", text));
        for (severity, text) in problems.chain(row.remarks.iter().map(|text| ("warning", text))) {
            line(&format!("{severity}: {} {} at {}: {text}", row.destination, row.protocol, row.host))?;
        }
    }
    match store {
        Some(StoreRow { source, problem: Some(problem), .. }) => {
            line(&format!("error: mapping ({source}): {problem}: a start needs the store"))
        }
        Some(StoreRow { source, .. }) => line(&format!("mapping ({source}): the store answers")),
        None => Ok(()),
    }
}
