//! `pointsman status`.

use std::process::ExitCode;

use api::paths;
use api::state::{Destinations, Leg, Stats};
use hyper::Method;
use serde::Serialize;

use crate::client::{Call, Client, Failure};
use crate::print::{Table, json, line};
use crate::sessions::span;

/// For machines.
#[derive(Serialize)]
struct Status {
    ready: bool,
    stats: Stats,
    #[serde(flatten)]
    destinations: Destinations,
}

/// What the proxy is doing; exit status 1 when it is not ready or a destination is down.
pub(crate) async fn status(client: &Client, is_json: bool) -> Result<ExitCode, Failure> {
    let stats: Stats = client.ask(Call::new(Method::GET, paths::STATS)).await?;
    let destinations: Destinations = client.ask(Call::new(Method::GET, paths::DESTINATIONS)).await?;
    let ready = client.status(Call::new(Method::GET, paths::READYZ)).await?.is_success();
    let is_well = ready && !destinations.destinations.iter().any(|destination| destination.down);
    let status = Status { ready, stats, destinations };
    if is_json {
        json(&status)?;
    } else {
        show(&status)?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(status: &Status) -> Result<(), Failure> {
    let Status { ready, stats, destinations } = status;
    let state = state(stats, *ready);
    line(&format!("pointsman {}: {state}, up {}", stats.version, span(stats.uptime_seconds)))?;
    line(&format!(
        "{} connections, {} sessions, {} logins under way",
        stats.active_connections, stats.sessions, stats.logins
    ))?;
    if let Some(mapped) = &stats.mapped {
        let mapped: Vec<String> =
            mapped.iter().map(|(name, entries)| format!("{entries} to {name}")).collect();
        line(&format!("entries of the mapping: {}", mapped.join(", ")))?;
    }
    line(&format!(
        "mapping: {} answers in memory, {:.1} % of lookups from there, {} errors of the store",
        stats.cache_entries, stats.hit_rate_pct, stats.store_errors
    ))?;
    line("")?;
    let mut table =
        Table::new(&["DESTINATION", "PROTOCOL", "PORT", "STATE", "FAILURES", "LATENCY", "SESSIONS"]);
    for destination in &destinations.destinations {
        let name = &destination.destination;
        let name = if destination.is_default { format!("{name} (default)") } else { name.clone() };
        for (index, (protocol, leg)) in destination.protocols.iter().enumerate() {
            let is_first = index == 0;
            table.row([
                if is_first { name.clone() } else { String::new() },
                protocol.clone(),
                leg.port.to_string(),
                health(leg),
                leg.consecutive_failures.to_string(),
                leg.latency_ms.map_or_else(|| "-".to_owned(), |latency| format!("{latency} ms")),
                if is_first { destination.sessions.to_string() } else { String::new() },
            ]);
        }
    }
    table.print()
}

/// The proxy's state in a word or two.
pub(crate) const fn state(stats: &Stats, is_ready: bool) -> &'static str {
    match (stats.draining, is_ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "NOT READY",
    }
}

/// A leg's state in a few words.
pub(crate) fn health(leg: &Leg) -> String {
    match (leg.down, &leg.last_error, leg.last_success) {
        (true, Some(error), _) => format!("DOWN: {error}"),
        (true, None, _) => "DOWN".to_owned(),
        (false, Some(error), _) if leg.consecutive_failures > 0 => format!("failing: {error}"),
        (false, _, Some(_)) => "up".to_owned(),
        (false, _, None) => "not used yet".to_owned(),
    }
}
