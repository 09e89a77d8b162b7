//! Statistics: `GET /stats` for people and scripts, `GET /metrics` for Prometheus.

use api::status::{Channel, Node, Stats};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use cluster::{self, Bus};

use super::session_totals::SessionTotals;
use crate::failure::{CallResult, Failure};
use crate::parameters::Parameters;
use crate::shared::Shared;

/// `GET /stats`.
pub(crate) async fn stats(State(shared): State<Shared>, parameters: Parameters) -> CallResult<Json<Stats>> {
    parameters.only(&[])?;
    let router = shared.router().stats();
    let registry = shared.registry();
    let totals = SessionTotals::count(&registry);
    let bus = shared.control().bus().clone();
    let by_listener: std::collections::BTreeMap<_, _> =
        shared.app_handle.listeners().into_iter().map(|(name, count)| (name.to_string(), count)).collect();
    Ok(Json(Stats {
        cache_hits: router.hits,
        cache_misses: router.misses,
        hit_rate_pct: rate(router.hits, router.misses),
        cache_entries: router.cache_entries,
        active_connections: by_listener.values().sum(),
        sessions: totals.sessions,
        logins: registry.counts().logins,
        store_errors: router.store_errors,
        mapped: shared.router().entries_by_destination().map(|counts| {
            counts.into_iter().map(|(destination, entries)| (destination.to_string(), entries)).collect()
        }),
        draining: shared.app_handle.is_draining(),
        by_listener,
        by_protocol: totals.by_protocol,
        by_destination: totals.by_destination,
        nodes: bus.nodes().iter().map(node).collect(),
        channel: channel(&bus),
        uptime_seconds: shared.began.elapsed().as_secs(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }))
}

fn node(node: &cluster::Node) -> Node {
    Node { node: node.name.to_string(), this: node.is_this, silent_seconds: node.silent.as_secs() }
}

fn channel(from: &Bus) -> Channel {
    let counts = from.counts();
    let (state, reason) = match from.state() {
        cluster::BusState::Alone(why) => ("none", Some(why.to_string())),
        cluster::BusState::Disconnected => ("cut", None),
        cluster::BusState::Connected => ("connected", None),
    };
    Channel {
        state: state.to_owned(),
        reason,
        received: counts.received,
        sent: counts.sent,
        unsent: counts.unsent,
        forged: counts.forged,
        missed: counts.missed,
    }
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(shared): State<Shared>) -> CallResult<Response> {
    match shared.app_handle.metrics() {
        Some((media, text)) => Ok(([(CONTENT_TYPE, media)], text).into_response()),
        None => Err(Failure::new(StatusCode::NOT_FOUND, "this build has no metrics; see GET /stats")),
    }
}

/// Returns the share of hits in all lookups, in per cent with two decimal places.
fn rate(hits: u64, misses: u64) -> f64 {
    let all = u128::from(hits) + u128::from(misses);
    if all == 0 {
        return 0.0;
    }
    let hundredths = u128::from(hits) * 10_000 / all;
    u32::try_from(hundredths).map_or(100.0, |hundredths| f64::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        for (hits, misses, expected) in
            [(0, 0, 0.0), (1, 2, 33.33), (5, 0, 100.0), (u64::MAX, u64::MAX, 50.0)]
        {
            assert!((rate(hits, misses) - expected).abs() < 1e-9, "{hits} {misses}");
        }
    }
}
