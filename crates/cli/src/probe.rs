//! `pointsman check --probe`: connects to every host of every leg the way a session does, and to the mapping store.
//!
//! What must never happen here: a credential is sent.

mod capabilities;
pub(crate) mod fault_text;
mod judge;
mod report;

use std::cell::Cell;
use std::sync::Arc;

use ::probe::ProbeClient;
use plan::{Plan, Source};
use tls::PlatformRoots;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use types::protocol::Protocol;
use upstream::{Backend, Backends};

use crate::api_client::{CommandError, block_on};
use crate::progress::with_progress;

pub(crate) use report::ProbeReport;
use report::{BackendRow, StoreRow};

/// Hosts that are probed at the same time.
const CONCURRENT_PROBES: usize = 8;

/// Probes the destinations of `plan`, and its mapping store if that is a server.
pub(crate) fn probe(plan: Plan) -> Result<ProbeReport, CommandError> {
    let backends = Backends::new(&plan, &PlatformRoots::default(), None)
        .map_err(|(name, error)| CommandError::Usage(format!("destination.{name}: {error}")))?;
    let plan = Arc::new(plan);
    // The Redis library uses the process-wide TLS provider.
    tls::provide();
    block_on(async {
        let (backends, store) = tokio::join!(probe_backends(&plan, &backends), probe_store(&plan));
        Ok(ProbeReport { backends, store })
    })
}

/// Queries the store as the proxy does at its start, within `lookup_timeout`.
async fn probe_store(plan: &Arc<Plan>) -> Option<StoreRow> {
    let source = match &plan.mapping.source {
        Source::File { .. } => return None,
        Source::Redis { .. } => "redis",
        Source::Sql { .. } => "sql",
    };
    let problem = app::probe_mapping(plan).await?.err().map(|error| error.to_string());
    let state = if problem.is_none() { "ok" } else { "failed" };
    Some(StoreRow { source, state, problem })
}

async fn probe_backends(plan: &Arc<Plan>, backends: &Backends) -> Vec<BackendRow> {
    let permits = Arc::new(Semaphore::new(CONCURRENT_PROBES));
    let mut probes = JoinSet::new();
    for (_, backend) in backends.iter() {
        for (protocol, _) in backend.legs() {
            for host in &backend.destination().hosts {
                let index = probes.len();
                let plan = Arc::clone(plan);
                let backend = Arc::clone(backend);
                let host = host.clone();
                let permits = Arc::clone(&permits);
                probes.spawn(async move {
                    // The semaphore is never closed.
                    let _permit = permits.acquire().await;
                    (index, probe_host(&plan, &backend, protocol, &host).await)
                });
            }
        }
    }
    let total = probes.len();
    let done = Cell::new(0);
    let mut rows = Vec::new();
    let collecting = async {
        while let Some(probed) = probes.join_next().await {
            // A probe that panicked has printed why, and has no row.
            rows.extend(probed.ok());
            done.set(rows.len());
        }
    };
    with_progress(|| format!("probing: {} of {total} done", done.get()), collecting).await;
    // In the order of the configuration.
    rows.sort_unstable_by_key(|&(index, _)| index);
    rows.into_iter().map(|(_, row)| row).collect()
}

async fn probe_host(plan: &Plan, backend: &Backend, protocol: Protocol, host: &str) -> BackendRow {
    let hostname = plan.server.hostname.as_deref().unwrap_or("localhost");
    let deadline = Instant::now() + backend.timeout();
    let client = ProbeClient::OnThisHost { tls: false };
    let findings = ::probe::probe(backend, protocol, host, hostname, client, deadline).await;
    let probed = judge::ProbedHost { protocol, host };
    let mut row = judge::judge(backend, plan.capabilities(protocol), probed, &findings);
    if backend.sends_ssl_tlv(protocol) {
        let deadline = Instant::now() + backend.timeout();
        let client = ProbeClient::OnThisHost { tls: true };
        let with_tlv = ::probe::probe(backend, protocol, host, hostname, client, deadline).await;
        judge::judge_ssl_tlv(&mut row, protocol, &with_tlv);
    }
    row
}
