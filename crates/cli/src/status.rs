//! `pointsman status`.

use std::process::ExitCode;

use api::paths;
use api::status::{Destinations, Leg, Stats};
use serde::Serialize;

use crate::api_client::{ApiCall, ApiClient, CommandError};
use crate::format::{count, duration, or_dash};
use crate::print::{Table, print_json, print_line};

/// The result of `--json`.
#[derive(Serialize)]
struct ProxyStatus {
    ready: bool,
    stats: Stats,
    #[serde(flatten)]
    destinations: Destinations,
}

/// Prints the state of the proxy. The exit status is 1 if it is not ready or a destination is down.
pub(crate) async fn status(client: &ApiClient, is_json: bool) -> Result<ExitCode, CommandError> {
    let stats: Stats = client.json(ApiCall::get(paths::STATS)).await?;
    let destinations: Destinations = client.json(ApiCall::get(paths::DESTINATIONS)).await?;
    let ready = client.status(ApiCall::get(paths::READYZ)).await?.is_success();
    let is_healthy = ready && !destinations.destinations.iter().any(|destination| destination.down);
    let status = ProxyStatus { ready, stats, destinations };
    if is_json {
        print_json(&status)?;
    } else {
        print_summary(&status.stats, status.ready)?;
        print_line("")?;
        print_destinations(&status.destinations)?;
    }
    Ok(if is_healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_summary(stats: &Stats, is_ready: bool) -> Result<(), CommandError> {
    let state = proxy_state(stats, is_ready);
    print_line(&format!("pointsman {}: {state}, up {}", stats.version, duration(stats.uptime_seconds)))?;
    print_line(&activity(stats))?;
    if let Some(mapped) = &stats.mapped {
        let mapped: Vec<String> =
            mapped.iter().map(|(name, entries)| format!("{entries} to {name}")).collect();
        print_line(&format!("mapping entries: {}", mapped.join(", ")))?;
    }
    print_line(&format!(
        "mapping lookups: {:.1} % answered from the cache ({}), {}",
        stats.hit_rate_pct,
        count(stats.cache_entries, "answer", "answers"),
        store_errors(stats)
    ))
}

fn print_destinations(destinations: &Destinations) -> Result<(), CommandError> {
    let mut table =
        Table::new(&["DESTINATION", "PROTOCOL", "PORT", "STATE", "FAILURES", "LATENCY", "SESSIONS"]);
    for destination in &destinations.destinations {
        // Name and sessions belong to the destination: they stand in the row of its first leg only.
        let mut name = destination.destination.clone();
        if destination.is_default {
            name.push_str(" (default)");
        }
        let mut sessions = destination.sessions.to_string();
        for (protocol, leg) in &destination.protocols {
            table.row([
                std::mem::take(&mut name),
                protocol.clone(),
                leg.port.to_string(),
                leg_state(leg),
                leg.consecutive_failures.to_string(),
                or_dash(leg.latency_ms.map(|latency| format!("{latency} ms"))),
                std::mem::take(&mut sessions),
            ]);
        }
    }
    table.print()
}

/// Returns what the proxy is doing at the moment.
pub(crate) fn activity(stats: &Stats) -> String {
    format!(
        "{}, {}, {} in progress",
        count(stats.active_connections, "connection", "connections"),
        count(stats.sessions, "session", "sessions"),
        count(stats.logins, "login", "logins")
    )
}

/// Returns how often the mapping store failed.
pub(crate) fn store_errors(stats: &Stats) -> String {
    let plural = if stats.store_errors == 1 { "error" } else { "errors" };
    format!("{} store {plural}", stats.store_errors)
}

/// Returns the proxy's state in a word or two.
pub(crate) const fn proxy_state(stats: &Stats, is_ready: bool) -> &'static str {
    match (stats.draining, is_ready) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "NOT READY",
    }
}

/// Returns a leg's state in a few words.
pub(crate) fn leg_state(leg: &Leg) -> String {
    match (leg.down, &leg.last_error, leg.last_success) {
        (true, Some(error), _) => format!("DOWN: {error}"),
        (true, None, _) => "DOWN".to_owned(),
        (false, Some(error), _) if leg.consecutive_failures > 0 => format!("failing: {error}"),
        (false, _, Some(_)) => "up".to_owned(),
        (false, _, None) => "not used yet".to_owned(),
    }
}
